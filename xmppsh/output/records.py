"""What `listen` and the shell show of a stanza: one record each."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from xmppsh import ns
from xmppsh.output import safe
from xmppsh.output.record import NOT_JSON, Record
from xmppsh.plain import dataclass
from xmppsh.texts import local, rfc3339
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element

OWN = f"{{{ns.CLIENT}}}"
OOB = f"{{{ns.OOB}}}"  # XEP-0066
PRIORITY = r"[+-]?[0-9]{1,3}"  # RFC 6121 §4.7.2.3: -128 to 127; anybody can send more
DELAY = f"{{{ns.DELAY}}}delay"  # XEP-0203
OLD_DELAY = f"{{{ns.OLD_DELAY}}}x[@stamp]"  # XEP-0091
DELAYS = {DELAY, f"{{{ns.OLD_DELAY}}}x"}
BODY, SUBJECT, THREAD = (f"{OWN}{name}" for name in ("body", "subject", "thread"))
ENCRYPTION = f"{{{ns.ENCRYPTION}}}encryption"  # XEP-0380
ENCRYPTED = frozenset({ns.OLD_OMEMO, ns.OMEMO, ns.OLD_ENCRYPTED, ns.OPENPGP})
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class MessageRecord(Record):
    """A message as `listen` and the shell print it (RFC 6121 §5)."""

    is_stanza = True
    kind: Literal["message"] = field(default="message", init=False)
    """What it is."""
    from_: str | None
    """The sender; null where the server left it out, which makes it our own account."""
    to: str | None
    """Whom it was sent to."""
    type: str
    """chat, error, groupchat, headline or normal; anybody can send anything else."""
    id: str | None
    """The stanza's id."""
    body: str | None
    """The text; null where it has none."""
    subject: str | None
    """The subject; null where it has none."""
    thread: str | None
    """The conversation it belongs to."""
    lang: str | None
    """The language of the text, as a BCP 47 tag."""
    stamp: str
    """When it was sent, as its delay stamp claims (XEP-0203), else when it came; RFC 3339, UTC."""
    delayed: bool
    """Has it a delay stamp: was it kept for us?"""
    carbon: Literal["sent", "received"] | None
    """For a copy of what another client of ours sent or received (XEP-0280): which of them."""
    room: bool
    """Does it come from a room (type groupchat)?"""
    encrypted: bool
    """Is its true content encrypted, so that the body is a note about that?"""
    oob: tuple[str, ...]
    """The URLs that are attached (XEP-0066)."""
    payloads: tuple[str, ...]
    """The names of the extension elements, as `{namespace}name`."""
    xml: str = field(metadata=NOT_JSON, repr=False)
    """The stanza."""

    def text(self) -> str:
        """One line; the body's other lines are indented."""
        return f"{clock(self.stamp)} {safe.line(self.from_ or '')}: {self._content()}"

    def _content(self) -> str:
        subject = f"[{safe.line(self.subject)}] " if self.subject else ""
        if self.type == "error":
            return subject + "(error) " + safe.block(self.body or "")
        if self.body is None:
            return subject + f"({', '.join(map(safe.line, self.payloads)) or 'empty'})"
        return subject + safe.block(self.body)

    def document(self) -> str:
        """The stanza."""
        return self.xml


@dataclass(frozen=True, slots=True)
class PresenceRecord(Record):
    """A presence as `listen` prints it (RFC 6121 §4)."""

    is_stanza = True
    kind: Literal["presence"] = field(default="presence", init=False)
    """What it is."""
    from_: str | None
    """Whose presence it is."""
    to: str | None
    """Whom it was sent to."""
    type: str
    """available, unavailable, subscribe, subscribed, unsubscribe, unsubscribed, error."""
    show: str | None
    """away, chat, dnd or xa; null where it says nothing."""
    status: str | None
    """The text that goes with it."""
    priority: int
    """-128 to 127; messages to the account go to the highest."""
    stamp: str
    """When it was sent, as for a message."""
    xml: str = field(metadata=NOT_JSON, repr=False)
    """The stanza."""

    def text(self) -> str:
        """One line."""
        words = [safe.line(word) for word in (self.type, self.show or "", self.status or "")]
        return f"{clock(self.stamp)} {safe.line(self.from_ or '')} is {' '.join(word for word in words if word)}"

    def document(self) -> str:
        """The stanza."""
        return self.xml


@dataclass(frozen=True, slots=True)
class IqRecord(Record):
    """An IQ as `listen --only iq` prints it (RFC 6120 §8.2.3)."""

    is_stanza = True
    kind: Literal["iq"] = field(default="iq", init=False)
    """What it is."""
    from_: str | None
    """The sender."""
    to: str | None
    """Whom it was sent to."""
    type: str | None
    """get, set, result or error."""
    id: str | None
    """Its id, by which an answer is known."""
    payloads: tuple[str, ...]
    """The names of its children, as `{namespace}name`."""
    xml: str = field(metadata=NOT_JSON, repr=False)
    """The stanza."""

    def text(self) -> str:
        """One line."""
        payloads = ", ".join(map(safe.line, self.payloads)) or "empty"
        return f"{safe.line(self.from_ or '')} iq {safe.line(self.type or '')} {payloads}"

    def document(self) -> str:
        """The stanza."""
        return self.xml


StanzaRecord = MessageRecord | PresenceRecord | IqRecord


def record(stanza: Element, now: Callable[[], datetime], own: str = "") -> StanzaRecord:
    """The record of a message, presence or IQ; `now` gives the time of arrival, in UTC, where the stanza has none.

    own: our bare address, where the stanza does not say to whom it is.
    """
    root = tree(stanza)
    if stanza.arrived is not None:
        now = partial(datetime.fromtimestamp, stanza.arrived, UTC)
    match stanza.kind:
        case "message":
            return message_record(root, stanza.xml, now, own)
        case "presence":
            return _presence(stanza, root, now, own)
        case _:
            attribute = stanza.attributes.get
            return IqRecord(
                attribute("from"), attribute("to"), root.get("type"), root.get("id"), _payloads(root), stanza.xml
            )


def message_record(root: Tree, xml: str, now: Callable[[], datetime], own: str) -> MessageRecord:
    """The record of a message that is parsed already; the same."""
    first: dict[str, Tree] = {}  # of each name
    for child in root:
        first.setdefault(child.tag, child)
    found = _payloads(root)
    delay = None if DELAYS.isdisjoint(first) else delay_of(root, own)
    body, stanza_type = first.get(BODY), root.get("type", "normal")  # RFC 6121 §5.2.2
    return MessageRecord(
        from_=root.get("from"),
        to=root.get("to"),
        type=stanza_type,
        id=root.get("id"),
        body=None if body is None else body.text or "",
        subject=_text(first.get(SUBJECT)),
        thread=_text(first.get(THREAD)),
        lang=root.get(LANGUAGE) if body is None else body.get(LANGUAGE, root.get(LANGUAGE)),
        stamp=_stamp(delay, now),
        delayed=delay is not None,
        carbon=None,
        room=stanza_type == "groupchat",
        encrypted=ENCRYPTION in first or any(name[1:].partition("}")[0] in ENCRYPTED for name in found),
        oob=tuple(url.text or "" for url in root.iterfind(f"{OOB}x/{OOB}url")) if f"{OOB}x" in first else (),
        payloads=found,
        xml=xml,
    )


def _text(element: Tree | None) -> str | None:
    return None if element is None else element.text or ""


def _presence(stanza: Element, root: Tree, now: Callable[[], datetime], own: str) -> PresenceRecord:
    priority = re.fullmatch(PRIORITY, (root.findtext(f"{{{ns.CLIENT}}}priority") or "").strip())
    return PresenceRecord(
        from_=stanza.attributes.get("from"),
        to=stanza.attributes.get("to"),
        type=root.get("type", "available"),
        show=root.findtext(f"{{{ns.CLIENT}}}show"),
        status=root.findtext(f"{{{ns.CLIENT}}}status"),
        priority=int(priority.group()) if priority else 0,
        stamp=_stamp(delay_of(root, own), now),
        xml=stanza.xml,
    )


def _payloads(root: Tree) -> tuple[str, ...]:
    """The names of the extension elements: children outside the stanza's own namespace."""
    return tuple(child.tag for child in root if not child.tag.startswith(OWN))


def clock(stamp: str) -> str:
    """An RFC 3339 stamp for people: local time, with the date when it is not today."""
    try:
        moment = local(datetime.fromisoformat(stamp))
    except ValueError:
        return stamp
    is_today = moment.date() == datetime.now().astimezone().date()
    return moment.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")


def delay_of(root: Tree, own: str = "") -> Tree | None:
    """The delay stamp that is to be believed: by our own server before the sender's side, who may say when he spoke.

    One that names anybody else is none, since everybody can write one (XEP-0203 §5). A stamp of XEP-0203 comes before
    one of what it replaced (XEP-0091).
    """
    sides = _side(root.get("to") or own), _side(root.get("from") or own) | {""}
    for name in (DELAY, OLD_DELAY):
        stamps = root.findall(name)
        for side in sides:
            for stamp in stamps:
                if stamp.get("from", "").partition("/")[0] in side:
                    return stamp
    return None


def _side(address: str) -> set[str]:
    """Who speaks for an address: its account or room, and its server."""
    bare = address.partition("/")[0]
    return {bare, bare.rpartition("@")[2]} - {""}


def _stamp(delay: Tree | None, now: Callable[[], datetime]) -> str:
    """When it was sent, RFC 3339 in UTC: by its delay stamp as claimed there (XEP-0082), else now."""
    moment = _parsed(delay.get("stamp", "")) if delay is not None else None
    return rfc3339(moment or now())


def _parsed(stamp: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(stamp)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None  # a stamp that no calendar knows; anybody can send one
