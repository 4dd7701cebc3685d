"""When `listen` begins to listen, and what ends it beside the number of records."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.config.ours import write_aside
from xmppsh.errors import DeadlineExceeded, IoError, translate
from xmppsh.tasks import apart, running
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    import click

    from xmppsh.app.console import Console
    from xmppsh.session.session_port import Reader, SessionPort

FENCE_TRIES = 100
SILENT_S = 10.0
SILENT = (
    "the server has not confirmed our presence, our rooms or that nothing stored is left; a busy one takes minutes for "
    "that, and -W S waits no longer than S"
)


def open_fd(_ctx: click.Context, _param: click.Parameter, fd: int | None) -> int | None:
    """It must be open from the start: later, the number may be that of a file or a socket of our own."""
    if fd is not None:
        with translate(OSError, lambda reason: IoError(f"file descriptor {fd}: {reason.lower()}")):
            os.fstat(fd)
    return fd


class Ending:
    """What ends the reading beside the number of records: the time, or a beginning that failed.

    What is being printed then may fail: it is not dealt with before it is printed.
    """

    def __init__(self, wait_s: float | None, beginning: asyncio.Future[None], arrivals: Reader) -> None:
        self._wait_s, self._beginning, self._arrivals = wait_s, beginning, arrivals
        beginning.add_done_callback(self._on_begun)
        loop = asyncio.get_running_loop()
        self._is_late = False
        self._timer = None if wait_s is None else loop.call_later(wait_s, self._end_by_time)

    def _end_by_time(self) -> None:
        self._is_late = True
        self._arrivals.stop()

    def _on_begun(self, beginning: asyncio.Future[None]) -> None:
        if beginning.cancelled() or beginning.exception() is not None:
            self._arrivals.stop()

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
        within, hint = f"within {self._wait_s:.3g} s", "-W S waits longer"
        if count is None:
            unconfirmed = f"the server did not confirm our presence or rooms {within}"
            raise DeadlineExceeded(unconfirmed, layer="stream", hint=hint)
        raise DeadlineExceeded(f"{printed} of {count} records came {within}", layer="stanza", hint=hint)


@asynccontextmanager
async def until(wait_s: float | None, begin: Coroutine[None, None, None], arrivals: Reader) -> AsyncIterator[Ending]:
    """Begin while the arrivals are read: the ack of our presence may come after thousands of messages."""
    beginning = asyncio.ensure_future(begin)
    ending = Ending(wait_s, beginning, arrivals)
    try:
        yield ending
    finally:
        ending.cancel()
        await asyncio.gather(beginning, return_exceptions=True)


async def telling_of_silence(
    console: Console, session: SessionPort, begin: Coroutine[None, None, None], arrived: Callable[[], int]
) -> None:
    """Begin, and tell once where nothing arrives meanwhile: a busy server is silent for minutes, and so is a dead one.

    arrived: how many stanzas have been read so far.
    """
    async with running(begin) as (beginning,):
        before = arrived()
        while not (await asyncio.wait({beginning}, timeout=SILENT_S))[0]:
            if arrived() == before and not session.is_cut:
                console.log(0, SILENT)
                break
            before = arrived()
        await beginning


async def drained(session: SessionPort, arrived: Callable[[], int]) -> None:
    """Wait until nothing more comes: the server answers a ping after what it had for us, or soon after that.

    A session that is lost meanwhile has proved nothing: on the next one it is asked again, after our presence.
    """
    for _ in range(FENCE_TRIES):
        before = arrived()
        answered = [await session.requests.fence({session.jid.domainpart}) for _ in range(2)]
        if all(answered) and arrived() == before and not session.is_cut:
            return


async def tell_ready(console: Console, path: str | None, fd: int | None) -> None:
    """Tell the script that started us that messages are received from now on."""
    try:
        if path is not None:
            await apart(partial(_touch, Path(os.path.realpath(console.path(path)))))
        if fd is not None:
            await apart(partial(os.write, fd, b"ready\n"))
    except OSError as error:
        target = path if path is not None else f"file descriptor {fd}"
        raise IoError(f"{target}: {os_reason(error)}") from error


def _touch(path: Path) -> None:
    if path.exists() and not path.is_file():
        path.write_text("ready\n")  # a FIFO, whose reader waits for a line
        return
    write_aside(path, b"ready\n", 0o666)  # whoever starts us may run as somebody else
