"""XEP-0045: rooms. Joining means to wait for our own presence from the room; until then nothing can be said there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from xmppsh import ns
from xmppsh.errors import DeadlineExceeded, ExitCode, StanzaError, XmppshError
from xmppsh.model import Jid
from xmppsh.protocol.conditions import OUT_OF_REACH, condition_of, stanza_error
from xmppsh.tasks import ended, unless
from xmppsh.texts import to_run
from xmppsh.xep.disco import info
from xmppsh.xep.missing import NotOffered, require
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element
    from xmppsh.session.session_port import Reader, SessionPort
    from xmppsh.xmlio.build import Xml

T = TypeVar("T")
WHAT = "rooms (XEP-0045)"
SELF, CREATED = "110", "201"  # §16.2: this presence is about ourselves; the room was made by our joining
BANNED, RENAMED = "301", "303"
# How one comes to be outside (§16.2).
ENDS = {
    BANNED: "you are banned",
    "307": "you were kicked out",
    "321": "you are out, since you are no member any more",
    "322": "you are out, since it is for members only now",
    "332": "you are out, since its service is shut down",
    "333": "you are out, since the room took you for gone",
}
PATIENCE_S = 2.0  # a room that lets us in within that time is one, whatever its service says


class CannotJoin(XmppshError):
    """A room did not let us in; says why, and what to try. service: the address of the room's server."""

    layer = "stanza"
    service: Jid


def join_presence(
    room: Jid, nick: str, password: str | None = None, *, history: int = 0, seconds: int | None = None
) -> Xml:
    """Ask to be let in (§7.2); history: how many old messages the room should send; seconds: or those of so long."""
    parts = (
        element("history", {"maxstanzas": str(history)} if seconds is None else {"seconds": str(seconds)}),
        None if password is None else element("password", None, password),
    )
    address = str(room.bare.with_resource(nick))
    return element("presence", {"to": address}, element("x", {"xmlns": ns.MUC}, *parts))


def nick_presence(room: Jid, nick: str) -> Xml:
    """Take another nick where we are in already (§7.6): who asks to be let in a second time gets the history again."""
    return element("presence", {"to": str(room.bare.with_resource(nick))})


def leave_presence(room: Jid, nick: str) -> Xml:
    """Leave (§7.14)."""
    return element("presence", {"to": str(room.bare.with_resource(nick)), "type": "unavailable"})


async def join(
    session: SessionPort, presences: Reader, room: Jid, nick: str, password: str | None, timeout_s: float
) -> str:
    """Join, and wait until we are in; returns the nick that the room gave us.

    presences: a reader of presence that was made before. Raises CannotJoin, NotOffered, DeadlineExceeded.
    """
    session.send(join_presence(room, nick, password), to=str(room))
    try:
        async with asyncio.timeout(timeout_s):
            return await there(session, room, _let_in(session, presences, room, nick))
    except TimeoutError:
        raise DeadlineExceeded(
            f"{room.bare} did not let us in within {timeout_s:.3g} s", layer="stanza", hint="--timeout S waits longer"
        ) from None


async def _let_in(session: SessionPort, presences: Reader, room: Jid, nick: str) -> str:
    async for stanza in presences:
        if (answer := self_presence(stanza, room, nick)) is not None:
            return answer
    raise session.cause


async def there(session: SessionPort, room: Jid, entering: Coroutine[Any, Any, T]) -> T:
    """The result of `entering`, which waits for the room's answer to our presence; what is no room never gives one
    (RFC 6121 §8.5.3.2.2), and then the reason is raised that `why_no_room` has found.

    Raises CannotJoin for a room that refuses us, StanzaError where nobody may speak to its server.
    """

    async def watch() -> None:
        if (why := await why_no_room(session, room)) is not None:
            raise why
        await asyncio.Event().wait()  # it may be a room: its presence decides

    watching = asyncio.ensure_future(watch())
    try:
        return await truly_refused(session, unless(watching, asyncio.ensure_future(entering)))
    finally:
        await ended(watching)


async def truly_refused(session: SessionPort, entering: Awaitable[T]) -> T:
    """The result of `entering`, or its refusal from who it is of.

    Our own server answers in the room's place where it does not talk to the room's, and in the same words; then it
    refuses a question to that server as well.
    """
    try:
        return await entering
    except CannotJoin as refused:
        raise await _who_refuses(session, refused) from refused


async def _who_refuses(session: SessionPort, refused: CannotJoin) -> XmppshError:
    try:
        await info(session, refused.service)
    except StanzaError as error:
        if error.condition == refused.condition:
            error.hint = f"{error.sender} is out of reach for you, so nothing is known of its rooms"
            return error
    except XmppshError:
        return refused  # silence, or a cut
    return refused


async def is_room(session: SessionPort, room: Jid) -> None:
    """Raise CannotJoin where nothing is there, as ejabberd shows, changes and destroys a room that does not exist;
    NotOffered where something else is there (§6.4), or its server has no rooms.
    """
    try:
        identities, _ = await info(session, room.bare)
    except StanzaError as error:
        if error.condition == "item-not-found":
            raise _missing(room, "does not exist") from error
        raise await _of_its_service(session, room, error) from error
    if "conference" not in [one.category for one in identities]:
        raise NotOffered(f"{room.bare} is not a room", hint=to_run("disco", "info", room.bare))


async def _of_its_service(session: SessionPort, room: Jid, refused: StanzaError) -> XmppshError:
    """Why nobody says what is there: the service has no rooms, or is out of reach; else the refusal itself."""
    try:
        await require(session, Jid(None, room.domainpart), ns.MUC, WHAT)
    except NotOffered as error:
        return error
    except StanzaError as error:
        if error.condition in (refused.condition, *OUT_OF_REACH):
            error.hint = f"{error.sender} is out of reach for you, so nothing is known of its rooms"
            return error
    except XmppshError:
        return refused  # silence, or a cut
    return refused


async def why_no_room(session: SessionPort, room: Jid) -> XmppshError | None:
    """Why there can be no such room: its server is out of reach, or has no rooms; None where that is not known.

    It tells after a while only, for a service that has rooms and does not say so.
    """
    try:
        await require(session, Jid(None, room.domainpart), ns.MUC, WHAT)
    except NotOffered as error:
        why: XmppshError = error
    except StanzaError as error:
        if error.condition not in OUT_OF_REACH:
            return None
        why = error
    except XmppshError:
        return None  # silence, or a cut
    else:
        return None
    await asyncio.sleep(PATIENCE_S)
    return why


@asynccontextmanager
async def inside(
    session: SessionPort, rooms: Sequence[Jid], nick: str | None, password: str | None, *, waits: bool = True
) -> AsyncIterator[str]:
    """In the rooms, for as long as the block runs; gives our name in the last one. Where the session is in one already,
    it is so by the name that it has there, and stays.

    nick: by default the name of the account. waits: not with --dry-run, where no room answers.
    Raises what `join` raises.
    """
    presences = session.subscribe("presence")
    joined: list[tuple[Jid, str]] = []
    name = wanted = nick or session.jid.localpart or "xmppsh"
    try:
        for room in rooms:
            if (known := session.rooms.get(str(room.bare))) is not None:
                name = known
                continue
            joined.append((room, wanted))
            if not waits:
                session.send(join_presence(room, wanted, password), to=str(room))
                continue
            name = await join(session, presences, room, wanted, password, session.options.timeout_s)
            joined[-1] = (room, name)
        yield name
    finally:
        presences.cancel()
        if not session.is_cut:
            for room, called in joined:
                session.send(leave_presence(room, called), to=str(room))


def self_presence(stanza: Element, room: Jid, nick: str) -> str | None:
    """Our nick in the room, when this presence says that we are in; None when it says nothing of us.

    Raises CannotJoin when it refuses us, or when there was no such room (joining makes one).
    """
    bare, _, resource = stanza.sender.partition("/")
    if stanza.kind != "presence" or bare != str(room.bare):
        return None
    if stanza.attributes.get("type") == "error":
        raise refusal(stanza, room, nick)
    codes = statuses(stanza)
    if stanza.attributes.get("type") == "unavailable" or SELF not in codes:
        return None
    if CREATED in codes:
        raise _missing(room, "does not exist")
    return resource


def statuses(stanza: Element) -> set[str]:
    """The status codes of a presence or message of a room (§16.2)."""
    return {one.get("code", "") for one in tree(stanza).iterfind(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}status")}


def new_nick(presence: Element) -> str | None:
    """Our new nick, where an unavailable presence of ours tells that it is the end of the old one (§7.6)."""
    item = tree(presence).find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}item")
    return None if item is None or RENAMED not in statuses(presence) else item.get("nick") or None


def is_destroyed(presence: Element) -> bool:
    """Does an unavailable presence tell that there is no such room any more (§10.9)?"""
    return _destruction(presence) is not None


def successor(presence: Element) -> str | None:
    """The room that takes the place of one that was destroyed (§10.9)."""
    destroyed = _destruction(presence)
    return None if destroyed is None else destroyed.get("jid")


def _destruction(presence: Element) -> Tree | None:
    return tree(presence).find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}destroy")


def how_outside(presence: Element) -> str:
    """In what way we came to be outside of a room, by whom, and why."""
    told, codes = tree(presence).find(f"{{{ns.MUC_USER}}}x"), statuses(presence)
    how = next((words for code, words in ENDS.items() if code in codes), "you are in it no longer")
    by, reason = None, ""
    for one in () if told is None else told:
        if one.tag == f"{{{ns.MUC_USER}}}destroy":
            how = "the room was destroyed"
        actor = one.find(f"{{{ns.MUC_USER}}}actor")
        by = by if actor is None else actor.get("nick") or actor.get("jid")
        reason = reason or one.findtext(f"{{{ns.MUC_USER}}}reason", "")
    instead = f"; {room} takes its place" if (room := successor(presence)) else ""
    return how + (f" by {by}" if by else "") + (f": {reason}" if reason else "") + instead


def is_subject(stanza: Element) -> bool:
    """Does the message tell the subject, and nothing else (§8.1)?"""
    root = tree(stanza)
    return root.find(f"{{{ns.CLIENT}}}subject") is not None and root.find(f"{{{ns.CLIENT}}}body") is None


def refusal(stanza: Element, room: Jid, nick: str) -> XmppshError:
    """Why a room refused us, by name (§7.2)."""
    root = tree(stanza)
    error = stanza_error(root, str(room.bare))
    told = root.find(f"{{{ns.CLIENT}}}error")
    text = None if told is None else condition_of(told, ns.STANZA_ERRORS)[1]
    said = f" ({text})" if text else ""  # a ban, and a policy against new rooms, have the same condition on ejabberd
    match error.condition:
        case "conflict":
            what, hint = f"already has someone called {nick}", "--nick NICK"
        case "not-authorized":
            what, hint = "wants a password", "--room-password PASSWORD"
        case "forbidden":
            what, hint = f"refuses you{said}" if text else "has banned you", "ask its owner"
        case "registration-required":
            what, hint = "is for members only", "ask its owner to make you one"
        case "service-unavailable":
            return _named(room, f"is full, or there is no such service{said}", None, error.exit_code, error.condition)
        case "item-not-found" | "not-allowed":
            return _missing(room, f"does not exist, and may not be made{said}", error)
        case _:
            return error
    return _named(room, what, hint, ExitCode.NOPERM, error.condition)


def _named(room: Jid, what: str, hint: str | None, code: ExitCode, condition: str | None) -> CannotJoin:
    error = CannotJoin(f"the room {room.bare} {what}", hint=hint, condition=condition)
    error.exit_code, error.service = code, Jid(None, room.domainpart)
    return error


def _missing(room: Jid, what: str, error: StanzaError | None = None) -> CannotJoin:
    """There is no such room; error: as the service says it."""
    code, condition = (ExitCode.NOUSER, "item-not-found") if error is None else (error.exit_code, error.condition)
    return _named(room, what, f"xmppsh room list {room.domainpart}", code, condition)
