"""Wait for what no event tells: another process's files, its end, what a server says when it is asked."""

import asyncio
from collections.abc import Callable
from pathlib import Path

POLL_S = 0.01
# Bounds a hang and nothing else, on a machine ten times slower, too; servers keep a lost session for longer.
DEADLINE_S = 60.0


async def until(holds: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until this is so; fails, naming `what`, when it is not within the deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    while not holds():
        assert loop.time() < deadline, f"never: {what}"
        await asyncio.sleep(POLL_S)


def is_running(pid: int) -> bool:
    """Is the process there? Neither ended nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
