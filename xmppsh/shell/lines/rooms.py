"""Rooms in the shell (XEP-0045): enter one and wait until it has let us in, come back to it, leave it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.errors import DeadlineExceeded, UsageError
from xmppsh.model import Jid
from xmppsh.xep.greeting import Carbons, Greeting
from xmppsh.xep.muc import SELF, CannotJoin, join_presence, leave_presence, refusal, statuses, there

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
    entering = join_presence(room, nick, password, history=HISTORY)
    people.rooms[bare] = nick  # before the occupants come
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
        error.hint = (
            HINTS.get(error.condition or "", error.hint or "").format(room=bare, service=room.domainpart) or None
        )
        raise
    except TimeoutError:
        raise DeadlineExceeded(f"{room.bare} does not let us in: no answer", layer="stanza") from None
    finally:
        arrivals.cancel()
        if not entered:
            people.rooms.pop(bare, None)
            people.online.pop(bare, None)


def _lets_in(presence: Element, room: Jid, nick: str) -> bool:
    """Is this our own presence in the room? Raises CannotJoin when it is a refusal."""
    stanza_type = presence.attributes.get("type")
    if stanza_type == "error":
        raise refusal(presence, room, nick)
    return stanza_type is None and SELF in statuses(presence)


def leave(session: Session, people: People, room: Jid) -> None:
    """Leave a room; raises UsageError where we are in none of that name."""
    bare = str(room.bare)
    nick = people.rooms.pop(bare, None)
    if nick is None:
        raise UsageError(f"{room} is not a room you have joined here", hint="/join ROOM")
    people.room_passwords.pop(bare, None)
    people.online.pop(bare, None)
    session.send(leave_presence(room, nick), kind="presence", to=bare)


class Again(Greeting):
    """A session that begins anew is in no room: it enters those of the lost one."""

    def __init__(self, session: Session, people: People, gaps: RoomGaps) -> None:
        super().__init__(session)
        self._people, self._gaps = people, gaps

    async def greet(self) -> None:
        """Enter all of them."""
        self._people.online.clear()
        for bare, nick in self._people.rooms.items():
            room = Jid.parse(bare)
            password, away_s = self._people.room_passwords.get(bare), self._gaps.returns_to(room, None)
            self.session.send_ahead(join_presence(room, nick, password, seconds=away_s))


def greetings(people: People, session: Session, gaps: RoomGaps) -> tuple[Interceptor, ...]:
    """What the shell's session says whenever it begins: that it wants carbons, and is in its rooms."""
    return (Carbons(session), Again(session, people, gaps))
