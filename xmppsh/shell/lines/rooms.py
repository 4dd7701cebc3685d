"""Rooms in the shell (XEP-0045): enter one and wait until it has let us in, come back to it, leave it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.errors import DeadlineExceeded, ExitCode, UsageError, XmppshError
from xmppsh.model import Jid
from xmppsh.xep.greeting import Carbons, Greeting
from xmppsh.xep.muc import (
    BANNED,
    SELF,
    CannotJoin,
    how_outside,
    is_destroyed,
    join_presence,
    leave_presence,
    new_nick,
    nick_presence,
    refusal,
    statuses,
    successor,
    there,
)
from xmppsh.xep.stored_first import StoredFirst

if TYPE_CHECKING:
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


async def join(session: Session, people: People, room: Jid, nick: str, password: str | None = None) -> None:
    """Enter a room, which may be a new one; returns once it has let us in.

    Raises CannotJoin for a refusal, NotOffered for what is no room, DeadlineExceeded for silence, and MalformedJid for
    a nick that cannot be one.
    """
    arrivals = session.subscribe("presence")
    bare = str(room.bare)
    former = people.rooms.get(bare)  # where we are in it already, by the name that is to be changed
    entering = join_presence(room, nick, password, history=HISTORY) if former is None else nick_presence(room, nick)
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
    if (renamed := new_nick(presence)) is not None:
        people.rooms[bare] = renamed
        return None
    people.forget_room(bare)
    is_final = is_destroyed(presence) or BANNED in statuses(presence)
    to_join = successor(presence) if is_final else bare
    return Outside(f"{bare}: {how_outside(presence)}", hint=to_join and f"/join {to_join}")


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
