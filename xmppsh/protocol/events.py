"""What happened: events that go into the stream's machine, and events that come out of it. All past tense."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.errors import XmppshError
    from xmppsh.model import Element, Jid
    from xmppsh.protocol.fast import Token
    from xmppsh.protocol.sm import Resumption
    from xmppsh.xmlio.reader import Run


# ── In: from the wire, one for each kind of element, and from the link ──────────────────────────────────────────


@dataclass(frozen=True)
class HeaderReceived:
    """`<stream:stream …>` (RFC 6120 §4.7)."""

    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class ElementReceived:
    """A first-level element; the subclasses tell which."""

    element: Element


class FeaturesReceived(ElementReceived):
    """`<stream:features/>` (RFC 6120 §4.3.2)."""


class StreamErrorReceived(ElementReceived):
    """`<stream:error/>` (RFC 6120 §4.9)."""


class ProceedReceived(ElementReceived):
    """`<proceed/>`: TLS may start (RFC 6120 §5.4.2.3)."""


class TlsFailureReceived(ElementReceived):
    """`<failure/>` of STARTTLS (RFC 6120 §5.4.2.2)."""


class ChallengeReceived(ElementReceived):
    """`<challenge/>` (RFC 6120 §6.4.3)."""


class SuccessReceived(ElementReceived):
    """`<success/>` (RFC 6120 §6.4.6)."""


class SaslFailureReceived(ElementReceived):
    """`<failure/>` of SASL (RFC 6120 §6.4.5)."""


class Sasl2ChallengeReceived(ElementReceived):
    """`<challenge/>` of SASL2 (XEP-0388 §2.5)."""


class Sasl2SuccessReceived(ElementReceived):
    """`<success/>` of SASL2 (XEP-0388 §2.6.1)."""


class Sasl2FailureReceived(ElementReceived):
    """`<failure/>` of SASL2 (XEP-0388 §2.6.2)."""


class ContinueReceived(ElementReceived):
    """`<continue/>` of SASL2: more is wanted (XEP-0388 §2.6.3)."""


class StanzaReceived(ElementReceived):
    """A message, presence or IQ."""


@dataclass(frozen=True)
class RunReceived:
    """Several plain messages in a row, in one piece (xmlio/arriving.py)."""

    run: Run


class EnabledReceived(ElementReceived):
    """`<enabled/>` (XEP-0198 §3)."""


class ResumedReceived(ElementReceived):
    """`<resumed/>` (XEP-0198 §5)."""


class SmFailureReceived(ElementReceived):
    """`<failed/>` (XEP-0198 §3, §5)."""


class AckReceived(ElementReceived):
    """`<a/>` (XEP-0198 §4)."""


class AckRequestReceived(ElementReceived):
    """`<r/>` (XEP-0198 §4)."""


class UnknownReceived(ElementReceived):
    """A nonza that we do not know."""


@dataclass(frozen=True)
class FooterReceived:
    """`</stream:stream>` (RFC 6120 §4.4)."""


@dataclass(frozen=True)
class TlsEstablished:
    """The handshake is done and the certificate accepted.

    certificate: the server's, DER, for channel binding (RFC 5929 §4).
    """

    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class PasswordHashed:
    """The work of `HashPassword` is done: the SASL response to send."""

    response: bytes = field(repr=False)


@dataclass(frozen=True)
class LinkLost:
    """The connection ended, with or without an error of the operating system."""

    reason: str | None = None


# ── Out: to the session ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class ResourceBound:
    """The server has bound this address, or is about to, and `<enable/>` follows.

    From then on the session may outlive its socket, so its address must be stored now: `<enabled/>` may never arrive.
    """

    jid: Jid


@dataclass(frozen=True)
class TokenIssued:
    """The server has given a token to log in with the next time (XEP-0484): it replaces the one that is kept."""

    token: Token = field(repr=False)


@dataclass(frozen=True)
class TokenRefused:
    """The server refuses the token that we kept: it must be deleted."""


@dataclass(frozen=True)
class RegistrationOpen:
    """TLS is up, and an account may be registered without a login (XEP-0077 §3.1); offered: does the server say so?"""

    offered: bool


@dataclass(frozen=True)
class SessionEstablished:
    """Stanzas may flow on a new session: the resource is bound, and acks are on where the server has XEP-0198.

    resumption: None when the server will not keep the session beyond its socket.
    """

    jid: Jid
    mechanism: str
    acks: bool
    resumption: Resumption | None = None


@dataclass(frozen=True)
class SessionConfirmed:
    """The server has confirmed a session whose `SessionEstablished` was reported ahead of its answer (ahead.py)."""


@dataclass(frozen=True)
class SessionResumed:
    """Stanzas may flow on the old session: the oldest `acked` unacked stanzas are handled, the rest goes out again."""

    acked: int


@dataclass(frozen=True)
class ResumeFailed:
    """The old session is gone; h: how many stanzas it had handled, None when the server does not say.

    is_proof: its stream has ended, too; else it may go on with what it had read.
    """

    h: int | None
    condition: str
    is_proof: bool = True


@dataclass(frozen=True)
class StanzaArrived:
    """An inbound stanza. number: its count, to be given back to `Stream.taken`; UNCOUNTED where nothing is counted."""

    element: Element
    number: int


@dataclass(frozen=True)
class RunArrived:
    """Several inbound messages. number: that of the first, as in StanzaArrived; UNCOUNTED where none is counted."""

    run: Run
    number: int


@dataclass(frozen=True)
class HandledNoted:
    """An `<a/>` with this h follows: it must be on disk before (a Prosody session resumed with less is destroyed)."""

    h: int


@dataclass(frozen=True)
class StanzasAcked:
    """The server has handled the `count` oldest unacknowledged stanzas (XEP-0198 §4); 0 is only a sign of life."""

    count: int


@dataclass(frozen=True)
class StreamEnded:
    """The stream is over: None after a clean close, otherwise why."""

    error: XmppshError | None
    redirect: str | None = None  # see-other-host from a server that has proved itself (RFC 6120 §4.9.3.19)
