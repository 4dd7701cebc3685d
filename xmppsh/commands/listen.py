"""`listen`: what arrives, one record each, until it is enough."""

from __future__ import annotations

import asyncio
import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xmppsh.apart import apart
from xmppsh.commands.base import command
from xmppsh.commands.params import KINDS, SECONDS
from xmppsh.commands.reading import MIB, reading
from xmppsh.errors import DeadlineExceeded, IoError, translate
from xmppsh.session.responder import bounce_of
from xmppsh.xmlio.build import element
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from xmppsh.commands.app import App
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.session import Session

MAX_INBOX_MIB = 1024 * 1024
# RFC 6121 §4.7.2.3: no message to the account comes to a resource of negative priority; presence does.
WITHOUT_MESSAGES = element("presence", None, element("priority", None, "-1"))


def _open_fd(_ctx: click.Context, _param: click.Parameter, fd: int | None) -> int | None:
    """It must be open from the start: later, the number may be that of a file or a socket of our own."""
    if fd is not None:
        with translate(OSError, lambda reason: IoError(f"file descriptor {fd}: {reason.lower()}")):
            os.fstat(fd)
    return fd


@command("listen")
@click.option(
    "--only", "kinds", type=KINDS, metavar="KINDS", default="message", help="Of message,presence,iq [message]."
)
@click.option("-C", "--count", type=click.IntRange(min=1), metavar="N", help="End after N records.")
@click.option("-W", "--wait", "wait_s", type=SECONDS, metavar="S", help="End after S seconds.")
@click.option("--ready-file", metavar="FILE", help="Create FILE when the session is up.")
@click.option(
    "--ready", "ready_fd", type=click.IntRange(min=0), metavar="FD", callback=_open_fd, help="Write a line to FD then."
)
@click.option(
    "--inbox-max",
    type=click.IntRange(min=0, max=MAX_INBOX_MIB),
    metavar="MIB",
    default=64,
    help="What may wait on disk for a slow reader [64].",
)
async def listen(
    app: App,
    kinds: tuple[str, ...],
    count: int | None,
    wait_s: float | None,
    ready_file: str | None,
    ready_fd: int | None,
    inbox_max: int,
) -> None:
    """Print each message that arrives; with --format json, one object a line.

    Where --only leaves messages out they go to other clients: the session announces priority -1, and one to its very
    address comes back to its sender.

    What waits for a reader slower than the server is stored, up to --inbox-max MiB, and acknowledged; then nothing more
    is taken from the server. After kill -9 the next listen of the same address prints it first.

    Exit 0 after N records or at the end of S seconds; 75 when fewer than N came in time.

    Example:  xmppsh listen -C 1 --format json
    """
    availability = presence() if "message" in kinds else WITHOUT_MESSAGES
    if app.settings.dry_run:
        await app.stdout.write(availability + "\n")
        return
    stop_watching = app.stdout.on_closed(app.shutdown.end_quietly)
    try:
        async with reading(app, "listen", "message", *kinds, inbox_bytes=inbox_max * MIB) as (session, arrivals):

            async def begin() -> None:
                # However long it takes: the program may be stopped meanwhile, and a dead link heals.
                await session.acked(session.broadcast_presence(availability), math.inf)
                await _tell_ready(ready_file, ready_fd)
                app.log(1, f"listening as {session.jid}")

            printer = _Printer(app, session, arrivals, kinds, count)
            await _for_a_time(wait_s, session, begin, printer)
            arrivals.cancel()
    finally:
        stop_watching()


class _Printer:
    """Prints the stanzas of these kinds, `count` of them at most; printed: how many it was."""

    def __init__(self, app: App, session: Session, arrivals: Inbox, kinds: tuple[str, ...], count: int | None) -> None:
        self.printed, self.count = 0, count
        self._app, self._session, self._arrivals, self._kinds = app, session, arrivals, kinds

    async def run(self) -> None:
        async for stanza in self._arrivals:
            if stanza.kind not in self._kinds:
                # Left unread, it would hold back the acknowledgement of all behind it.
                if (bounce := bounce_of(stanza)) is not None:
                    self._session.send(bounce)
                continue
            await self._app.emit_stanza(stanza)
            self.printed += 1
            if self.printed == self.count:
                return


async def _for_a_time(
    wait_s: float | None, session: Session, begin: Callable[[], Coroutine[None, None, None]], printer: _Printer
) -> None:
    """Begin, and print meanwhile: the ack of our presence may stand behind thousands of messages."""
    beginning, printing = asyncio.ensure_future(begin()), asyncio.ensure_future(printer.run())
    try:
        async with asyncio.timeout(wait_s):
            await asyncio.wait({beginning, printing}, return_when=asyncio.FIRST_EXCEPTION)
        for task in (task for task in (printing, beginning) if task.done()):
            task.result()
    except TimeoutError:
        if session.is_cut:
            raise session.cause from None  # nobody was listening
        if beginning.done() and printer.count is None:
            return
        raise DeadlineExceeded(
            f"{printer.printed} of {printer.count or 'any'} records came within {wait_s:.3g} s",
            layer="stanza",
            hint="-W S waits longer",
        ) from None
    finally:
        for task in (beginning, printing):
            task.cancel()
        await asyncio.gather(beginning, printing, return_exceptions=True)


async def _tell_ready(path: str | None, fd: int | None) -> None:
    """Tell the script that started us that messages are received from now on."""
    try:
        if path is not None:
            await apart(partial(_touch, Path(os.path.realpath(path))))
        if fd is not None:
            await apart(partial(os.write, fd, b"ready\n"))
    except OSError as error:
        target = path if path is not None else f"file descriptor {fd}"
        raise IoError(f"{target}: {(error.strerror or str(error)).lower()}") from error


def _touch(path: Path) -> None:
    if path.exists() and not path.is_file():
        path.write_text("ready\n")  # a FIFO, whose reader waits for a line
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text("ready\n")
    partial.replace(path)  # the file is there with its content, or not at all
