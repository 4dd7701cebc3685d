"""The account's own resources: which there are, and what they say of themselves.

No server lets a client ask for all of them in one way that nobody sees (measured on Prosody 0.12.3, ejabberd 23.01):

- `disco#items` of the own account (XEP-0030): ejabberd names every session, one without presence and a dead one too;
  Prosody none. Who finds its own session among the items has seen all.
- a presence probe: ejabberd answers one to an own full JID with that resource's presence, and none to the bare JID;
  Prosody refuses the latter and drops the former.
- presence of our own (RFC 6121 §4.2.2): every server answers with the presence of the available resources, and tells
  our contacts. So it is sent when no contact gets it, or when the user wants it anyway.
- a request to a full JID that is known already tells whether it is there (XEP-0092, XEP-0199): a client answers, a dead
  session is silent, and for one that does not exist the server says `service-unavailable`.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from xmppsh import __version__, ns
from xmppsh.connection.driver import CLOSE_WAIT_S
from xmppsh.errors import DeadlineExceeded, ExitCode, MalformedJid, ProtocolError, XmppshError
from xmppsh.model import Jid
from xmppsh.output.records import DELAY, PresenceRecord, record
from xmppsh.plain import dataclass
from xmppsh.protocol.conditions import stanza_error
from xmppsh.session.session import Session
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.connection.options import SessionOptions
    from xmppsh.errors import Layer
    from xmppsh.model import Element
    from xmppsh.output.trace import Trace
    from xmppsh.texts import Log
    from xmppsh.xmlio.build import Xml

ANSWER_S = 2.0  # for a client; a dead session is silent, and holds the list up that long


class NoSuchResource(XmppshError):
    """The account has no session with that resource."""

    exit_code = ExitCode.NOUSER
    layer: Layer = "stanza"
    default_hint = "xmppsh sessions list"

    def __init__(self, jid: Jid) -> None:
        super().__init__(f"{jid.bare} has no session with the resource {jid.resourcepart}", condition="item-not-found")


class NotReplaced(ProtocolError):
    """The server bound another resource than the one that was to be replaced (RFC 6120 §7.7.2.2)."""

    layer: Layer = "bind"


@dataclass(frozen=True, slots=True)
class Availability:
    """A resource's presence; stamp: when the server had it, by XEP-0203, where it tells."""

    show: str | None
    status: str | None
    priority: int
    stamp: datetime | None


@dataclass(frozen=True, slots=True)
class Resource:
    """One of the account's resources; client: name and version by XEP-0092."""

    jid: Jid
    is_online: bool
    availability: Availability | None
    client: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """The resources; complete: there are no others, but for those that neither are available nor listed."""

    resources: list[Resource]
    complete: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """The resources that the server names; complete: it names all."""

    jids: frozenset[Jid]
    complete: bool


def items_request() -> Xml:
    """The payload that asks the own account for its resources."""
    return element("query", {"xmlns": ns.DISCO_ITEMS})


async def find(
    session: Session, known: Iterable[Jid], apart: Callable[[], AbstractAsyncContextManager[Session]], *, visible: bool
) -> Found:
    """The account's resources. known: full JIDs to ask whether they are there, whatever the server names.

    apart: opens the session that may send presence. visible: it may be seen by contacts.
    """
    listing = await listed(session)
    available = {Jid.parse(full): availability(stanza) for full, stanza in session.own_presence.items()}
    complete = listing.complete or session.jid in available
    if not complete:
        async with apart() as other:
            if visible or await _is_unseen(other):
                available, complete = await _by_presence(other), True
    return Found(await _described(session, listing, available, known), complete)


async def listed(session: Session) -> Listing:
    """The own resources by disco#items; nobody sees that."""
    answer = await session.requests.exchange("get", None, items_request())
    jids = set()
    for item in tree(answer).iterfind(f"{{{ns.DISCO_ITEMS}}}query/{{{ns.DISCO_ITEMS}}}item"):
        jid = _parsed(item.get("jid", ""))
        if item.get("node") is None and jid is not None and _is_own(session, jid):
            jids.add(jid)
    return Listing(frozenset(jids), complete=session.jid in jids)


async def exists(session: Session, jid: Jid) -> bool:
    """Is there a session of this own full JID?"""
    listing = await listed(session)
    if listing.complete or jid in listing.jids:
        return jid in listing.jids
    there, _ = await _asked(session, jid)
    return there


async def replace_and_close(options: SessionOptions, log: Log, jid: Jid, trace: Trace | None = None) -> None:
    """Close the session of the own full JID `jid`, whoever has it, by binding its resource and closing that.

    With XEP-0198 on, and without an ack for any message: what the other client had not acknowledged goes to the offline
    store, not to us. Raises NotReplaced.
    """
    options = replace(options, jid=jid, acks=True, heals=False, resumable_s=None, give_up_s=None)
    session = Session(options, log, trace)
    try:
        await session.open()
        bound = session.jid
    finally:
        await session.close(wait_s=CLOSE_WAIT_S)
    if bound != jid:
        raise NotReplaced(
            f"the server bound {bound.resourcepart} instead of {jid.resourcepart}: it lets nobody replace a session",
            condition="conflict",
            hint="end the program that has the session",
        )


# ── All of them ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _is_unseen(session: Session) -> bool:
    """Would presence of ours reach no contact? With the initial one servers repeat subscription requests too."""
    answer = await session.requests.exchange("get", None, element("query", {"xmlns": ns.ROSTER}))
    roster = tree(answer).find(f"{{{ns.ROSTER}}}query")
    if answer.attributes.get("type") != "result" or roster is None:
        return False
    return all(item.get("subscription") in (None, "none", "to") and item.get("ask") is None for item in roster)


async def _by_presence(session: Session) -> dict[Jid, Availability]:
    """The available resources, by being available ourselves for a moment.

    The priority is negative, so that no messages come (RFC 6121 §8.5.2.1.1).
    """
    async with _presences(session) as found:
        session.send(element("presence", None, element("priority", None, "-1")))
        try:
            # After our presence, and after what it brought: a server handles a stream's stanzas in order.
            await session.requests.exchange(
                "get", Jid(None, session.jid.domainpart), element("ping", {"xmlns": ns.PING})
            )
        finally:
            if not session.is_over:
                session.send(element("presence", {"type": "unavailable"}))
    found.pop(session.jid, None)
    return found


async def _described(
    session: Session, listing: Listing, available: Mapping[Jid, Availability], known: Iterable[Jid]
) -> list[Resource]:
    """What the resources say of themselves; nobody sees that."""
    jids = sorted({*listing.jids, *available, *known}, key=str)
    async with _presences(session) as found:
        if listing.complete:  # such a server answers probes
            for jid in listing.jids:
                session.send(element("presence", {"type": "probe", "to": str(jid)}))
        # A resource's presence comes before its client's answer: both come from the same place (measured, 300 of 300).
        answers = await asyncio.gather(*(_asked(session, jid) for jid in jids))
    return [
        Resource(
            jid,
            is_online=jid in listing.jids if listing.complete else jid in available or there,
            availability=available.get(jid) or found.get(jid),
            client=client,
        )
        for jid, (there, client) in zip(jids, answers, strict=True)
    ]


# ── One resource ────────────────────────────────────────────────────────────────────────────────────────────────


async def _asked(session: Session, jid: Jid) -> tuple[bool, str | None]:
    """Is there a session of this full JID, and which client has it?"""
    if jid == session.jid:
        return True, f"xmppsh {__version__}"
    version, ping = await asyncio.gather(
        _answer(session, jid, element("query", {"xmlns": ns.VERSION})),
        _answer(session, jid, element("ping", {"xmlns": ns.PING})),
    )
    # RFC 6121 §8.5.3.2.1: for a resource that does not exist the server says service-unavailable; many a client does
    # when it does not know what is asked, so two questions are asked. Silence is a session's: the server had none.
    there = any(answer is None or _condition(answer) != "service-unavailable" for answer in (version, ping))
    return there, None if version is None else _client(tree(version))


async def _answer(session: Session, jid: Jid, payload: Xml) -> Element | None:
    try:
        return await session.requests.exchange("get", jid, payload, min(ANSWER_S, session.options.timeout_s))
    except DeadlineExceeded:
        return None


def _condition(answer: Element) -> str | None:
    if answer.attributes.get("type") != "error":
        return None
    return stanza_error(tree(answer), answer.sender).condition


def _client(answer: Tree) -> str | None:
    query = answer.find(f"{{{ns.VERSION}}}query")
    if answer.get("type") != "result" or query is None:
        return None
    words = (query.findtext(f"{{{ns.VERSION}}}{part}", "").strip() for part in ("name", "version"))
    return " ".join(word for word in words if word) or None


# ── Presence ────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _presences(session: Session) -> AsyncIterator[dict[Jid, Availability]]:
    """The presence of own resources that arrives in this block."""
    found: dict[Jid, Availability] = {}
    arrivals = session.subscribe("presence")

    async def read() -> None:
        async for stanza in arrivals:
            jid = _parsed(stanza.sender)
            if jid is not None and _is_own(session, jid) and stanza.attributes.get("type") is None:
                found[jid] = availability(stanza)

    reader = asyncio.ensure_future(read())
    try:
        yield found
    finally:
        arrivals.cancel()
        await reader


def availability(stanza: Element) -> Availability:
    """What an available presence says."""
    presence = record(stanza, lambda: datetime.now(UTC))
    assert isinstance(presence, PresenceRecord)
    stamps = [stamp for delay in tree(stanza).iterfind(DELAY) if (stamp := _stamp(delay.get("stamp", ""))) is not None]
    # A client may have put a stamp of its own there; the server's is the newest.
    return Availability(presence.show, presence.status, presence.priority, max(stamps, default=None))


def _stamp(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None  # no calendar knows it


def _is_own(session: Session, jid: Jid) -> bool:
    return jid.resourcepart is not None and jid.bare == session.jid.bare


def _parsed(text: str) -> Jid | None:
    try:
        return Jid.parse(text)
    except MalformedJid:
        return None
