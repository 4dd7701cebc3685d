"""The keyboard of the interactive shell: prompt_toolkit's input, and what commands read."""

from __future__ import annotations

import os
import select
import sys
import termios
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from prompt_toolkit.input.vt100 import Vt100Input

from xmppsh.output.streams import InputStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

CHARACTERS = 6  # where tcgetattr has the special ones


class Keyboard(Vt100Input):
    """stdin. A terminal that hung up is the end of input (prompt_toolkit alone would read its EIO for ever)."""

    @property
    def closed(self) -> bool:
        """Has the terminal gone?"""
        poll = select.poll()
        poll.register(self.fileno(), 0)
        return super().closed or any(events & (select.POLLHUP | select.POLLNVAL) for _, events in poll.poll(0))


class Reading(InputStream):
    """stdin for the commands of the shell. reads: says that somebody reads."""

    def __init__(self, fd: int, reads: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(fd)
        self._reads = reads

    async def read(self) -> bytes:
        """The next lines, as they are typed; empty at Ctrl-D."""
        with self._reads():
            return await super().read()


def keyboard() -> Keyboard:
    """The keyboard on stdin."""
    return Keyboard(sys.stdin)


@contextmanager
def unsuspended(fd: int) -> Iterator[None]:
    """On this terminal Ctrl-Z is a key, also while a command runs: a shell that is stopped loses its session."""
    try:
        before, now = termios.tcgetattr(fd), termios.tcgetattr(fd)
    except termios.error:  # it hung up
        yield
        return
    now[CHARACTERS][termios.VSUSP] = bytes([os.fpathconf(fd, "PC_VDISABLE")])
    with suppress(termios.error):
        termios.tcsetattr(fd, termios.TCSANOW, now)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSANOW, before)
