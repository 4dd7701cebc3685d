"""Stanza ids and resources."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xmppsh.model import Jid

LETTERS, SIGNS = "abcdefghijkmnpqrstuvwxyz", "abcdefghijkmnpqrstuvwxyz23456789"  # none that look alike
BESIDE_SIGNS = 8


def new_id() -> str:
    """A stanza id or a resource that nobody can guess (RFC 6120 §8.1.3).

    It begins with a letter and holds no sign that a shell, a command line or a URI gives a meaning to.
    """
    return f"x{secrets.token_hex(8)}"


def beside(jid: Jid) -> Jid:
    """An address next to this one, as `alerts.k3f9…` is next to `alerts`: a session there replaces none that runs."""
    if jid.resourcepart is None:
        return jid
    random = secrets.choice(LETTERS) + "".join(secrets.choice(SIGNS) for _ in range(BESIDE_SIGNS - 1))
    return jid.with_resource(f"{jid.resourcepart}.{random}")
