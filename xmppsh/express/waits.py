"""Waiting for a descriptor without an event loop: until it is ready, the deadline has passed, or a signal has come."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # see agent/thin.py
import os
import select
import time
from _thread import start_new_thread  # `threading` costs milliseconds
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

HANDLED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)


class Stopped(BaseException):
    """A signal asks for the end. It is raised where something is waited for, and nowhere else."""


class Waits:
    """Takes the signals over, as app/shutdown.py does on a loop, until it is closed. number: the first that came.

    An ignored SIGHUP stays ignored (nohup). What wakes a wait is the pipe: a signal that comes right before it would be
    heard too late otherwise.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._came = self._heard = 0
        self._woken, wakes = os.pipe()
        self._ends = (self._woken, wakes)
        for end in self._ends:
            os.set_blocking(end, False)
        _signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        self._before = {number: _signal.getsignal(number) for number in HANDLED}
        for number, handler in self._before.items():
            if number != _signal.SIGHUP or handler != _signal.SIG_IGN:
                _signal.signal(number, self._note)

    @property
    def code(self) -> int | None:
        """The exit code of a program that the signal ends, as a shell counts; None where none has come."""
        return None if self.number is None else 128 + self.number

    def _note(self, number: int, _frame: object) -> None:
        self._came += 1
        self.number = self.number or number

    def close(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            _signal.signal(number, handler)
        _signal.set_wakeup_fd(-1)
        for end in self._ends:
            os.close(end)

    def apart(self, work: Callable[[], T], deadline: float) -> T:
        """What `work` returns or raises, from a daemon thread: it may take longer than anybody wants to wait."""
        results: list[T] = []
        failures: list[Exception] = []
        done, tells = os.pipe()

        def run() -> None:
            try:
                results.append(work())
            except Exception as error:  # whatever it is, it belongs to who asked (tasks.apart)
                failures.append(error)
            os.write(tells, b".")

        start_new_thread(run, ())
        self.until(done, select.POLLIN, deadline)
        os.close(done)
        os.close(tells)
        if failures:
            raise failures[0]
        return results[0]

    def until(self, fd: int, event: int, deadline: float) -> None:
        """Wait for a poll event; deadline: in time.monotonic(). Raises TimeoutError; Stopped once for each signal."""
        poll = select.poll()
        poll.register(fd, event)
        poll.register(self._woken, select.POLLIN)
        while True:
            if self._came > self._heard:
                self._heard += 1
                raise Stopped
            left_s = deadline - time.monotonic()
            ready = dict(poll.poll(None if left_s > 1e6 else max(0.0, left_s) * 1000))
            if fd in ready:
                return
            if self._woken in ready:
                os.read(self._woken, 4096)
            elif left_s <= 0:
                raise TimeoutError
