"""Rooms in the shell (XEP-0045): enter one and wait until it has let us in, come back to it, leave it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import DeadlineExceeded, ExitCode, UsageError, XmppshError
from xmppsh.model import Jid
from xmppsh.xep.greeting import Carbons, Greeting
from xmppsh.xep.muc import SELF, CannotJoin, join_presence, leave_presence, refusal, statuses, there
from xmppsh.xep.stored_first import StoredFirst
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element
    from xmppsh.session.ports import Interceptor
    from xmppsh.session.session import Session
    from xmppsh.shell.shown.people import People
    from xmppsh.xep.room_gaps import RoomGaps

HISTORY = 20  # messages that were said before
# What to try here, by the condition with which a room refuses.
HINTS = {
    "conflict": "/join {room} NICK",
    "not-authorized": "/join {room} --room-password PASSWORD",
    "item-not-found": "/room list {service}",
    "not-allowed": "/room list {service}",
}
BANNED, RENAMED = "301", "303"
# How one comes to be outside (XEP-0045 §16.2).
ENDS = {
    BANNED: "you are banned",
    "307": "you were kicked out",
    "321": "you are out, since you are no member any more",
    "322": "you are out, since it is for members only now",
    "332": "you are out, since its service is shut down",
    "333": "you are out, since the room took you for gone",
}


async def join(session: Session, people: People, room: Jid, nick: str, password: str | None = None) -> None:
    """Enter a room, which may be a new one; returns once it has let us in.

    Raises CannotJoin for a refusal, NotOffered for what is no room, DeadlineExceeded for silence, and MalformedJid for
    a nick that cannot be one.
    """
    arrivals = session.subscribe("presence")
    bare = str(room.bare)
    entering = join_presence(room, nick, password, history=HISTORY)
    former = people.rooms.get(bare)  # where we are in it already, by the name that is to be changed
    people.rooms[bare] = nick  # before the occupants come
    people.entering.add(bare)
    people.room_passwords.pop(bare, None)
    if password is not None:
        people.room_passwords[bare] = password
    entered = False

    async def let_in() -> None:
        async for stanza in arrivals:
            if stanza.sender.partition("/")[0] == bare and _lets_in(stanza, room, nick):
                return
        raise session.cause

    try:
        session.send(entering, kind="presence", to=bare)
        async with asyncio.timeout(session.options.timeout_s):
            await there(session, room, let_in())
            entered = True
    except CannotJoin as error:
        _with_hint(error, bare)
        raise
    except TimeoutError:
        raise DeadlineExceeded(f"{room.bare} does not let us in: no answer", layer="stanza") from None
    finally:
        arrivals.cancel()
        people.entering.discard(bare)
        if not entered and former is not None:
            people.rooms[bare] = former
        elif not entered:
            people.forget_room(bare)


def _with_hint(error: CannotJoin, room: str) -> CannotJoin:
    hint = HINTS.get(error.condition or "", error.hint or "")
    error.hint = hint.format(room=room, service=error.service.domainpart) or None
    return error


def _lets_in(presence: Element, room: Jid, nick: str) -> bool:
    """Is this our own presence in the room? Raises CannotJoin when it is a refusal."""
    stanza_type = presence.attributes.get("type")
    if stanza_type == "error":
        raise refusal(presence, room, nick)
    return stanza_type is None and SELF in statuses(presence)


def leave(session: Session, people: People, room: Jid) -> None:
    """Leave a room; raises UsageError where we are in none of that name."""
    bare = str(room.bare)
    nick = people.forget_room(bare)
    if nick is None:
        raise UsageError(f"{room} is not a room you have joined here", hint="/join ROOM")
    session.send(leave_presence(room, nick), kind="presence", to=bare)


class Outside(XmppshError):
    """We are in a room no longer, and have not left it ourselves."""

    exit_code = ExitCode.NOPERM
    layer = "stanza"


def learn(people: People, presence: Element) -> XmppshError | None:
    """What a presence of a room that we have joined tells of ourselves; the reason, where we are in it no longer."""
    bare, _, nick = presence.sender.partition("/")
    own, stanza_type = people.rooms.get(bare), presence.attributes.get("type")
    if own is None or bare in people.entering:
        return None
    if stanza_type == "error":  # it was entered again for a new session, and has refused us
        why = refusal(presence, Jid.parse(bare), own)
        people.forget_room(bare)
        return _with_hint(why, bare) if isinstance(why, CannotJoin) else why
    if stanza_type != "unavailable" or nick != own:
        return None
    codes, told = statuses(presence), tree(presence).find(f"{{{ns.MUC_USER}}}x")
    item = None if told is None else told.find(f"{{{ns.MUC_USER}}}item")
    if RENAMED in codes and item is not None and item.get("nick"):
        people.rooms[bare] = item.get("nick", "")
        return None
    people.forget_room(bare)
    return Outside(f"{bare}: {_how(codes, told)}", hint=None if BANNED in codes else f"/join {bare}")


def _how(codes: set[str], told: Tree | None) -> str:
    """In what way we came to be outside, by whom, and why."""
    how = next((words for code, words in ENDS.items() if code in codes), "you are in it no longer")
    by, reason = None, ""
    for one in () if told is None else told:
        if one.tag == f"{{{ns.MUC_USER}}}destroy":
            how = "the room was destroyed"
        actor = one.find(f"{{{ns.MUC_USER}}}actor")
        by = by if actor is None else actor.get("nick") or actor.get("jid")
        reason = reason or one.findtext(f"{{{ns.MUC_USER}}}reason", "")
    return how + (f" by {by}" if by else "") + (f": {reason}" if reason else "")


class Again(Greeting):
    """A session that begins anew is in no room: it enters those of the lost one."""

    def __init__(self, session: Session, people: People, gaps: RoomGaps) -> None:
        super().__init__(session)
        self._people, self._gaps = people, gaps

    async def greet(self) -> None:
        """Enter all of them."""
        self._people.online.clear()
        self._people.own_presence.clear()
        for bare, nick in self._people.rooms.items():
            room = Jid.parse(bare)
            password, away_s = self._people.room_passwords.get(bare), self._gaps.returns_to(room, None)
            self.session.send_ahead(join_presence(room, nick, password, seconds=away_s))


def greetings(people: People, announces: bool, session: Session, gaps: RoomGaps) -> tuple[Interceptor, ...]:
    """What the shell's session says whenever it begins: that it wants carbons, and is in its rooms.

    announces: does it tell its presence at once? Then what the server had stored comes first.
    """
    session.rooms, session.own_presence = people.rooms, people.own_presence
    return (Carbons(session), Again(session, people, gaps), *([StoredFirst(session)] if announces else []))
