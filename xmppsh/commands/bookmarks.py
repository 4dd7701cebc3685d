"""`bookmarks`: the account's rooms, for all its clients (XEP-0402)."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal

import click

from xmppsh.errors import ExitCode, Partial, XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import ROOM
from xmppsh.xep.bookmarks import Bookmark, bookmarks, forget, keep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.model import Jid


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


@command("bookmarks", "add")
@click.argument("room", type=ROOM)
@click.option("--name", metavar="NAME", help="Its name.")
@click.option("--nick", metavar="NICK", help="Your nickname in it.")
@click.option("--autojoin/--no-autojoin", default=None, help="Should clients join it automatically?")
@click.option("--room-password", metavar="PASSWORD", help="The room's password.")
async def bookmarks_add(
    app: App, room: Jid, name: str | None, nick: str | None, autojoin: bool | None, room_password: str | None
) -> None:
    """Bookmark ROOM, or change its bookmark; what is not given stays as it is. A server that keeps only so many drops
    the oldest for a new one; then the exit code is 80.

    Example:  xmppsh bookmarks add team@conference.example.org --autojoin
    """
    async with app.sessions.one_shot() as session, app.storage.changing(app.settings.timeout):
        before = {one.room: one for one in await bookmarks(session)}
        one = before.get(room.bare, Bookmark(room.bare))
        given = {"name": name, "nick": nick, "autojoin": autojoin, "password": room_password}
        changed = {key: value for key, value in given.items() if value is not None}
        await keep(session, replace(one, **changed), is_there=bool(before))  # type: ignore[arg-type]
        if room.bare not in before and (gone := before.keys() - {one.room for one in await bookmarks(session)}):
            told = ", ".join(sorted(map(str, gone)))
            raise Partial(
                f"{room.bare} is bookmarked, and your server has dropped the bookmark of {told} for it",
                hint=f"it keeps {len(before)}: remove one that you do not need",
            )


@command("bookmarks", "remove")
@click.argument("room", type=ROOM)
async def bookmarks_remove(app: App, room: Jid) -> None:
    """Remove the bookmark of ROOM.

    Example:  xmppsh bookmarks remove team@conference.example.org
    """
    async with app.sessions.one_shot() as session:
        if room.bare not in [one.room for one in await bookmarks(session)]:
            raise NoSuchBookmark(f"{room.bare} is not bookmarked")
        await forget(session, room)
