"""Stanza ids and resources."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xmppsh.model import Jid

LETTERS, SIGNS = "abcdefghijkmnpqrstuvwxyz", "abcdefghijkmnpqrstuvwxyz23456789"  # none that look alike
BESIDE_SIGNS = 8


def new_id() -> str:
    """A stanza id or a resource that nobody can guess (RFC 6120 §8.1.3).

    It begins with a letter and holds no sign that a shell, a command line or a URI gives a meaning to.
    """
    return f"x{os.urandom(8).hex()}"


class Series:
    """Ids of one sender's many stanzas: one random part for all of them, and a counter."""

    def __init__(self) -> None:
        self._random, self._count = new_id(), 0

    def take(self, count: int) -> tuple[str, int]:
        """What the next `count` ids begin with, and the number that ends the first of them."""
        first = self._count
        self._count += count
        return f"{self._random}n", first


def beside(jid: Jid) -> Jid:
    """An address next to this one, as `alerts.k3f9…` is next to `alerts`: a session there replaces none that runs."""
    if jid.resourcepart is None:
        return jid
    first, *others = os.urandom(BESIDE_SIGNS)  # it need not be evenly drawn
    signs = (SIGNS[other % len(SIGNS)] for other in others)
    return jid.with_resource(f"{jid.resourcepart}.{LETTERS[first % len(LETTERS)]}{''.join(signs)}")
