"""`playground`: a server of one's own for as long as the command runs, and the shell, a program or a tour on it."""

from __future__ import annotations

import asyncio
import os
import secrets
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from xmppsh.app.app import App
from xmppsh.errors import UsageError
from xmppsh.model import Jid, split_host_port
from xmppsh.output.ndjson import dumps
from xmppsh.playground.faults import KINDS, Faults
from xmppsh.registry.base import command
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from xmppsh.playground.server import PlaygroundServer

FALLBACK_COLUMNS = 80  # of a terminal that does not tell


@command("playground")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD…]")
@click.option("--serve", is_flag=True, help="Only run the server: print one JSON line, stop at a signal.")
@click.option("--tour", is_flag=True, help="Show what xmppsh does, with real commands; the default without a terminal.")
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help=f"Make the server fail: {KINDS}.")
async def playground(app: App, words: tuple[str, ...], serve: bool, tour: bool, faults: tuple[str, ...]) -> int | None:
    """Start an XMPP server on a free loopback port with the accounts alice, bob and echo, and open the shell as alice.

    With CMD, run that program instead, as alice: XMPPSH_JID, XMPPSH_PASSWORD, XMPPSH_HOST and XMPPSH_CA are set for it,
    and its exit code is passed on. bob@playground.localhost has the same password. Everything after "--" belongs to
    CMD.

    The certificate and passwords are made for this run; everything is removed at the end.

    --fault cut-after=N cuts each connection after its Nth message; hole makes the first connection that brings a
    message go silent, like a pulled cable; no-ack answers no request for an acknowledgement (a resumption still tells
    what came); slow=MS delays everything by that much once a client has logged in.

    \b
    Example:  xmppsh playground -- bash
              xmppsh playground -- xmppsh send bob@playground.localhost hi
              xmppsh playground --fault cut-after=100 -- ./my-bot
    """
    from xmppsh.playground.server import ACCOUNTS, PlaygroundServer

    app.refuse_dry_run("playground starts a server")
    if len([way for way in (serve, tour, words) if way]) > 1:
        raise UsageError("--serve, --tour and a program exclude each other")
    password = secrets.token_urlsafe(12)
    async with PlaygroundServer(accounts=dict.fromkeys(ACCOUNTS, password), faults=Faults.parse(faults)) as server:
        if words:
            from xmppsh.shell.visitor import run

            return await run(app, server, words)
        if serve:
            await app.console.stdout.write(dumps(server.facts()) + "\n")
            await asyncio.Event().wait()
        elif tour or not (app.console.stdin.is_terminal and app.console.stdout.is_terminal):
            from xmppsh.shell.tour import Tour

            await Tour(app, server).run()
        else:
            await _shell(app, server)
    return None


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
    console = replace(app.console, env={**app.console.env, "STATE_DIRECTORY": str(server.state_folder)})
    await open_shell(App.of(settings, console), presence())
