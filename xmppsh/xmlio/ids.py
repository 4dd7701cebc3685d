"""Stanza ids."""

from __future__ import annotations

import secrets


def new_id() -> str:
    """A stanza id that nobody can guess (RFC 6120 §8.1.3)."""
    return secrets.token_hex(8)
