"""`listen`: what arrives, one record each, until it is enough."""

from __future__ import annotations

import asyncio
import math
import os
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xmppsh.apart import apart
from xmppsh.commands.base import command
from xmppsh.commands.params import FILE, KINDS, SECONDS
from xmppsh.commands.ports import MIB
from xmppsh.errors import DeadlineExceeded, IoError, translate
from xmppsh.session.responder import bounce_of
from xmppsh.xmlio.build import element
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from xmppsh.commands.app import App
    from xmppsh.commands.console import Console
    from xmppsh.output.records import StanzaRecord
    from xmppsh.session.session_port import Reader, SessionPort

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
@click.option("--ready-file", type=FILE, help="Create FILE when the session is up.")
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
) -> AsyncIterator[StanzaRecord]:
    """Print each message that arrives; with --format json, one object a line.

    Where --only leaves messages out they go to other clients: the session announces priority -1, and one to its very
    address comes back to its sender.

    What waits for a reader slower than the server is stored, up to --inbox-max MiB, and acknowledged; then nothing more
    is taken from the server. After kill -9 the next listen of the same address prints it first.

    Exit 0 after N records or at the end of S seconds; 75 when fewer than N came in time.

    Example:  xmppsh listen -C 1 --format json
    """
    availability = presence() if "message" in kinds else WITHOUT_MESSAGES
    console = app.console
    stop_watching = console.stdout.on_closed(console.shutdown.end_quietly)
    reading = app.sessions.reading("listen", "message", *kinds, inbox_bytes=inbox_max * MIB)
    try:
        async with reading as (session, arrivals):

            async def begin() -> None:
                # However long it takes: the program may be stopped meanwhile, and a dead link heals.
                await session.acked(session.broadcast_presence(availability), math.inf)
                await _tell_ready(console, ready_file, ready_fd)
                console.log(1, f"listening as {session.jid}")

            printed = 0
            async with _until(wait_s, begin(), arrivals) as ending:
                async for stanza in arrivals:
                    if stanza.kind not in kinds:
                        # Left unread, it would hold back the acknowledgement of all that follows.
                        if (bounce := bounce_of(stanza)) is not None:
                            session.send(bounce)
                        continue
                    yield app.record(stanza)
                    printed += 1
                    if printed == count:
                        break
                else:
                    await ending.judge(session, printed, count)
            arrivals.cancel()
    finally:
        stop_watching()


class _Ending:
    """What ends the reading beside the number of records: the time, or a beginning that failed."""

    def __init__(self, wait_s: float | None, beginning: asyncio.Future[None], arrivals: Reader) -> None:
        self._wait_s, self._beginning, self._arrivals = wait_s, beginning, arrivals
        beginning.add_done_callback(self._on_begun)
        loop = asyncio.get_running_loop()
        self._is_late = False
        self._timer = None if wait_s is None else loop.call_later(wait_s, self._end_by_time)

    def _end_by_time(self) -> None:
        self._is_late = True
        self._arrivals.cancel()

    def _on_begun(self, beginning: asyncio.Future[None]) -> None:
        if beginning.cancelled() or beginning.exception() is not None:
            self._arrivals.cancel()

    def cancel(self) -> None:
        """It is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._beginning.cancel()

    async def judge(self, session: SessionPort, printed: int, count: int | None) -> None:
        """The reading has ended with `printed` records: raise what is wrong with that."""
        if self._wait_s is None or not self._is_late:
            return await self._beginning
        if session.is_cut:
            raise session.cause  # nobody was listening
        if self._beginning.done() and count is None:
            return self._beginning.result()
        raise DeadlineExceeded(
            f"{printed} of {count or 'any'} records came within {self._wait_s:.3g} s",
            layer="stanza",
            hint="-W S waits longer",
        )


@asynccontextmanager
async def _until(wait_s: float | None, begin: Coroutine[None, None, None], arrivals: Reader) -> AsyncIterator[_Ending]:
    """Begin while the arrivals are read: the ack of our presence may come after thousands of messages."""
    beginning = asyncio.ensure_future(begin)
    ending = _Ending(wait_s, beginning, arrivals)
    try:
        yield ending
    finally:
        ending.cancel()
        await asyncio.gather(beginning, return_exceptions=True)


async def _tell_ready(console: Console, path: str | None, fd: int | None) -> None:
    """Tell the script that started us that messages are received from now on."""
    try:
        if path is not None:
            await apart(partial(_touch, Path(os.path.realpath(console.path(path)))))
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
