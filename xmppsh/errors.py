"""Everything that can go wrong, in one tree.

XmppshError
├── UsageError            64  a bad command line      ├── MalformedJid
├── DataError             65  bad input               ├── XmlError
├── NoInputError          66  a file cannot be read
├── ConfigError           78  settings or file modes
├── IoError               74  local I/O
├── ConnectError          69  tcp: no way to the server
│   ├── NameNotFound      68  dns: the name does not exist
│   ├── LookupFailed      75  dns: nobody could tell
│   └── ConnectionLost    69  the link broke
├── DeadlineExceeded      75  somebody did not answer in time
├── ProtocolError         76  the server broke the protocol
│   ├── TlsError          76  certificate or handshake
│   └── ProtocolViolation 76  an event that this state does not allow
├── StreamError           …   <stream:error/>, by its condition
├── SaslError             77  authentication refused
├── StanzaError           …   <error/> in a stanza, by its condition
├── Unconfirmed           79  written, never acknowledged
└── Partial               80  some of many failed

Each carries facts: exit code, layer, condition, a sentence, what to try. `translate` makes them of foreign exceptions.
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, ClassVar, Literal

    Layer = Literal["usage", "config", "dns", "tcp", "tls", "stream", "sasl", "bind", "stanza", "io", "internal"]


class ExitCode(IntEnum):
    """The exit codes that scripts can rely on (sysexits.h where it has one)."""

    OK = 0
    USAGE = 64
    DATA = 65
    NOINPUT = 66
    NOUSER = 67
    NOHOST = 68
    UNAVAILABLE = 69
    SOFTWARE = 70
    IOERR = 74
    TEMPFAIL = 75
    PROTOCOL = 76
    NOPERM = 77
    CONFIG = 78
    UNCONFIRMED = 79
    PARTIAL = 80
    QUEUED = 81


class XmppshError(Exception):
    """One failure: `str(error)` is the sentence, `hint` what to try.

    condition: the defined condition of RFC 6120 §4.9.3, §6.5 or §8.3.3, where there is one.
    """

    exit_code: ExitCode = ExitCode.SOFTWARE
    layer: Layer = "internal"
    default_hint: ClassVar[str | None] = None

    def __init__(self, text: str, *, hint: str | None = None, condition: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint if hint is not None else self.default_hint
        self.condition = condition
        self.reported = False  # the user has been told already
        self.unproven = False  # it came from a peer that had not yet proved to be our server

    def record(self) -> dict[str, Any]:
        """The error as the JSON object that `--format json` prints on stderr."""
        return {
            "code": int(self.exit_code),
            "name": self.exit_code.name,
            "layer": self.layer,
            "condition": self.condition,
            "text": str(self),
            "hint": self.hint,
        }


class UsageError(XmppshError):
    """The command line cannot be understood."""

    exit_code = ExitCode.USAGE
    layer: Layer = "usage"


class MalformedJid(UsageError):
    """The text is not an XMPP address (RFC 7622 §3)."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} is not an XMPP address: {reason}", hint="localpart@domain/resource", condition=None)
        self.reason = reason


class DataError(XmppshError):
    """Input that cannot be sent as it is."""

    exit_code = ExitCode.DATA
    layer: Layer = "stanza"


class XmlError(DataError):
    """XML that is not well-formed, not a stanza, or past a limit.

    line, column: where, both counted from 1, when the input has lines.
    condition: what a stream would be closed with (RFC 6120 §4.9.3); empty for input that is no XML.
    """

    def __init__(
        self, reason: str, *, condition: str = "not-well-formed", line: int | None = None, column: int | None = None
    ) -> None:
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(f"{place}{reason}", condition=condition or None)
        self.reason, self.line, self.column = reason, line, column


class NoInputError(XmppshError):
    """A file that was named cannot be read."""

    exit_code = ExitCode.NOINPUT
    layer: Layer = "io"


class ConfigError(XmppshError):
    """The config file, or the permissions of a file that holds a secret, are wrong."""

    exit_code = ExitCode.CONFIG
    layer: Layer = "config"


class IoError(XmppshError):
    """Local input or output failed."""

    exit_code = ExitCode.IOERR
    layer: Layer = "io"


class ConnectError(XmppshError):
    """None of the addresses of our server accepts a connection."""

    exit_code = ExitCode.UNAVAILABLE
    layer: Layer = "tcp"


class NameNotFound(ConnectError):
    """The server's name does not exist."""

    exit_code = ExitCode.NOHOST
    layer: Layer = "dns"


class LookupFailed(ConnectError):
    """No name server could say where the server is."""

    exit_code = ExitCode.TEMPFAIL
    layer: Layer = "dns"


class ServiceRefused(ConnectError):
    """The DNS knows no place to dial: an SRV record with the target "." (RFC 2782), or a name without an address."""

    layer: Layer = "dns"


class ConnectionLost(ConnectError):
    """The connection broke without the end of the stream."""

    def __init__(self, text: str, *, layer: Layer | None = None, hint: str | None = None) -> None:
        super().__init__(text, hint=hint)
        if layer is not None:
            self.layer = layer


class DeadlineExceeded(XmppshError):
    """Somebody did not answer in time."""

    exit_code = ExitCode.TEMPFAIL
    layer: Layer = "stream"

    def __init__(self, text: str, *, layer: Layer | None = None, hint: str | None = None) -> None:
        super().__init__(text, hint=hint)
        if layer is not None:
            self.layer = layer


class ProtocolError(XmppshError):
    """The server does what the protocol forbids, or lacks what we require."""

    exit_code = ExitCode.PROTOCOL
    layer: Layer = "stream"

    def __init__(
        self, text: str, *, layer: Layer | None = None, hint: str | None = None, condition: str | None = None
    ) -> None:
        super().__init__(text, hint=hint, condition=condition)
        if layer is not None:
            self.layer = layer


class ProtocolViolation(ProtocolError):
    """An event that the stream's state does not allow."""


class TlsError(ProtocolError):
    """No verified TLS with this server."""

    layer: Layer = "tls"


# Of a condition, or of what the server's text says beside it: the exit code, and what to try.
STREAM_ERRORS: dict[str, tuple[ExitCode, str | None]] = {
    "host-unknown": (ExitCode.NOHOST, "check the domain of the JID; --host only changes where to connect"),
    "host-gone": (ExitCode.NOHOST, None),
    "system-shutdown": (ExitCode.UNAVAILABLE, "the server goes down; try again later"),
    "reset": (ExitCode.UNAVAILABLE, None),
    "remote-connection-failed": (ExitCode.UNAVAILABLE, None),
    "connection-timeout": (ExitCode.TEMPFAIL, None),
    "resource-constraint": (ExitCode.TEMPFAIL, "try again later"),
    "policy-violation": (ExitCode.TEMPFAIL, "wait, then send more slowly"),
    "internal-server-error": (ExitCode.TEMPFAIL, None),
    "not-authorized": (ExitCode.NOPERM, None),
    "conflict": (ExitCode.PROTOCOL, "choose another resource where another program uses it: --jid user@host/resource"),
    "unacked": (ExitCode.TEMPFAIL, "no more may wait for acks (ejabberd: max_ack_queue); xmppsh history has the rest"),
    "removed": (ExitCode.NOPERM, "the account was removed on the server: ask its operator"),
}
# The words of ejabberd, twice, and of Prosody.
STREAM_ERROR_TEXTS = {"unacked": "unacked", "user removed": "removed", "account deleted": "removed"}


class StreamError(XmppshError):
    """The server ended the stream with an error (RFC 6120 §4.9.3)."""

    layer: Layer = "stream"

    def __init__(self, condition: str, text: str | None = None) -> None:
        said = f" ({text})" if text else ""
        what = next((what for words, what in STREAM_ERROR_TEXTS.items() if words in said.lower()), condition)
        self.exit_code, hint = STREAM_ERRORS.get(what, (ExitCode.PROTOCOL, None))
        super().__init__(f"the server closed the stream: {condition}{said}", condition=condition, hint=hint)


SASL_HINTS = {
    "not-authorized": "check the name and the password (--password-file, --password-command)",
    "credentials-expired": "set a new password",
    "temporary-auth-failure": "try again later",
}


class SaslError(XmppshError):
    """The server did not let us in (RFC 6120 §6.5)."""

    exit_code = ExitCode.NOPERM
    layer: Layer = "sasl"

    @classmethod
    def refused(cls, bare_jid: str, condition: str, text: str | None = None, source: str = "") -> SaslError:
        """Build the error from a `<failure/>`. source: where the password came from, in words."""
        said = (f" ({text})" if text else "") + (f"; the password is from {source}" if source else "")
        error = cls(
            f"{bare_jid}: the server refused the login: {condition}{said}",
            condition=condition,
            hint=SASL_HINTS.get(condition, "ask the server's operator"),
        )
        if condition == "temporary-auth-failure":
            error.exit_code = ExitCode.TEMPFAIL
        return error


STANZA_ERROR_CODES = {
    "item-not-found": ExitCode.NOUSER,
    "recipient-unavailable": ExitCode.NOUSER,
    "gone": ExitCode.NOUSER,
    "remote-server-not-found": ExitCode.NOHOST,
    "remote-server-timeout": ExitCode.NOHOST,
    "resource-constraint": ExitCode.TEMPFAIL,
    "policy-violation": ExitCode.TEMPFAIL,
    "forbidden": ExitCode.NOPERM,
    "not-authorized": ExitCode.NOPERM,
    "not-allowed": ExitCode.NOPERM,
    "registration-required": ExitCode.NOPERM,
    "subscription-required": ExitCode.NOPERM,
}
STANZA_ERROR_HINTS = {
    ExitCode.NOUSER: "check the address",
    ExitCode.NOPERM: "ask its owner, or the operator of its server",
    ExitCode.NOHOST: "check the domain of the address",
    ExitCode.TEMPFAIL: "try again later",
}


class StanzaError(XmppshError):
    """A stanza came back, or an IQ was answered, with an error (RFC 6120 §8.3).

    sender: who says so; a `service-unavailable` from a user's address means that there is no such user.
    """

    layer: Layer = "stanza"

    def __init__(
        self, sender: str, condition: str, text: str | None = None, error_type: str = "cancel", layer: Layer = "stanza"
    ) -> None:
        said = f" ({text})" if text else ""
        code = STANZA_ERROR_CODES.get(condition)
        if code is None and condition == "service-unavailable" and "@" in sender.partition("/")[0]:
            code = ExitCode.NOUSER
        if code is None:
            code = ExitCode.TEMPFAIL if error_type == "wait" else ExitCode.PROTOCOL
        super().__init__(f"{sender}: {condition}{said}", condition=condition, hint=STANZA_ERROR_HINTS.get(code))
        self.sender, self.error_type = sender, error_type
        self.exit_code, self.layer = code, layer


class Unconfirmed(XmppshError):
    """Bytes have left and the server never acknowledged them: they may have arrived."""

    exit_code = ExitCode.UNCONFIRMED
    layer: Layer = "stream"


class Partial(XmppshError):
    """Some of several messages or requests failed, others did not."""

    exit_code = ExitCode.PARTIAL
    layer: Layer = "stanza"


class ClosedOutput(Exception):
    """stdout was closed by its reader: no error, the command ends quietly (EPIPE)."""


@contextmanager
def translate(
    foreign: type[BaseException] | tuple[type[BaseException], ...], ours: Callable[[str], XmppshError]
) -> Iterator[None]:
    """Turn a foreign exception into one of ours, with its sentence."""
    try:
        yield
    except foreign as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ours(reason or type(error).__name__) from error
