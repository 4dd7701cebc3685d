"""Reads the cache of an account's contacts. It imports nothing: the Tab key waits for it (cli/tab.py)."""

from __future__ import annotations

import os

MAX_BYTES = 16 * 1024 * 1024
MAX_SHOWN = 1000  # that complete at once: nobody looks through more


def at_most(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Not more of them than MAX_SHOWN.

    The first and the last one by the alphabet are among them: a shell types what all answers have in common, which must
    be what all addresses have in common.
    """
    return rows if len(rows) <= MAX_SHOWN else [*rows[: MAX_SHOWN - 2], min(rows), max(rows)]


def read_contacts(path: str, begin: str = "") -> list[tuple[str, str]]:
    """Addresses with their names, a line each; none where it cannot be read, for whatever reason: it is only a help.

    begin: only those that begin so, whatever their case (it is casefolded already).
    A link and a file of another user count as such (as for config/ours.py, which is more than the Tab key can load).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, encoding="utf-8") as file:
            facts = os.fstat(fd)
            if facts.st_size > MAX_BYTES or facts.st_uid not in (os.geteuid(), 0):
                return []
            rows = [row.partition("\t") for row in file.read().split("\n") if row.casefold().startswith(begin)]
    except (OSError, ValueError):
        return []
    return [(address, name) for address, tab, name in rows if tab]
