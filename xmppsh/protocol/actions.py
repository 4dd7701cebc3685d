"""What the stream's machine wants done. Imperative; whoever owns the socket carries them out in order."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh.plain import dataclass
from xmppsh.protocol.events import (
    HandledNoted,
    RegistrationOpen,
    ResourceBound,
    ResumeFailed,
    RunArrived,
    SessionConfirmed,
    SessionEstablished,
    SessionResumed,
    StanzaArrived,
    StanzasAcked,
    StreamEnded,
    TokenIssued,
    TokenRefused,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Write:
    """Hand these bytes to the link. secret: they carry credentials, so a trace must not show them."""

    data: bytes
    secret: bool = False


@dataclass(frozen=True)
class StartTls:
    """Start the TLS handshake on the link, then feed `TlsEstablished`; nothing is read as XML meanwhile."""


@dataclass(frozen=True)
class HashPassword:
    """Run `work` off the loop (it may take seconds), then feed `PasswordHashed` with what it returns."""

    work: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True)
class Disconnect:
    """Flush, send TLS close_notify where there is TLS, close the connection."""


Action = Write | StartTls | HashPassword | Disconnect
SessionEvent = (
    TokenIssued
    | TokenRefused
    | ResourceBound
    | RegistrationOpen
    | SessionEstablished
    | SessionConfirmed
    | SessionResumed
    | ResumeFailed
    | StanzaArrived
    | RunArrived
    | HandledNoted
    | StanzasAcked
    | StreamEnded
)
Output = Action | SessionEvent
