"""The help of each command as text made before, so that reading it loads nothing: `python tests/arch/reference.py`."""

from __future__ import annotations

import os

FILE = os.path.join(os.path.dirname(__file__), "help.txt")
BREAK = "\f"  # before each text, which begins with a line of its own: the words of its command
ASKING = ("-h", "--help")


def kept_help(words: list[str]) -> bytes | None:
    """The text for `COMMAND… --help`; None for other words, and for a command that the file does not have."""
    if not words or words[-1] not in ASKING or any(word.startswith("-") for word in words[:-1]):
        return None
    try:
        with open(FILE, "rb") as file:
            texts = file.read()
    except OSError:
        return None
    _, found, rest = texts.partition(f"{BREAK}{' '.join(words[:-1])}\n".encode("utf-8", "surrogateescape"))
    return rest.partition(BREAK.encode())[0] if found else None
