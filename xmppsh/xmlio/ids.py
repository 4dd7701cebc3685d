"""Stanza ids and resources."""

from __future__ import annotations

import secrets


def new_id() -> str:
    """A stanza id or a resource that nobody can guess (RFC 6120 §8.1.3).

    It begins with a letter and holds no sign that a shell, a command line or a URI gives a meaning to.
    """
    return f"x{secrets.token_hex(8)}"
