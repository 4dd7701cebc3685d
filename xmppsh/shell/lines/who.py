"""`/who`: who is online, and who is in a room, as far as this session is told."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from xmppsh.shell.shown.people import People


@dataclass(frozen=True, slots=True)
class Online(Record):
    """Somebody who is online, or in a room that the shell is in."""

    kind: Literal["online"] = field(default="online", init=False)
    """What it is."""
    jid: str
    """The address, with its resource; of an occupant that in the room."""
    nick: str | None
    """The name in the room; null outside of rooms."""
    show: str | None
    """away, chat, dnd or xa; null where it says nothing."""

    def text(self) -> str:
        """One line."""
        return safe.line(self.nick or self.jid) + (f" ({safe.line(self.show)})" if self.show else "")


def occupants(people: People, room: str) -> list[Online]:
    """Who is in a room, by the nicks."""
    return [Online(f"{room}/{nick}", nick, show or None) for nick, show in sorted(people.online.get(room, {}).items())]


def contacts(people: People) -> list[Online]:
    """Who is online, by the addresses."""
    return [
        Online(f"{jid}/{resource}", None, show or None)
        for jid, resources in sorted(people.online.items())
        if jid not in people.rooms
        for resource, show in sorted(resources.items())
    ]
