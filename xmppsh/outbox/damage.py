"""A file that is no outbox any more: what it is called, and where it goes."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.errors import IoError, translate

if TYPE_CHECKING:
    from pathlib import Path


class DamagedStore(IoError):
    """The file is no outbox any more, and never will be one again."""


def moved_aside(path: Path) -> Path:
    """Give the file, and what SQLite keeps beside it, a name of its own; raises IoError. Returns that name."""
    there = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    with translate(OSError, lambda reason: IoError(f"{path}: {reason.lower()}")):
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(FileNotFoundError):  # another process may have been faster
                path.with_name(path.name + suffix).rename(there.with_name(there.name + suffix))
    return there
