"""The terminal that the shell draws on. It may be slow, or stopped by Ctrl-S: nothing of the shell waits for it."""

from __future__ import annotations

import asyncio
import os
import select
import time
from typing import TYPE_CHECKING

from xmppsh.output.streams import unblocked

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING_BYTES = 256 * 1024
PATIENCE_S, PAUSE_S = 1, 0.05
PIECE_BYTES = 4096
# A terminal that polls writable takes this much without blocking, mostly: Linux hands its space out by 256 bytes, and a
# newline becomes two. A pipe takes PIPE_BUF, a terminal does not.
TAKEN_BYTES = 128


class Terminal:
    """The file that prompt_toolkit draws on. One that hung up takes nothing; the keyboard tells of that.

    What it does not take at once waits in memory and follows by itself. Who prints messages waits for `ready` before
    each; what is drawn meanwhile comes after the rest, and past MAX_WAITING_BYTES is left out: then `on_gap` is called
    once all else is on the terminal.
    """

    encoding = "utf-8"

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._own = unblocked(fd)
        self._out, self._piece_bytes = (fd, TAKEN_BYTES) if self._own is None else (self._own, PIECE_BYTES)
        self._waiting = bytearray()
        self._ready = asyncio.Event()
        self._ready.set()
        self._has_gap = False
        self.on_gap: Callable[[], None] = lambda: None
        self.last = ""  # what was written last

    def write(self, text: str) -> None:
        """Write it, or keep it until the terminal takes it."""
        self.last, data = text, text.encode("utf-8", "replace")
        if len(self._waiting) + len(data) > MAX_WAITING_BYTES and self._waiting:
            self._has_gap = True
            return
        self._waiting += data
        if self._ready.is_set():
            self._write_some()
            if self._waiting:
                self._ready.clear()
                self._loop = asyncio.get_running_loop()
                self._watch()

    async def ready(self) -> None:
        """Wait until all that was written is on the terminal."""
        await self._ready.wait()

    @property
    def is_ready(self) -> bool:
        """Is it?"""
        return self._ready.is_set()

    def push(self) -> None:
        """The same before another program writes there, or at the end: what a terminal that stands still does not take
        within PATIENCE_S is dropped."""
        given_up_at = time.monotonic() + PATIENCE_S
        while self._waiting and time.monotonic() < given_up_at:
            if self._write_some():
                given_up_at = time.monotonic() + PATIENCE_S
            else:
                time.sleep(PAUSE_S)
        self._waiting.clear()
        self._is_through()

    def close(self) -> None:
        """All is written; what comes yet is written as it was before."""
        self.push()
        if self._own is not None:
            os.close(self._own)
            self._own, self._out, self._piece_bytes = None, self._fd, TAKEN_BYTES

    def _go_on(self) -> None:
        if not self._write_some():
            # It polls writable all the time where there is room for one byte, and a newline takes two.
            self._loop.remove_writer(self._out)
            self._loop.call_later(PAUSE_S, self._watch)
        self._is_through()

    def _watch(self) -> None:
        if self._waiting:
            self._loop.add_writer(self._out, self._go_on)

    def _write_some(self) -> bool:
        """Write what the terminal takes now; was that anything?"""
        before = len(self._waiting)
        poll = select.poll()
        poll.register(self._out, select.POLLOUT)
        try:
            while self._waiting and poll.poll(0):
                del self._waiting[: os.write(self._out, self._waiting[: self._piece_bytes])]
        except BlockingIOError:
            pass
        except OSError:
            self._waiting.clear()
        return len(self._waiting) < before

    def _is_through(self) -> None:
        if self._waiting or self._ready.is_set():
            return
        self._loop.remove_writer(self._out)
        self._ready.set()
        if self._has_gap:
            self._has_gap = False
            self.on_gap()

    def flush(self) -> None:
        """Nothing is held back that the terminal would take."""

    def fileno(self) -> int:
        """The terminal's file descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """It is one."""
        return True
