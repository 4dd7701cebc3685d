"""SCRAM (RFC 5802, RFC 7677): the arithmetic and the messages of both sides.

client-first → server-first → client-final → server-final. `c=` repeats the gs2 header, so nobody between the two can
change what was said of channel binding without breaking the proofs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

from xmppsh.plain import dataclass
from xmppsh.protocol.saslprep import saslprep

if TYPE_CHECKING:
    from collections.abc import Callable

    Pbkdf2 = Callable[[str, bytes, bytes, int], bytes]  # hash, password, salt, rounds

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
MIN_ITERATIONS = 4096  # RFC 7677 §4: a server that asks for less wants the password to be guessed
MAX_ITERATIONS = 10_000_000  # some seconds; more would be an attack on us
NONCE_BYTES = 24
SALT_BYTES = 16


class ScramError(ValueError):
    """A message that breaks the protocol, or a proof that is wrong; str() says which."""


def hash_of(mechanism: str) -> str:
    """The hash of `SCRAM-…` or `SCRAM-…-PLUS`, as hashlib calls it."""
    return HASHES[mechanism.removesuffix("-PLUS")]


def new_nonce() -> str:
    """Printable, without a comma, and nobody can guess it (RFC 5802 §5.1)."""
    return b2a_base64(os.urandom(NONCE_BYTES), newline=False).decode("ascii")


@dataclass(frozen=True)
class Verifier:
    """What a server keeps of a password (RFC 5802 §3): nobody can log in with it alone."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @classmethod
    def of(cls, mechanism: str, password: str, iterations: int = MIN_ITERATIONS, salt: bytes | None = None) -> Verifier:
        """Compute it. Raises NotAllowed for a password that cannot be used."""
        name = hash_of(mechanism)
        salt = os.urandom(SALT_BYTES) if salt is None else salt
        salted = hashlib.pbkdf2_hmac(name, saslprep(password)[0].encode(), salt, iterations)
        return cls(salt, iterations, _digest(name, _client_key(name, salted)), _server_key(name, salted))


class Client:
    """The client's side of one login.

    gs2_header: `n,,`, `y,,` or `p=…,,` (RFC 5802 §6); binding: the data of the channel for `p`; pbkdf2: hashes, where
    that is not hashlib's own.
    Raises NotAllowed for a name or a password that cannot be used; `is_prepared` is false when one has characters that
    SASLprep does not know and is used as it is.
    """

    def __init__(
        self,
        mechanism: str,
        username: str,
        password: str,
        *,
        gs2_header: str = "n,,",
        binding: bytes = b"",
        nonce: str | None = None,
        pbkdf2: Pbkdf2 | None = None,
    ) -> None:
        name, knows_name = saslprep(username)
        prepared, knows_password = saslprep(password)
        self.is_prepared = knows_name and knows_password
        self._hash, self._password = hash_of(mechanism), prepared.encode()
        self._nonce = new_nonce() if nonce is None else nonce
        self._pbkdf2 = pbkdf2 or hashlib.pbkdf2_hmac
        self._gs2_header, self._binding = gs2_header, binding
        escaped = name.replace("=", "=3D").replace(",", "=2C")
        self._first_bare = f"n={escaped},r={self._nonce}"
        self._server_signature: bytes | None = None

    def first(self) -> str:
        """client-first-message."""
        return self._gs2_header + self._first_bare

    def challenged(self, server_first: str) -> Callable[[], str]:
        """Check server-first-message; gives the work that computes client-final-message. Raises ScramError."""
        nonce, salt, iterations = _server_first(server_first, self._nonce)
        bound = _encoded(self._gs2_header.encode() + self._binding)
        without_proof = f"c={bound},r={nonce}"
        auth_message = f"{self._first_bare},{server_first},{without_proof}".encode()

        def work() -> str:
            salted = self._pbkdf2(self._hash, self._password, salt, iterations)
            client_key = _client_key(self._hash, salted)
            proof = _xor(client_key, _hmac(self._hash, _digest(self._hash, client_key), auth_message))
            self._server_signature = _hmac(self._hash, _server_key(self._hash, salted), auth_message)
            return f"{without_proof},p={_encoded(proof)}"

        return work

    def verify(self, server_final: str) -> None:
        """Check the server's proof that it knows the password; raises ScramError."""
        name, _, value = server_final.partition(",")[0].partition("=")
        if name == "e":
            raise ScramError(f"it says {value[:64]}")
        if name != "v" or self._server_signature is None:
            raise ScramError("its last message has no proof")
        if not hmac.compare_digest(_decoded(value), self._server_signature):
            raise ScramError("its proof is another one")


class Server:
    """The server's side of one login. find: the verifier of a name, None for a user who is not known."""

    def __init__(self, mechanism: str, find: Callable[[str], Verifier | None], nonce: str | None = None) -> None:
        self._hash, self._find = hash_of(mechanism), find
        self._nonce = new_nonce() if nonce is None else nonce
        self._gs2_header = self._first_bare = self._server_first = ""
        self._verifier: Verifier | None = None

    def first(self, client_first: str) -> str:
        """server-first-message for client-first-message; raises ScramError."""
        flag, authzid, bare = [*client_first.split(",", 2), "", ""][:3]
        if flag not in ("n", "y") or authzid:
            raise ScramError("channel binding and other identities are not offered")
        parts = bare.split(",")
        if len(parts) < 2 or not parts[0].startswith("n=") or not parts[1].startswith("r=") or len(parts[1]) < 3:
            raise ScramError("its first message has no name or no nonce")
        self._gs2_header, self._first_bare = f"{flag},,", bare
        self._nonce = parts[1][2:] + self._nonce
        self._verifier = self._find(parts[0][2:].replace("=2C", ",").replace("=3D", "="))
        if self._verifier is None:
            raise ScramError("nobody has that name")
        salt = _encoded(self._verifier.salt)
        self._server_first = f"r={self._nonce},s={salt},i={self._verifier.iterations}"
        return self._server_first

    def final(self, client_final: str) -> str:
        """server-final-message for client-final-message; raises ScramError when it proves nothing."""
        without_proof, _, proof = client_final.rpartition(",p=")
        if self._verifier is None or without_proof != f"c={_encoded(self._gs2_header.encode())},r={self._nonce}":
            raise ScramError("its last message does not fit the first")
        auth_message = f"{self._first_bare},{self._server_first},{without_proof}".encode()
        signature = _hmac(self._hash, self._verifier.stored_key, auth_message)
        given = _decoded(proof)
        if len(given) != len(signature):
            raise ScramError("its proof has another length")
        if not hmac.compare_digest(_digest(self._hash, _xor(given, signature)), self._verifier.stored_key):
            raise ScramError("its proof is another one")
        return f"v={_encoded(_hmac(self._hash, self._verifier.server_key, auth_message))}"


def _server_first(message: str, own_nonce: str) -> tuple[str, bytes, int]:
    """Nonce, salt and iterations; RFC 5802 sets no least length for the salt, but none at all is no salt."""
    parts = message.split(",")
    if parts[0].startswith("m="):
        raise ScramError("it wants an extension that we do not know")
    values = [part[2:] for part, name in zip(parts, "rsi", strict=False) if part.startswith(f"{name}=")]
    if len(values) != 3:
        raise ScramError("it has not nonce, salt and iterations in this order")
    nonce, salt, iterations = values
    if not salt:
        raise ScramError("its salt is empty")
    if not nonce.startswith(own_nonce) or len(nonce) == len(own_nonce):
        raise ScramError("its nonce does not continue ours")
    if not (iterations.isascii() and iterations.isdigit() and len(iterations) <= 9):
        raise ScramError("its number of iterations is none")
    if not MIN_ITERATIONS <= int(iterations) <= MAX_ITERATIONS:
        raise ScramError(f"{iterations} iterations are not from {MIN_ITERATIONS} to {MAX_ITERATIONS}")
    return nonce, _decoded(salt), int(iterations)


def _hmac(name: str, key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, name)


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data).digest()


def _client_key(name: str, salted: bytes) -> bytes:
    return _hmac(name, salted, b"Client Key")


def _server_key(name: str, salted: bytes) -> bytes:
    return _hmac(name, salted, b"Server Key")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _encoded(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ScramError("it has a value that is not base64") from error
