"""`connect`: the shell on a session, at a terminal or from a script."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from xmppsh.app.own_session import OwnSessions
from xmppsh.commands.appearing import appearing, availability
from xmppsh.config.kept import KeptFile
from xmppsh.errors import ClosedOutput, UsageError, XmppshError
from xmppsh.later import load_rest
from xmppsh.registry.base import argument, command, option
from xmppsh.shell.lines.aliases import Aliases, is_line
from xmppsh.shell.lines.desk import Desk
from xmppsh.shell.lines.names import exists
from xmppsh.shell.lines.rooms import greetings
from xmppsh.shell.shown.look import Palette, wants_color
from xmppsh.shell.shown.people import People
from xmppsh.shell.shown.streamview import StreamView
from xmppsh.shell.typing.lean import load_prompt
from xmppsh.tasks import apart, running

if TYPE_CHECKING:
    from xmppsh.app.app import App
    from xmppsh.app.console import Console
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.session import Session
    from xmppsh.xmlio.build import Xml

LAST_ACKS_S = 5.0


@command("connect")
@argument("account", metavar="[JID]", type="JID", required=False, setting="jid")
@option("--vi", is_flag=True, help="Edit the line with vi keys instead of Emacs keys.")
@option("-e", "--stop-on-error", is_flag=True, help="In a script: stop at the first error, with its exit code.")
@option("--no-receipts", is_flag=True, help="Do not confirm to others that their messages were delivered or read.")
@appearing
async def connect(
    app: App,
    vi: bool,
    stop_on_error: bool,
    show: str | None,
    status: str | None,
    priority: int | None,
    no_presence: bool,
    accepted: str | None,
    no_receipts: bool,
) -> None:
    """Open the shell as JID. Its lines are XML, commands that begin with /, and messages.

    Without a terminal on stdin its lines are a script: no prompt, # begins a comment, and the exit code is 0 if
    everything succeeded, otherwise that of the last line that failed.

    \b
    Example:  xmppsh connect romeo@example.net
              printf '/to juliet@example.org\\nGood night\\n' | xmppsh connect
    """
    if no_presence and (show, status, priority) != (None, None, None):
        raise UsageError("--no-presence sends none of --show, --status and --priority")
    ours = None if no_presence else availability(show, status, priority)
    await open_shell(app, ours, stop_on_error=stop_on_error, vi=vi, accepted=accepted, tells=not no_receipts)


async def open_shell(
    app: App,
    ours: Xml | None,
    *,
    stop_on_error: bool = False,
    vi: bool = False,
    accepted: str | None = None,
    tells: bool = True,
) -> None:
    """Open a session of the app's account, with the shell on it until its end.

    ours: the presence that is sent first, None for none; accepted: who may see it, as --accept-subscriptions has it;
    tells: whether contacts are told that what they wrote was delivered and read.
    """
    if not isinstance(app.sessions, OwnSessions):
        raise UsageError("the shell opens a connection; --dry-run is for single commands, in the shell too")
    console = app.console
    fd = _prompt_fd(console)
    stop_watching = console.stdout.on_closed(console.shutdown.end_quietly)
    app.account.trace = stream = StreamView(app.account.trace)
    colors = console.stdout.is_terminal and wants_color(app.settings.color, console.env)
    state = app.storage.state_if_any
    # Users wrote these, so that they are not kept is told without -v as well.
    kept = None if state is None else KeptFile(state / "aliases.json", is_line, lambda _, text: console.log(0, text))
    aliases = Aliases(kept, exists)
    desk = Desk(People(), Palette(colors=colors), console.stdin, stream, aliases, ours, accepted, tells)
    try:
        plug = partial(greetings, desk.people, ours is not None)
        reading = app.sessions.reading("connect", "message", plug=plug)
        load_rest()  # by one thread alone, before there is a second one
        loading = [] if fd is None else [apart(load_prompt)]
        async with running(*loading) as loaded, reading as (session, arrivals):
            await asyncio.gather(*loaded)  # two threads that load modules which need each other get half of them
            await _run(app, session, arrivals, desk, fd, stop_on_error=stop_on_error, vi=vi)
    finally:
        stop_watching()


async def _run(
    app: App, session: Session, arrivals: Inbox, desk: Desk, fd: int | None, *, stop_on_error: bool, vi: bool
) -> None:
    try:
        if fd is None:
            from xmppsh.shell.script import run_script

            await run_script(app, session, arrivals, desk, stop_on_error=stop_on_error)
        else:
            from xmppsh.shell.repl import run_repl

            await run_repl(app, session, arrivals, desk, fd, vi=vi)
    except ClosedOutput:
        # Nobody reads on; what was sent is still brought to its end.
        with suppress(XmppshError):
            await session.acked(session.sent_count, LAST_ACKS_S)
        raise


def _prompt_fd(console: Console) -> int | None:
    """The terminal for the prompt: stdout, or stderr when stdout is redirected; None is script mode."""
    if not console.stdin.is_terminal:
        return None
    if console.stdout.is_terminal:
        return console.stdout.fd
    return 2 if os.isatty(2) else None
