"""SASL (RFC 6120 §6): which mechanism, and the order of its steps.

Nothing outside the list below is ever used: SCRAM, PLAIN under TLS, EXTERNAL with a certificate, ANONYMOUS when asked
for. Success counts only after the server has proved that it knows the password (RFC 5802 §5).
"""

from __future__ import annotations

import hashlib
from binascii import a2b_base64, b2a_base64
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh.errors import ProtocolError, SaslError
from xmppsh.model import brief
from xmppsh.plain import dataclass
from xmppsh.protocol import scram
from xmppsh.protocol.saslprep import NotAllowed
from xmppsh.protocol.signature import signature_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Protocol

    from xmppsh.model import Credentials, Jid
    from xmppsh.protocol.scram import Pbkdf2

    class Exchange(Protocol):
        """One authentication, step by step; bytes are before base64.

        is_prepared: false when the name or the password has characters that SASLprep does not know.
        """

        name: str
        is_prepared: bool

        def initial(self) -> bytes:
            """The initial response (RFC 6120 §6.4.2)."""

        def challenged(self, data: bytes) -> bytes | Callable[[], bytes]:
            """Answer a challenge, or give the work that computes the answer."""

        def succeeded(self, data: bytes | None) -> None:
            """Check the server's `<success/>`; raises ProtocolError when it proves nothing."""


END_POINT = "tls-server-end-point"  # RFC 5929 §4: the only channel binding that Python can compute under TLS 1.3
HASHES = ("SHA-512", "SHA-256", "SHA-1")  # the strongest first
SCRAM = (*(f"SCRAM-{name}-PLUS" for name in HASHES), *(f"SCRAM-{name}" for name in HASHES))
MECHANISMS = ("EXTERNAL", "ANONYMOUS", *SCRAM, "PLAIN")
IMPOSTOR_HINT = "someone may be between you and the server"
BROKEN_HINT = "tell the server's operator"


class _OneStep:
    """PLAIN, EXTERNAL and ANONYMOUS: a single message, no challenge."""

    is_prepared = True

    def __init__(self, name: str, message: bytes) -> None:
        self.name, self._message = name, message

    def initial(self) -> bytes:
        return self._message

    def challenged(self, data: bytes) -> bytes:
        raise ProtocolError(
            f"the server challenges {self.name}, which knows no challenges", layer="sasl", hint=BROKEN_HINT
        )

    def succeeded(self, data: bytes | None) -> None:
        """RFC 4616, RFC 4422 Appendix A, RFC 4505: nothing to check."""


class _Scram:
    """SCRAM (scram.py) with messages as bytes, and its faults turned into ProtocolError or SaslError."""

    def __init__(
        self, name: str, username: str, password: str, gs2_header: str, binding: bytes, pbkdf2: Pbkdf2 | None
    ) -> None:
        self.name = name
        try:
            self._client = scram.Client(name, username, password, gs2_header=gs2_header, binding=binding, pbkdf2=pbkdf2)
        except NotAllowed as error:
            raise SaslError(f"the name or the password cannot be used with {name}: {error}") from error
        self.is_prepared = self._client.is_prepared
        self._challenged = self._verified = False

    def initial(self) -> bytes:
        return self._client.first().encode()

    def challenged(self, data: bytes) -> bytes | Callable[[], bytes]:
        message = _text(data)
        if self._verified:
            raise ProtocolError("the server goes on with challenges after its proof", layer="sasl", hint=BROKEN_HINT)
        if self._challenged:
            self._verify(message)
            return b""
        with _scram_fault("the server's SCRAM challenge is wrong", BROKEN_HINT):
            work = self._client.challenged(message)
        self._challenged = True
        return lambda: work().encode()

    def _verify(self, server_final: str) -> None:
        with _scram_fault("the server could not prove that it knows the password", IMPOSTOR_HINT):
            self._client.verify(server_final)
        self._verified = True

    def succeeded(self, data: bytes | None) -> None:
        if data is not None and self._challenged and not self._verified:
            self._verify(_text(data))
        if not self._verified:
            raise ProtocolError(
                "the server says success without proving that it knows the password",
                layer="sasl",
                hint=IMPOSTOR_HINT,
            )


@contextmanager
def _scram_fault(sentence: str, hint: str) -> Iterator[None]:
    try:
        yield
    except scram.ScramError as error:
        raise ProtocolError(f"{sentence}: {error}", layer="sasl", hint=hint) from error


@dataclass(frozen=True)
class Offer:
    """What the server has, and what we could use of it.

    mechanisms: on offer; secure: is TLS up; binding_types: the server's list of channel bindings (XEP-0440);
    certificate: the server's, DER; tokens: the mechanisms of FAST where it is an offer of SASL2 (XEP-0388), else None;
    pbkdf2: hashes for SCRAM.
    """

    mechanisms: frozenset[str]
    secure: bool
    binding_types: frozenset[str] = frozenset()
    certificate: bytes | None = None
    tokens: frozenset[str] | None = None
    pbkdf2: Pbkdf2 | None = field(default=None, compare=False)

    def possible(self, credentials: Credentials) -> list[str]:
        """The mechanisms that are offered, allowed here, and possible with what we have; the strongest first."""
        bound = END_POINT in self.binding_types and self.end_point is not None
        return [
            name
            for name in MECHANISMS
            if name in self.mechanisms and _possible(name, credentials, secure=self.secure, bound=bound)
        ]

    def strength(self, credentials: Credentials) -> int:
        """How strong the strongest possible mechanism is; 0 where there is none."""
        return max((len(MECHANISMS) - MECHANISMS.index(name) for name in self.possible(credentials)), default=0)

    def begin(self, jid: Jid, credentials: Credentials, refused: Collection[str] = ()) -> Exchange:
        """Begin the strongest possible mechanism that was not refused; raises SaslError when none is left."""
        for name in self.possible(credentials):
            if name not in refused:
                return _exchange(name, jid, credentials, self)
        raise _none_left(jid, credentials, self.mechanisms, secure=self.secure)

    def refuse_tampering(self, mechanism: str, challenge: bytes) -> None:
        """XEP-0474: a server may say by SCRAM, which nobody else can, what it has offered; raises ProtocolError."""
        if not mechanism.startswith("SCRAM"):
            return
        said = [part[2:] for part in _text(challenge).split(",")[3:] if part.startswith("h=")]
        shown = "\x1e".join(sorted(self.mechanisms))
        if self.binding_types:
            shown += "\x1f" + "\x1e".join(sorted(self.binding_types))
        digest = hashlib.new(scram.hash_of(mechanism), shown.encode()).digest()
        if said and said[0] != b2a_base64(digest, newline=False).decode():
            raise ProtocolError(
                "the logins that were offered are not those that the server says it has offered",
                layer="sasl",
                hint=IMPOSTOR_HINT,
            )

    @property
    def end_point(self) -> bytes | None:
        """The data of the channel binding; None without a certificate or when it has none (RFC 5929 §4.1)."""
        return None if self.certificate is None else channel_binding(self.certificate)


def other_causes(exchange: Exchange, others: Sequence[str]) -> list[str]:
    """What a refused login may be due to beside a wrong password. others: mechanisms that are possible, too.

    Not every server says it: a password whose stored hash fits one mechanism is `not-authorized` by another.
    """
    causes = []
    if not exchange.is_prepared:
        causes.append("it has characters that SASLprep does not know and was sent as it is")
    if others:
        causes.append(f"if they are right: --mechanism {others[0]}")
    return causes


def channel_binding(certificate: bytes) -> bytes | None:
    """The data of `tls-server-end-point`: the certificate's hash by its own signature's algorithm (RFC 5929 §4.1)."""
    algorithm = signature_hash(certificate)
    if algorithm is None:
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


def _exchange(name: str, jid: Jid, credentials: Credentials, offer: Offer) -> Exchange:
    if name == "EXTERNAL":
        return _OneStep(name, str(jid.bare).encode())  # XEP-0178 §2
    if name == "ANONYMOUS":
        return _OneStep(name, b"")
    localpart, password = jid.localpart or "", credentials.password or ""
    if name == "PLAIN":
        return _OneStep(name, b"\0".join((b"", localpart.encode(), password.encode())))
    # RFC 5802 §6: "y" says that we could bind and believe the server cannot, so it may stand only where no -PLUS
    # is offered; where one is offered that we cannot use, the truth is "n".
    end_point = offer.end_point
    if end_point is None or (any(one.endswith("-PLUS") for one in offer.mechanisms) and not name.endswith("-PLUS")):
        return _Scram(name, localpart, password, "n,,", b"", offer.pbkdf2)
    if name.endswith("-PLUS"):
        return _Scram(name, localpart, password, f"p={END_POINT},,", end_point, offer.pbkdf2)
    return _Scram(name, localpart, password, "y,,", b"", offer.pbkdf2)


def _none_left(jid: Jid, credentials: Credentials, offered: frozenset[str], *, secure: bool) -> SaslError:
    names = brief(sorted(offered)) or "none"
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
    return b2a_base64(data, newline=False).decode("ascii") if data else "="


def encode_sasl2(data: bytes) -> str:
    """Base64 as SASL2 wants it: nothing at all is nothing (XEP-0388 §2.2)."""
    return b2a_base64(data, newline=False).decode("ascii")


def decode(text: str | None) -> bytes | None:
    """Read base64; None when there was no data; raises ProtocolError."""
    if not text:
        return None
    if text == "=":
        return b""
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ProtocolError("the server's SASL data is not base64", layer="sasl", hint=BROKEN_HINT) from error


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError("the server's SASL data is not UTF-8", layer="sasl", hint=BROKEN_HINT) from error
