"""The terminal of the shell as a command gets it: whether one reads it, and that Ctrl-Z is a key."""

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from xmppsh.shell.shown.keyboard import CHARACTERS, Reading, unsuspended


async def test_who_reads_the_terminal_is_known_until_a_line_has_come() -> None:
    master, slave = os.openpty()
    told = []

    @contextmanager
    def reads() -> Iterator[None]:
        told.append("reads")
        os.write(master, b"a line\n")
        yield
        told.append("has read")

    assert await Reading(slave, reads).read() == b"a line\n"
    assert told == ["reads", "has read"]
    os.close(master)
    os.close(slave)


def test_ctrl_z_is_a_key_and_afterwards_it_suspends_again() -> None:
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    with unsuspended(slave):
        assert termios.tcgetattr(slave)[CHARACTERS][termios.VSUSP] == bytes([os.fpathconf(slave, "PC_VDISABLE")])
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_a_terminal_that_hung_up_is_left_alone() -> None:
    master, slave = os.openpty()
    os.close(master)
    with unsuspended(slave):
        assert os.isatty(slave) is False
    os.close(slave)
