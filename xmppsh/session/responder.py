"""What a session answers by itself: every IQ request must have an answer (RFC 6120 §8.2.3), and a message that nobody
will read comes back to its sender."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from xmppsh import __version__, ns
from xmppsh.errors import MalformedJid, XmppshError
from xmppsh.model import Jid
from xmppsh.session.caps import NODE, OWN, verification
from xmppsh.texts import rfc3339
from xmppsh.xmlio.build import element, with_child
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element
    from xmppsh.session.requests import Requests
    from xmppsh.xmlio.build import Xml

NEVER_BOUNCED = ("error", "groupchat", "headline")
MAX_ANSWER_BYTES = 10_000  # what every server takes (RFC 6120 §13.12)
MAX_WAITING = 20  # of those whose right to an answer is being looked up; more at once is no curiosity
ROSTER_S = 60.0  # how long a roster that was fetched for that is believed
SEES_US = ("from", "both")  # RFC 6121 §2.1.2.5


class Facts(NamedTuple):
    """What is told of a session. idle_s: since when nothing of the user's was sent; also: the namespaces of what it
    offers beside FEATURES."""

    idle_s: int = 0
    also: tuple[str, ...] = ()


class Answer(NamedTuple):
    """How a request is answered. payload: made of what was asked and of what is told of us; None refuses it as
    item-not-found.

    for_contacts: only those are told who may see our presence, since it tells how a person lives; to all others it is
    as if nobody was there.
    """

    payload: Callable[[Tree, Facts], tuple[Xml, ...] | None]
    for_contacts: bool = False


def _nothing(_: Tree, _facts: Facts) -> tuple[Xml, ...]:
    return ()


def _version(_: Tree, _facts: Facts) -> tuple[Xml, ...]:
    # No <os/>: it helps who attacks (XEP-0092 §6).
    facts = (element("name", None, OWN.name), element("version", None, __version__))
    return (element("query", {"xmlns": ns.VERSION}, *facts),)


def _time(_: Tree, _facts: Facts) -> tuple[Xml, ...]:
    now = datetime.now(UTC)
    zone = now.astimezone().strftime("%z")
    facts = (element("tzo", None, f"{zone[:3]}:{zone[3:5]}"), element("utc", None, rfc3339(now)))
    return (element("time", {"xmlns": ns.TIME}, *facts),)


def _last(_: Tree, facts: Facts) -> tuple[Xml, ...]:
    return (element("query", {"xmlns": ns.LAST, "seconds": str(facts.idle_s)}),)


def _info(asked: Tree, facts: Facts) -> tuple[Xml, ...] | None:
    node = asked.get("node")
    if node not in (None, f"{NODE}#{_hash(facts.also)}"):
        return None
    own = element("identity", {"category": OWN.category, "type": OWN.type, "name": OWN.name})
    listed = (element("feature", {"var": one}) for one in sorted([*FEATURES, *facts.also]))
    return (element("query", {"xmlns": ns.DISCO_INFO, "node": node}, own, *listed),)


def _items(asked: Tree, _facts: Facts) -> tuple[Xml, ...] | None:
    return None if asked.get("node") is not None else (element("query", {"xmlns": ns.DISCO_ITEMS}),)


TABLE = {
    f"{{{ns.PING}}}ping": Answer(_nothing),
    f"{{{ns.VERSION}}}query": Answer(_version),
    f"{{{ns.TIME}}}time": Answer(_time, for_contacts=True),
    f"{{{ns.LAST}}}query": Answer(_last, for_contacts=True),
    f"{{{ns.DISCO_INFO}}}query": Answer(_info),
    f"{{{ns.DISCO_ITEMS}}}query": Answer(_items),
}
# What our account tells its clients has changed, and they confirm (RFC 6121 §2.1.6, XEP-0191 §3.3).
PUSHES = (f"{{{ns.ROSTER}}}query", f"{{{ns.BLOCKING}}}block", f"{{{ns.BLOCKING}}}unblock")
FEATURES = sorted([ns.CAPS, *(name[1:].partition("}")[0] for name in TABLE)])
HASH = verification([OWN], FEATURES)


def _hash(also: tuple[str, ...]) -> str | None:
    return verification([OWN], [*FEATURES, *also]) if also else HASH


def with_caps(presence: Xml, also: tuple[str, ...] = ()) -> Xml:
    """Our available presence, with the hash of what we are and can do (XEP-0115 §6.2); also: beside FEATURES."""
    if ' type="' in presence.partition(">")[0]:
        return presence
    return with_child(presence, element("c", {"xmlns": ns.CAPS, "hash": "sha-1", "node": NODE, "ver": _hash(also)}))


def _entry(request: Element) -> tuple[Answer, Tree] | None:
    children = list(tree(request)) if request.attributes.get("type") == "get" else []
    found = TABLE.get(children[0].tag) if len(children) == 1 else None
    return None if found is None else (found, children[0])


def _is_push(request: Element, own: Jid) -> bool:
    """Does our account itself say that the roster or the block list has changed? Others cannot, and are refused."""
    if request.attributes.get("type") != "set" or request.sender not in ("", str(own.bare)):
        return False
    return [child.tag for child in tree(request) if child.tag in PUSHES] != []


def response_to(request: Element, *, to_contact: bool = False, facts: Facts | None = None) -> Xml:
    """The answer to an IQ of type get or set: by the table, else `service-unavailable`.

    to_contact: whoever asks may see our presence.
    """
    entry = _entry(request)
    if entry is None or (entry[0].for_contacts and not to_contact):
        return _refusal(request, "service-unavailable")
    payload = entry[0].payload(entry[1], facts or Facts())
    if payload is None:
        return _refusal(request, "item-not-found")
    return element("iq", {"type": "result", "id": request.id, "to": request.sender or None}, *payload)


def bounce_of(message: Element) -> Xml | None:
    """The answer to a message for a session that prints none: `service-unavailable`, as if nobody was there.

    None where nobody is to be told: after an error (RFC 6120 §8.3.1), a headline or what is said in a room; and for an
    id that makes the answer too long.
    """
    if not message.sender or message.attributes.get("type") in NEVER_BOUNCED:
        return None
    bounce = _refusal(message, "service-unavailable")
    return bounce if is_sendable(bounce) else None


def is_sendable(answer: Xml) -> bool:
    """Is it short enough for every server? The id in it is the asker's own, of any length, and may grow five times as
    long by escaping: a server ends the stream of who sends more than it takes. Who asks so gets no answer.
    """
    return len(answer.encode()) <= MAX_ANSWER_BYTES


def _refusal(stanza: Element, condition: str) -> Xml:
    address = {"id": stanza.id, "to": stanza.sender or None}
    why = element(condition, {"xmlns": ns.STANZA_ERRORS})
    return element(stanza.kind, {"type": "error", **address}, element("error", {"type": "cancel"}, why))


def answer_at_once(request: Element, own: Jid, facts: Facts, *, is_last: bool = True) -> Xml | None:
    """The answer; None where it has to be looked up first who asks, unless nothing more is looked up (`is_last`)."""
    if _is_push(request, own):
        return element("iq", {"type": "result", "id": request.id, "to": request.sender or None})
    entry, is_own = _entry(request), _is_own(request, own)
    if entry is None or not entry[0].for_contacts or is_own or is_last:
        return response_to(request, to_contact=is_own, facts=facts)
    return None


def _is_own(request: Element, own: Jid) -> bool:
    """Our own account, its other clients, and its server, which know all of this anyway."""
    return (_jid(request.sender) or own).bare in (own.bare, Jid(None, own.domainpart))


class Responder:
    """Answers the requests of others; for what only contacts are told, the roster is asked who they are.

    answer: sends, or returns without sending when there is no stream. also: what this session offers beside FEATURES;
    set before its presence is sent.
    """

    also: tuple[str, ...] = ()

    def __init__(self, requests: Requests, answer: Callable[[Xml], None]) -> None:
        self._requests, self._answer = requests, answer
        self._used_at = time.monotonic()
        self._waiting: list[Element] = []
        self._looking: asyncio.Task[None] | None = None
        self._contacts: frozenset[Jid] = frozenset()
        self._contacts_until = 0.0

    def touch(self) -> None:
        """The user has sent something: the idle time begins anew."""
        self._used_at = time.monotonic()

    def _response(self, request: Element, *, to_contact: bool) -> Xml:
        facts = Facts(int(time.monotonic() - self._used_at), self.also)
        return response_to(request, to_contact=to_contact, facts=facts)

    def respond(self, request: Element) -> None:
        """Answer it now, or when it is known who asks."""
        facts = Facts(int(time.monotonic() - self._used_at), self.also)
        answer = answer_at_once(request, self._requests.jid, facts, is_last=len(self._waiting) >= MAX_WAITING)
        if answer is not None:
            return self._give(answer)
        self._waiting.append(request)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())

    def _give(self, answer: Xml) -> None:
        if is_sendable(answer):
            self._answer(answer)

    async def _look(self) -> None:
        try:
            if time.monotonic() >= self._contacts_until:
                self._contacts = await self._who_sees_us()
                self._contacts_until = time.monotonic() + ROSTER_S
        except XmppshError:
            self._contacts = frozenset()  # no stream, or no roster: nobody is known
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            asker = _jid(request.sender)
            self._give(self._response(request, to_contact=asker is not None and asker.bare in self._contacts))

    async def _who_sees_us(self) -> frozenset[Jid]:
        answer = await self._requests.ask_own("get", element("query", {"xmlns": ns.ROSTER}))
        items = tree(answer).iterfind(f"{{{ns.ROSTER}}}query/{{{ns.ROSTER}}}item")
        found = (_jid(one.get("jid", "")) for one in items if one.get("subscription") in SEES_US)
        return frozenset(one.bare for one in found if one is not None)


def _jid(text: str) -> Jid | None:
    try:
        return Jid.parse(text)
    except MalformedJid:
        return None
