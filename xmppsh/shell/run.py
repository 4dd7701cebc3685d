"""`run`: the shell's lines from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xmppsh.app.sources import opened
from xmppsh.registry.base import command
from xmppsh.registry.params import FILE
from xmppsh.shell.connect import open_shell

if TYPE_CHECKING:
    from xmppsh.app.app import App


@command("run")
@click.argument("file", type=FILE)
@click.option("-e", "--stop-on-error", is_flag=True, help="Stop at the first error, with its exit code.")
async def run(app: App, file: str, stop_on_error: bool) -> None:
    """Run the lines of FILE as the shell would: XML, commands that begin with /, and messages; - is stdin.

    # begins a comment. The exit code is 0 if everything succeeded, otherwise that of the last line that failed. No
    presence is sent.

    \b
    Example:  printf '/to juliet@example.org\\nGood night\\n' > good-night
              xmppsh run good-night
    """
    app.console.stdin = await opened(app.console, file)
    await open_shell(app, None, stop_on_error=stop_on_error)
