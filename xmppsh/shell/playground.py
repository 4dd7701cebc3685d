"""`playground`: a server of one's own for as long as the command runs, and the shell, a tour, or nothing on it."""

from __future__ import annotations

import asyncio
import os
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from xmppsh.commands.app import App
from xmppsh.commands.base import command
from xmppsh.errors import UsageError
from xmppsh.model import Jid, split_host_port
from xmppsh.output.ndjson import dumps
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from xmppsh.playground.server import PlaygroundServer

FALLBACK_COLUMNS = 80  # of a terminal that does not tell


@command("playground")
@click.option("--serve", is_flag=True, help="Only serve: print one JSON line, run until a signal.")
@click.option("--tour", is_flag=True, help="Show what xmppsh does, with real commands; as without a terminal.")
async def playground(app: App, serve: bool, tour: bool) -> None:
    """Start an XMPP server on a free loopback port with the accounts alice, bob and echo, and open the shell as alice.

    Certificate and passwords are made for this run; everything is removed at the end.
    """
    from xmppsh.playground.server import PlaygroundServer

    if app.settings.dry_run:
        raise UsageError("playground starts a server; --dry-run is for what is sent")
    async with PlaygroundServer() as server:
        if serve:
            await app.console.stdout.write(dumps(server.facts()) + "\n")
            await asyncio.Event().wait()
        elif tour or not (app.console.stdin.is_terminal and app.console.stdout.is_terminal):
            from xmppsh.shell.tour import Tour

            await Tour(app, server).run()
        else:
            await _shell(app, server)


async def _shell(app: App, server: PlaygroundServer) -> None:
    from xmppsh.shell.connect import open_shell

    facts = server.facts()
    settings = app.settings.with_values(
        jid=Jid.parse(f"alice@{facts['domain']}"),
        password=facts["accounts"]["alice"],
        password_file=None,
        password_command=None,
        password_fd=None,
        host=(split_host_port(f"{facts['host']}:{facts['port']}"),),
        ca=facts["ca"],
        tls="auto",
        pin=(),
        insecure=False,
        anonymous=False,
        cert=None,
        mechanism=None,
    )
    text = f"This is alice@{facts['domain']}. Try: /to echo@{facts['domain']}, then type; /ping; /help. Ctrl-D ends it."
    columns = os.get_terminal_size(app.console.stdout.fd).columns or FALLBACK_COLUMNS
    await app.console.stdout.write(textwrap.fill(text, columns, break_on_hyphens=False) + "\n")
    env = {name: value for name, value in app.console.env.items() if name != "STATE_DIRECTORY"}
    console = replace(app.console, env={**env, "XDG_STATE_HOME": str(server.state_folder)})
    await open_shell(App.of(settings, console), presence())
