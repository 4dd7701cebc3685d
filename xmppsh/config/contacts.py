"""Reads the cache of an account's contacts. It imports nothing: the Tab key waits for it (cli/tab.py)."""

from __future__ import annotations

import os

MAX_BYTES = 16 * 1024 * 1024


def read_contacts(path: str) -> list[tuple[str, str]]:
    """Addresses with their names, a line each; none where it cannot be read, for whatever reason: it is only a help."""
    try:
        if os.stat(path).st_size > MAX_BYTES:
            return []
        with open(path, encoding="utf-8") as file:
            rows = [row.partition("\t") for row in file.read().split("\n")]
    except (OSError, ValueError):
        return []
    return [(address, name) for address, tab, name in rows if tab]
