"""Script mode: the shell's lines from a stdin that is no terminal; no prompt, and an exit code to trust."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xmppsh.errors import DataError, XmppshError
from xmppsh.output.streams import InputStream
from xmppsh.shell.lines.failure import report, with_text
from xmppsh.shell.lines.interpreter import Interpreter, Quit
from xmppsh.shell.lines.of_file import Lines
from xmppsh.shell.lines.sent import Place, Sent
from xmppsh.shell.shown.printer import Printer, WholeRecords
from xmppsh.shell.surroundings import Surroundings
from xmppsh.tasks import ended, running, unless

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from xmppsh.app.app import App
    from xmppsh.model import Element
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.session import Session
    from xmppsh.shell.lines.desk import Desk

MAX_LINE_BYTES = 1024 * 1024
WINDOW = 1000  # unacknowledged stanzas; past it stdin is not read


async def run_script(app: App, session: Session, arrivals: Inbox, desk: Desk, *, stop_on_error: bool) -> None:
    """Carry out stdin's lines. At the end everything is acknowledged, or raises what failed.

    stop_on_error: end at the first error and raise it; otherwise the last failed line decides the exit code.
    """
    app.console.stdout = output = WholeRecords(app.console.stdout.fd)
    with _no_input() as no_input:
        desk.stdin = no_input
        script = Script(app, session, desk, stop_on_error=stop_on_error)
        printer = Printer(app, session, arrivals, script.is_reported)
        surroundings = Surroundings(app, session, desk, script.sent, script.interpreter.own.left).read(tells=False)
        if desk.availability is not None:
            session.broadcast_presence(desk.availability)
        async with running(printer.run()) as (watch,), running(script.sent.collect(), surroundings):
            try:
                await unless(watch, asyncio.ensure_future(script.play()))
                await unless(watch, asyncio.ensure_future(script.settle()))
            except XmppshError:
                if session.is_over:  # what the server never acknowledged may have arrived: that has its own code
                    await session.acked(session.sent_count, since=0)
                raise
            async with output.lock:  # never in the middle of a record
                await ended(watch)
    script.judge()


@contextmanager
def _no_input() -> Iterator[InputStream]:
    """stdin for the commands of a script: the script's own lines are not theirs to read."""
    fd = os.open(os.devnull, os.O_RDONLY)
    try:
        yield InputStream(fd)
    finally:
        os.close(fd)


class Script:
    """One run through stdin's lines."""

    def __init__(self, app: App, session: Session, desk: Desk, *, stop_on_error: bool) -> None:
        self.sent = Sent(session, self._fail)
        self._app, self._session = app, session
        self.interpreter = Interpreter(app, session, self.sent, desk)
        self._stop_on_error = stop_on_error
        self._stopped = asyncio.Event()
        self._failed: dict[int, XmppshError] = {}
        self._unread: XmppshError | None = None  # why stdin was not read to its end
        self._lines = Lines(session, app.limits, self.interpreter.carry_out, self.interpreter.send)

    def is_reported(self, stanza: Element) -> bool:
        """Does a line of ours, or the command that runs, tell of this bounce?"""
        return self.interpreter.reports_bounces or self.sent.place_of(stanza) is not None

    async def play(self) -> None:
        """Carry out every line; with -e, up to the first error, be it a bounce that comes while we wait for a line."""
        async with running(self._stopped.wait()) as (stopped,):
            lines = asyncio.ensure_future(self._play())
            try:
                await asyncio.wait({lines, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await ended(lines)
            if not lines.cancelled():
                lines.result()

    async def _play(self) -> None:
        lines = _lines(self._app.console.stdin)
        while not self._stopped.is_set():
            try:
                if (data := await self._next(lines)) is None:
                    break
                await self._lines.take(data)
                await self._session.wait_for_window(WINDOW)
            except Quit:
                return
            except XmppshError as error:
                if self._session.is_over:
                    raise
                self._fail(self._lines.place, error)
        try:
            self._lines.end()
        except XmppshError as error:
            self._fail(self._lines.place, error)

    async def _next(self, lines: AsyncIterator[bytes]) -> bytes | None:
        """The next line; None where there is no more, or where stdin cannot be read on."""
        try:
            return await anext(lines, None)
        except XmppshError as error:
            self._unread = error
            return None

    def _fail(self, place: Place, error: XmppshError) -> None:
        if self._stop_on_error and self._failed:
            return
        self._failed[place.number] = error
        if self._stop_on_error:
            self._stopped.set()
        else:
            report(self._app, error)

    async def settle(self) -> None:
        """Wait until the server has everything, and until what bounces at once has come back."""
        await asyncio.gather(
            self._session.acked(self._session.sent_count, since=0), self._session.requests.fence(self.sent.addresses)
        )

    def judge(self) -> None:
        """Raise what decides the exit code: the error that stopped us, or that of the last line that failed."""
        if self._unread is not None and not (self._failed and self._stop_on_error):
            raise self._unread
        if not self._failed:
            return
        last = self._failed[max(self._failed)]
        if self._stop_on_error:
            raise last
        count = len(self._failed)
        summary = f"{count} line{' has' if count == 1 else 's have'} failed, the last is line {max(self._failed)}"
        raise with_text(last, summary, hint=None)


async def _lines(stdin: InputStream) -> AsyncIterator[bytes]:
    """The lines of stdin without their newline, each as it comes."""
    rest = b""
    while chunk := await stdin.read():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > MAX_LINE_BYTES:
            raise DataError(f"a line of stdin is longer than {MAX_LINE_BYTES} bytes")
    if rest:
        yield rest
