"""What a scenario may do at a step instead of the good answer.

A step's reply is one of these or a tuple of them, done in order:

- text or bytes: written as it is. In text `{good}` is the answer of a server that behaves, `{id}` and `{to}` are the
  request's, `{resource}` what a bind asks for, `{port}` is this server's port and `{other}` the second server's;
- a value of `Deed`;
- a function of (connection, good) that gives another reply.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hostile.server import Connection


class Deed(Enum):
    """Something that is not writing."""

    SKIP = "no answer to this, and go on"
    SILENCE = "read on, never answer again"
    CLOSE = "close: TLS close_notify where there is TLS, then FIN"
    CUT = "FIN without close_notify"
    RESET = "RST"


SKIP, SILENCE, CLOSE, CUT, RESET = Deed.SKIP, Deed.SILENCE, Deed.CLOSE, Deed.CUT, Deed.RESET
if TYPE_CHECKING:
    Act = str | bytes | Deed | Callable[[Connection, str], "Reply"]
    Reply = Act | tuple[Act, ...]

SASL_NS = "urn:ietf:params:xml:ns:xmpp-sasl"
SASL2_NS = "urn:xmpp:sasl:2"
STANZAS_NS = "urn:ietf:params:xml:ns:xmpp-stanzas"
STREAMS_NS = "urn:ietf:params:xml:ns:xmpp-streams"
CANARY = "CANARY-5f1c"  # in whatever the client must not believe


def stream_error(condition: str, content: str = "") -> str:
    """A stream error, without the end of the stream."""
    return f"<stream:error><{condition} xmlns='{STREAMS_NS}'>{content}</{condition}></stream:error>"


def see_other_host(target: str) -> tuple[str | Deed, ...]:
    """A redirect (RFC 6120 §4.9.3.19); the client closes."""
    return (stream_error("see-other-host", target) + "</stream:stream>", SILENCE)


def sasl_failure(condition: str, text: str = "") -> str:
    """A refused login (RFC 6120 §6.5)."""
    said = f"<text xml:lang='en'>{text}</text>" if text else ""
    return f"<failure xmlns='{SASL_NS}'><{condition}/>{said}</failure>"


def stanza_error(condition: str, kind: str = "cancel") -> str:
    """The `<error/>` of a stanza (RFC 6120 §8.3)."""
    return f"<error type='{kind}'><{condition} xmlns='{STANZAS_NS}'/></error>"


def sasl(name: str, data: bytes | None = None) -> str:
    """A `<challenge/>` or `<success/>` with data."""
    content = "" if data is None else base64.b64encode(data).decode()
    return f"<{name} xmlns='{SASL_NS}'>{content}</{name}>"


def sasl2(answer: str) -> str:
    """An answer of the older SASL as one of SASL2 (XEP-0388)."""
    name, data = re.findall(r"<(\w+)[^>]*>([^<]*)", answer)[0]
    if name == "success":
        return sasl2_success(data)
    content = f"<not-authorized xmlns='{SASL_NS}'/>" if name == "failure" else data
    return f"<{name} xmlns='{SASL2_NS}'>{content}</{name}>"


def older(step: str, said: ElementTree.Element) -> tuple[str, ElementTree.Element]:
    """What a client says by SASL2, as the older SASL has it."""
    if step == "response":
        return step, said
    auth = ElementTree.Element("auth", said.attrib)
    auth.text = said.findtext(f"{{{SASL2_NS}}}initial-response")
    return "auth", auth


def token_answer(initial: bytes, user: str, token: bytes) -> str:
    """A login by token is proved or refused."""
    proof, wanted = (hmac.digest(token, who, "sha256") for who in (b"Responder", b"Initiator"))
    return sasl("success", proof) if initial == user.encode() + b"\0" + wanted else sasl_failure("not-authorized")


def sasl2_success(data: str = "", who: str = "juliet@hostile.example") -> str:
    """Success for somebody."""
    proof = f"<additional-data>{data}</additional-data>" if data else ""
    name = f"<authorization-identifier>{who}</authorization-identifier>" if who else ""
    return f"<success xmlns='{SASL2_NS}'>{proof}{name}</success>"


def authentication(*names: str, tokens: str = "HT-SHA-256-NONE") -> str:
    """The SASL2 feature, with one mechanism for tokens (XEP-0484), or none."""
    offered = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    fast = tokens and f"<inline><fast xmlns='urn:xmpp:fast:0'><mechanism>{tokens}</mechanism></fast></inline>"
    return f"<authentication xmlns='{SASL2_NS}'>{offered}{fast}</authentication>"


def features(content: str) -> str:
    """Stream features."""
    return f"<stream:features>{content}</stream:features>"


def mechanisms(*names: str) -> str:
    """The SASL feature."""
    offered = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    return f"<mechanisms xmlns='{SASL_NS}'>{offered}</mechanisms>"


BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
MESSAGE = f"<message from='mallory@evil.example' type='chat'><body>{CANARY}</body></message>"


def edited(pattern: str, replacement: str, name: str = "") -> Callable[[Connection, str], str]:
    """The good SASL answer with its decoded data edited, and sent as `name` when given."""

    def edit(_connection: Connection, good: str) -> str:
        found = re.fullmatch(r"<(\w+) [^>]*>([^<]*)</\w+>", good)
        assert found is not None, good
        data = base64.b64decode(found.group(2)).decode()
        changed, count = re.subn(pattern, replacement, data)
        assert count or not pattern, (pattern, data)
        return sasl(name or found.group(1), changed.encode())

    return edit


def remembered(connection: Connection, _good: str) -> str:
    """SASL success with the server-first message of this exchange (it has no signature)."""
    return sasl("success", connection.server_first.encode())


def first_only(reply: Reply) -> Callable[[Connection, str], Reply]:
    """Misbehave on the first connection alone."""
    return lambda connection, good: reply if connection.number == 1 else good


def slowly(connection: Connection, good: str) -> Reply:
    """One byte each 0.2 s, from here on."""
    for byte in good.encode():
        connection.send(bytes([byte]))
        time.sleep(0.2)
    return SKIP


def flood(piece: bytes, count: int, patience_s: float = 1.0) -> Callable[[Connection, str], Reply]:
    """Write `piece` `count` times without reading; stop when the client takes nothing for a while."""

    def pour(connection: Connection, _good: str) -> Reply:
        connection.flush()
        connection.sock.settimeout(patience_s)
        block = piece * max(1, 65536 // len(piece))
        try:
            for _ in range(count * len(piece) // len(block)):
                connection.sock.sendall(block)
        except TimeoutError:
            return RESET
        connection.sock.settimeout(connection.PATIENCE_S)
        return SILENCE

    return pour


@dataclass(frozen=True)
class Spec:
    """How one server behaves, and where it does not."""

    steps: Mapping[str, Reply] = field(default_factory=dict)
    certificate: str = "good"
    later_certificate: str = ""  # from the second connection on, where it is another one
    direct: bool = False  # TLS from the first byte
    chunk: int = 0  # bytes in a packet; 0: as much as fits
    listens: bool = True  # False: the port refuses
    fills_backlog: bool = False  # the port is a black hole
