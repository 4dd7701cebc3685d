"""FAST (XEP-0484): a token from the server instead of the password, in one message and its answer.

The mechanisms are HT-HASH-BINDING (draft-schmaus-kitten-sasl-ht): both sides prove the token by HMAC, so a success
counts only with the server's proof. BINDING names what of the TLS channel goes into it: NONE, ENDP (the certificate).
"""

from __future__ import annotations

import hmac
from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh.errors import ProtocolError
from xmppsh.plain import dataclass
from xmppsh.protocol.sasl import BROKEN_HINT, IMPOSTOR_HINT

if TYPE_CHECKING:
    from collections.abc import Collection

HASHES = {"HT-SHA-512": "sha512", "HT-SHA-256": "sha256"}  # the strongest first
BINDINGS = ("ENDP", "NONE")  # EXPR and UNIQ want what Python's ssl does not give under TLS 1.3


@dataclass(frozen=True)
class Token:
    """One token, to be kept as a password is.

    mechanism: the only one that it can be used with; expiry: as the server writes it (XEP-0082), empty when it does not
    say; by: the mechanism of the login that brought the token: a later login with the password must not be weaker.
    """

    mechanism: str
    secret: str = field(repr=False)
    expiry: str
    by: str


@dataclass(frozen=True)
class Client:
    """What we are to a server that gives tokens.

    id: a UUID v4 that never changes for this account on this machine (XEP-0388 §2.3); token: the one that is kept.
    """

    id: str
    token: Token | None = None


def best(offered: Collection[str], *, can_bind: bool) -> str | None:
    """The mechanism to ask a token for: bound to the channel where that is possible."""
    for binding in BINDINGS if can_bind else BINDINGS[1:]:
        for name in HASHES:
            if f"{name}-{binding}" in offered:
                return f"{name}-{binding}"
    return None


class Exchange:
    """One login by token (sasl.Exchange). binding: the data of the channel for ENDP."""

    is_prepared = True

    def __init__(self, token: Token, username: str, binding: bytes) -> None:
        self.name, self._username = token.mechanism, username
        self._key = token.secret.encode()
        self._hash = HASHES[token.mechanism.rpartition("-")[0]]
        self._binding = binding if token.mechanism.endswith("-ENDP") else b""

    def initial(self) -> bytes:
        """Our name and our proof."""
        return self._username.encode() + b"\0" + self._proof(b"Initiator")

    def challenged(self, _data: bytes) -> bytes:
        """There are no challenges."""
        raise ProtocolError(
            f"the server challenges {self.name}, which knows no challenges", layer="sasl", hint=BROKEN_HINT
        )

    def succeeded(self, data: bytes | None) -> None:
        """Check the server's proof; raises ProtocolError."""
        if not hmac.compare_digest(data or b"", self._proof(b"Responder")):
            raise ProtocolError(
                "the server says success without proving that it knows the token",
                layer="sasl",
                hint=IMPOSTOR_HINT,
            )

    def _proof(self, who: bytes) -> bytes:
        return hmac.digest(self._key, who + self._binding, self._hash)
