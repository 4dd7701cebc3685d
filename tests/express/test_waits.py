"""Waiting without an event loop: for work in a thread, until a signal comes or the deadline has passed."""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from xmppsh.express.waits import Stopped, Waits

NO_DEADLINE = float("inf")


@pytest.fixture
def waits() -> Iterator[Waits]:
    waits = Waits()
    yield waits
    waits.close()


def test_what_the_work_raises_is_raised_where_it_is_waited_for(waits: Waits) -> None:
    def fails() -> None:
        raise ValueError("no such hash")

    with pytest.raises(ValueError, match="no such hash"):
        waits.apart(fails, NO_DEADLINE)


def test_work_that_takes_too_long_is_left_to_itself(waits: Waits) -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError):
        waits.apart(release.wait, time.monotonic())
    release.set()


def test_each_signal_stops_one_wait_and_the_first_one_makes_the_exit_code(waits: Waits) -> None:
    never, end = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.raise_signal(number)
    for _ in range(2):
        with pytest.raises(Stopped):
            waits.until(never, select.POLLIN, NO_DEADLINE)
    with pytest.raises(TimeoutError):
        waits.until(never, select.POLLIN, time.monotonic())
    assert waits.code == 128 + signal.SIGTERM
    os.close(never)
    os.close(end)
