"""SASL (RFC 6120 §6): which mechanism, and the order of its steps. The SCRAM arithmetic is scramp's.

Nothing outside the list below is ever used: SCRAM, PLAIN under TLS, EXTERNAL with a certificate, ANONYMOUS when asked
for. Success counts only after the server has proved that it knows the password (RFC 5802 §5).
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from xmppsh.errors import ProtocolError, SaslError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xmppsh.model import Credentials, Jid

END_POINT = "tls-server-end-point"  # RFC 5929 §4, the one channel binding that Python can compute under TLS 1.3
HASHES = ("SHA-512", "SHA-256", "SHA-1")  # the strongest first
SCRAM = (*(f"SCRAM-{name}-PLUS" for name in HASHES), *(f"SCRAM-{name}" for name in HASHES))
BINDING_HASHES = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
NO_HASH = frozenset({"ed25519", "ed448"})
MECHANISMS = ("EXTERNAL", "ANONYMOUS", *SCRAM, "PLAIN")


class Exchange(Protocol):
    """One authentication, step by step; bytes are before base64."""

    name: str

    def initial(self) -> bytes:
        """The initial response (RFC 6120 §6.4.2)."""

    def challenged(self, data: bytes) -> bytes | Callable[[], bytes]:
        """Answer a challenge, or give the work that computes the answer."""

    def succeeded(self, data: bytes | None) -> None:
        """Check the server's `<success/>`; raises ProtocolError when it proves nothing."""


class _OneStep:
    """PLAIN, EXTERNAL and ANONYMOUS: a single message, no challenge."""

    def __init__(self, name: str, message: bytes) -> None:
        self.name, self._message = name, message

    def initial(self) -> bytes:
        return self._message

    def challenged(self, data: bytes) -> bytes:
        raise ProtocolError(f"the server challenges {self.name}, which knows no challenges", layer="sasl")

    def succeeded(self, data: bytes | None) -> None:
        """RFC 4616, RFC 4422 Appendix A, RFC 4505: nothing to check."""


class _Scram:
    """SCRAM (RFC 5802, RFC 7677): client-first, server-first, client-final, server-final."""

    def __init__(self, name: str, username: str, password: str, channel_binding: tuple[str, bytes] | None) -> None:
        import scramp

        self.name = name
        try:
            self._client: Any = scramp.ScramClient([name], username, password, channel_binding=channel_binding)
        except scramp.ScramException as error:
            raise SaslError(f"the name or the password cannot be used with {name} ({error})") from error
        self._server_final_expected = False
        self._verified = False

    def initial(self) -> bytes:
        first: str = self._client.get_client_first()
        return first.encode()

    def challenged(self, data: bytes) -> bytes | Callable[[], bytes]:
        message = _text(data)
        if self._server_final_expected:
            self._verify(message)
            return b""
        # scramp refuses a nonce that does not extend ours, and iterations outside 4096 … 10 million.
        with _scram_fault("the server's SCRAM challenge is wrong"):
            self._client.set_server_first(message)
        self._server_final_expected = True
        return self._client_final

    def _client_final(self) -> bytes:
        final: str = self._client.get_client_final()
        return final.encode()

    def _verify(self, server_final: str) -> None:
        with _scram_fault("the server could not prove that it knows the password"):
            self._client.set_server_final(server_final)
        self._verified = True

    def succeeded(self, data: bytes | None) -> None:
        if data is not None and self._server_final_expected and not self._verified:
            self._verify(_text(data))
        if not self._verified:
            raise ProtocolError(
                "the server says success without proving that it knows the password",
                layer="sasl",
                hint="somebody may stand between you and the server",
            )


@contextmanager
def _scram_fault(sentence: str) -> Iterator[None]:
    from scramp import ScramException

    try:
        yield
    except ScramException as error:
        raise ProtocolError(f"{sentence} ({error})", layer="sasl") from error


def choose(
    jid: Jid,
    credentials: Credentials,
    offered: frozenset[str],
    *,
    secure: bool,
    binding_types: frozenset[str],
    certificate: bytes | None,
) -> Exchange:
    """Pick the strongest mechanism that is offered, allowed here, and possible with what we have.

    secure: is TLS up; binding_types: the server's list of channel bindings (XEP-0440);
    certificate: the server's, DER.
    Raises SaslError when none is left.
    """
    end_point = None if certificate is None else channel_binding(certificate)
    bound = end_point is not None and END_POINT in binding_types
    for name in MECHANISMS:
        if name in offered and _possible(name, credentials, secure=secure, bound=bound):
            return _exchange(name, jid, credentials, offered, end_point)
    raise _none_left(jid, credentials, offered, secure=secure)


def channel_binding(certificate: bytes) -> bytes | None:
    """The data of `tls-server-end-point`: the certificate's hash by its own signature's algorithm (RFC 5929 §4.1)."""
    from asn1crypto.x509 import Certificate

    try:
        parsed = Certificate.load(certificate, strict=True)
        signature = parsed["signature_algorithm"]
        algorithm = None if signature.signature_algo in NO_HASH else signature.hash_algo
    except (ValueError, TypeError, KeyError):
        return None
    if algorithm not in BINDING_HASHES:
        return None  # RFC 5929 defines none for signatures without a hash of their own
    return hashlib.new("sha256" if algorithm in ("md5", "sha1") else algorithm, certificate).digest()


def _possible(name: str, credentials: Credentials, *, secure: bool, bound: bool) -> bool:
    if credentials.mechanism is not None and name != credentials.mechanism.upper():
        return False
    if credentials.anonymous:
        return name == "ANONYMOUS"
    if name == "EXTERNAL":
        return credentials.certificate
    if name == "ANONYMOUS" or credentials.password is None:
        return False
    if name == "PLAIN":
        return secure
    return bound or not name.endswith("-PLUS")


def _exchange(
    name: str, jid: Jid, credentials: Credentials, offered: frozenset[str], end_point: bytes | None
) -> Exchange:
    if name == "EXTERNAL":
        return _OneStep(name, str(jid.bare).encode())  # XEP-0178 §2
    if name == "ANONYMOUS":
        return _OneStep(name, b"")
    localpart, password = jid.localpart or "", credentials.password or ""
    if name == "PLAIN":
        return _OneStep(name, b"\0".join((b"", localpart.encode(), password.encode())))
    # RFC 5802 §6: "y" says that we could bind and believe the server cannot, so it may stand only where no -PLUS
    # is offered; where one is offered that we cannot use, the truth is "n".
    any_plus = any(mechanism.endswith("-PLUS") for mechanism in offered)
    binding = (END_POINT, end_point) if end_point is not None and (name.endswith("-PLUS") or not any_plus) else None
    return _Scram(name, localpart, password, binding)


def _none_left(jid: Jid, credentials: Credentials, offered: frozenset[str], *, secure: bool) -> SaslError:
    names = ", ".join(sorted(offered)) or "none"
    if credentials.mechanism is not None:
        wanted = credentials.mechanism.upper()
        if wanted not in MECHANISMS:
            hint = f"one of {', '.join(MECHANISMS)}"
            return SaslError(f"{wanted} is a mechanism that xmppsh does not speak", hint=hint)
        if wanted in offered:
            return SaslError(f"{wanted} cannot be used here with what was given", hint="leave out --mechanism")
        return SaslError(f"{jid.domainpart} does not offer {wanted} (it offers: {names})", hint="leave out --mechanism")
    if credentials.anonymous:
        return SaslError(f"{jid.domainpart} does not offer ANONYMOUS (it offers: {names})")
    if credentials.password is None and not credentials.certificate:
        hint = "--password-file, --password-command or --password-fd"
        return SaslError(f"{jid.bare}: no password was given", hint=hint)
    if not secure and "PLAIN" in offered:
        return SaslError("the server offers no login that is safe without TLS", hint="leave out --tls off")
    return SaslError(
        f"{jid.domainpart} offers no login that xmppsh speaks (it offers: {names})",
        hint=f"xmppsh speaks {', '.join(MECHANISMS)}",
    )


def encode(data: bytes) -> str:
    """Base64 as SASL in XMPP wants it: nothing at all is `=` (RFC 6120 §6.4.2)."""
    return b64encode(data).decode("ascii") if data else "="


def decode(text: str | None) -> bytes | None:
    """Read base64; None when there was no data; raises ProtocolError."""
    if not text:
        return None
    if text == "=":
        return b""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("the server's SASL data is not base64", layer="sasl") from error


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError("the server's SASL data is not UTF-8", layer="sasl") from error
