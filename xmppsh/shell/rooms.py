"""Rooms in the shell (XEP-0045): enter one and wait until it has let us in, leave it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.errors import DeadlineExceeded, MalformedJid, UsageError
from xmppsh.model import Jid
from xmppsh.protocol.conditions import stanza_error
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.session.session import Session
    from xmppsh.shell.people import People
    from xmppsh.xmlio.build import Xml

MUC = "http://jabber.org/protocol/muc"
SELF = "110"  # the status that marks our own presence in a room (§7.2.2)


def entering(room: Jid, nick: str) -> Xml:
    """The presence that asks to be let in; 20 messages of what was said before are wanted."""
    history = element("history", {"maxstanzas": "20"})
    return element("presence", {"to": str(_occupant(room, nick))}, element("x", {"xmlns": MUC}, history))


def _occupant(room: Jid, nick: str) -> Jid:
    try:
        return Jid.parse(f"{room.bare}/{nick}")
    except MalformedJid as error:
        raise UsageError(f"{nick!r} cannot be a nick: {error}") from None


async def join(session: Session, people: People, room: Jid, nick: str) -> None:
    """Enter; returns once the room has let us in. Raises StanzaError for a refusal, DeadlineExceeded for silence."""
    arrivals = session.subscribe("presence")
    bare = str(room.bare)
    people.rooms[bare] = nick  # before the occupants come
    entered = False
    try:
        session.send(entering(room, nick), kind="presence", stanza_id="", to=str(room.bare))
        async with asyncio.timeout(session.options.timeout_s):
            async for stanza in arrivals:
                if stanza.sender.partition("/")[0] == bare and _answers(stanza):
                    entered = True
                    return
    except TimeoutError:
        raise DeadlineExceeded(f"{room} does not let us in: no answer", layer="stanza") from None
    finally:
        arrivals.cancel()
        if not entered:
            people.rooms.pop(bare, None)


def _answers(presence: Element) -> bool:
    """Is this our own presence in the room? Raises StanzaError when it is a refusal."""
    root = tree(presence)
    if root.get("type") == "error":
        raise stanza_error(root, presence.sender)
    statuses = root.iterfind(f"{{{MUC}#user}}x/{{{MUC}#user}}status")
    return root.get("type") is None and any(status.get("code") == SELF for status in statuses)


def leave(session: Session, people: People, room: Jid) -> None:
    """Leave a room; raises UsageError where we are in none of that name."""
    bare = str(room.bare)
    nick = people.rooms.pop(bare, None)
    if nick is None:
        raise UsageError(f"{room} is no room that was joined here", hint="/who")
    people.online.pop(bare, None)
    xml = element("presence", {"to": f"{bare}/{nick}", "type": "unavailable"})
    session.send(xml, kind="presence", stanza_id="", to=bare)
