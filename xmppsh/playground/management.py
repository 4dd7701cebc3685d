"""The server's half of XEP-0198 for one session: what was written and not yet acknowledged, and the nonzas.

The counters are `xmppsh.protocol.sm`'s; seen from here "sent" is what goes to the client.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.protocol.sm import MODULUS, HandledCountTooHigh, StreamManagement
from xmppsh.xmlio.build import Xml, element

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.playground.stanza import Stanza

DEFAULT_MAX_S = 120
LARGEST_MAX_S = 3600
MAX_UNACKED_BYTES = 16 * 1024 * 1024  # more than that and the session ends: its client is gone or never acks

ENABLE, RESUME, REQUEST, ACK = (f"{{{ns.SM}}}{name}" for name in ("enable", "resume", "r", "a"))
REQUEST_XML = element("r", {"xmlns": ns.SM})
FEATURE = element("sm", {"xmlns": ns.SM})


class ManagedStream:
    """The stanzas of a session that its client has not yet taken.

    sm_id: what `<resume previd=…/>` names, None when the session cannot be resumed; max_s: how long it waits for that.
    """

    def __init__(self, sm_id: str | None, max_s: int) -> None:
        self.sm_id, self.max_s = sm_id, max_s
        self.counters = StreamManagement()
        self.unacked: deque[Stanza] = deque()
        self.unacked_characters = 0
        self._asked = False  # an <r/> is on its way

    def on_sent(self, stanza: Stanza) -> None:
        """Count and keep a stanza that goes to the client."""
        self.counters.on_sent()
        self.unacked.append(stanza)
        self.unacked_characters += len(stanza.xml)

    def on_ack(self, h: int) -> None:
        """Release what the client has handled; raises HandledCountTooHigh."""
        self._asked = False
        for _ in range(self.counters.on_ack(h)):
            self.unacked_characters -= len(self.unacked.popleft().xml)

    def on_resume(self, h: int) -> list[Stanza]:
        """The stanzas to write again; raises HandledCountTooHigh.

        An h older than the last `<a/>` is no fault: what that one released is gone, the rest is written again.
        """
        if not 0 < (self.counters.acked - h) % MODULUS < MODULUS // 2:
            self.on_ack(h)
        self._asked = False
        return list(self.unacked)

    def request(self) -> Xml | None:
        """The `<r/>` that belongs after what is written now, if one is due (XEP-0198 §4)."""
        if self._asked or not self.unacked:
            return None
        self._asked = True
        return REQUEST_XML

    def enabled(self) -> Xml:
        """The answer to `<enable/>` (XEP-0198 §3)."""
        resume = None if self.sm_id is None else "true"
        limit = None if self.sm_id is None else str(self.max_s)
        return element("enabled", {"xmlns": ns.SM, "id": self.sm_id, "resume": resume, "max": limit})

    def resumed(self) -> Xml:
        """The answer to `<resume/>` (XEP-0198 §5)."""
        return element("resumed", {"xmlns": ns.SM, "previd": self.sm_id, "h": str(self.counters.handled)})

    def ack(self) -> Xml:
        """The answer to `<r/>`."""
        return element("a", {"xmlns": ns.SM, "h": str(self.counters.answer())})


def failed(condition: str, h: int | None = None) -> Xml:
    """`<failed/>`; with h when we still know the session that cannot be resumed (XEP-0198 §5)."""
    attributes = {"xmlns": ns.SM, "h": None if h is None else str(h)}
    return element("failed", attributes, element(condition, {"xmlns": ns.STANZA_ERRORS}))


def too_high(error: HandledCountTooHigh) -> Xml:
    """The application condition beside `<undefined-condition/>` (XEP-0198 §4)."""
    counts = {"xmlns": ns.SM, "h": str(error.h), "send-count": str(error.sent)}
    return element("handled-count-too-high", counts)


def handled_count(nonza: Element) -> int | None:
    """The h attribute, None when it is no unsigned 32-bit number."""
    text = nonza.attributes.get("h", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) if int(text) < MODULUS else None


def wants_resume(enable: Element) -> bool:
    """Does `<enable/>` ask for a session that can be resumed?"""
    return enable.attributes.get("resume") in ("true", "1")


def wanted_max_s(enable: Element) -> int:
    """How long the session shall wait for its client, in seconds."""
    text = enable.attributes.get("max", "")
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        return DEFAULT_MAX_S
    return min(int(text), LARGEST_MAX_S)
