"""Waiting for what no event tells: a process, a file, a server's own view."""

import asyncio
import time
from collections.abc import Callable

POLL_S = 0.01


async def until(happened: Callable[[], bool], within_s: float) -> bool:
    """Wait until it has happened; False: it had not at the deadline."""
    deadline = time.monotonic() + within_s
    while not happened():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True
