"""Signals ask for the end, once; they never do anything themselves. There is one close, and it runs in the command."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # what `signal` wraps
import asyncio
import os
from functools import cached_property, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Shutdown:
    """What the outside has asked for.

    signal_number: the first signal; output_closed: the reader of stdout has gone.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.output_closed = False
        self.on_request: Callable[[], object] = lambda: None
        self.on_interrupt: Callable[[], bool] | None = None  # the shell's prompt may take a SIGINT for itself

    @cached_property
    def hurry(self) -> asyncio.Event:
        """Set once a second signal came."""
        return asyncio.Event()

    def install(self) -> None:
        """Take the signals over; an inherited ignore of SIGHUP (nohup) is kept.

        Not by the loop's `add_signal_handler`, which loads `inspect`, nor by `signal.signal`, which does so to look for
        the former handler among its enums. The pipe is what wakes the loop: a signal that comes between the last
        instruction of Python and the wait for what is next would be heard with the next event only.
        """
        loop = asyncio.get_running_loop()
        woken, wakes = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wakes, False)
        loop.add_reader(woken, os.read, woken, 4096)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        for number in HANDLED:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            signal.signal(number, partial(self._came, loop))

    def _came(self, loop: asyncio.AbstractEventLoop, number: int, _frame: object) -> None:
        """A signal came, perhaps in the middle of anything: the loop takes it in its next turn, while there is one."""
        if loop.is_closed():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        else:
            loop.call_soon_threadsafe(self.request, number)

    def request(self, number: int) -> None:
        """A signal came."""
        if number == signal.SIGINT and self.on_interrupt is not None and self.on_interrupt():
            return
        if self.signal_number is not None:
            self.hurry.set()
            return
        self.signal_number = number
        self.on_request()

    def end_quietly(self) -> None:
        """stdout was closed by its reader: end as if the work was done."""
        self.output_closed = True
        self.on_request()
