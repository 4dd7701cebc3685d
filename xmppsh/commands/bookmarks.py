"""`bookmarks`: the account's rooms, for all its clients (XEP-0402)."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal

import click

from xmppsh.errors import ExitCode, UsageError, XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import JID
from xmppsh.xep.bookmarks import Bookmark, bookmarks, forget, keep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.model import Jid
    from xmppsh.session.session_port import SessionPort


@dataclass(frozen=True, slots=True)
class BookmarkRecord(Record):
    """A room that the account has marked."""

    kind: Literal["bookmark"] = field(default="bookmark", init=False)
    """What it is."""
    jid: str
    """The room."""
    name: str | None
    """Its name."""
    nick: str | None
    """Your nickname in it."""
    autojoin: bool
    """Should clients join it automatically?"""
    has_password: bool
    """Is its password kept there, too?"""

    def text(self) -> str:
        """One line."""
        auto = "  (autojoin)" if self.autojoin else ""
        nick = f"  as {self.nick}" if self.nick else ""
        return safe.line(f"{self.jid}  {self.name or ''}".rstrip() + nick + auto)


class NoSuchBookmark(XmppshError):
    """The account has not marked that room."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"
    default_hint = "xmppsh bookmarks list"


@command("bookmarks", "list")
async def bookmarks_list(app: App) -> AsyncIterator[BookmarkRecord]:
    """Show the bookmarked rooms.

    Example:  xmppsh bookmarks list
    """
    async with app.sessions.one_shot() as session:
        found = await bookmarks(session)
    for one in found:
        yield BookmarkRecord(str(one.room), one.name, one.nick, one.autojoin, one.password is not None)


async def _marked(session: SessionPort, room: Jid) -> Bookmark | None:
    return next((one for one in await bookmarks(session) if one.room == room.bare), None)


@command("bookmarks", "add")
@click.argument("room", type=JID)
@click.option("--name", metavar="NAME", help="Its name.")
@click.option("--nick", metavar="NICK", help="Your nickname in it.")
@click.option("--autojoin/--no-autojoin", default=None, help="Should clients join it automatically?")
@click.option("--room-password", metavar="PASSWORD", help="The room's password.")
async def bookmarks_add(
    app: App, room: Jid, name: str | None, nick: str | None, autojoin: bool | None, room_password: str | None
) -> None:
    """Bookmark ROOM, or change its bookmark; what is not given stays as it is.

    Example:  xmppsh bookmarks add team@conference.example.org --autojoin
    """
    if room.localpart is None:
        raise UsageError(f"{room} is not the address of a room", hint=f"ROOM@{room.domainpart}")
    async with app.sessions.one_shot() as session:
        one = await _marked(session, room) or Bookmark(room.bare)
        given = {"name": name, "nick": nick, "autojoin": autojoin, "password": room_password}
        changed = {key: value for key, value in given.items() if value is not None}
        await keep(session, replace(one, **changed))  # type: ignore[arg-type]


@command("bookmarks", "remove")
@click.argument("room", type=JID)
async def bookmarks_remove(app: App, room: Jid) -> None:
    """Remove the bookmark of ROOM.

    Example:  xmppsh bookmarks remove team@conference.example.org
    """
    async with app.sessions.one_shot() as session:
        if await _marked(session, room) is None:
            raise NoSuchBookmark(f"{room.bare} is not bookmarked")
        await forget(session, room)
