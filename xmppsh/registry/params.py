"""The types of arguments: each knows how to read its text."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from xmppsh.config.contacts import MAX_SHOWN, at_most
from xmppsh.config.values import UNITS_S, nearest, positive_seconds
from xmppsh.errors import UsageError
from xmppsh.model import Jid
from xmppsh.registry.base import OPTIONS
from xmppsh.registry.kinds import ANSWERS, Wait, named, parse_address, read_wait

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem


def completion_item(value: str, **facts: Any) -> CompletionItem:
    """What click's completion gives for a word; only who completes loads that."""
    from click.shell_completion import CompletionItem

    return CompletionItem(value, **facts)


class JidType(click.ParamType[Jid]):
    """An XMPP address, or an `xmpp:` URI (RFC 5122), of which the query part is left aside."""

    name = "JID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Jid:
        """Raises MalformedJid."""
        return value if isinstance(value, Jid) else parse_address(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Whom the running shell knows; else the contacts of this command line's account, from a cache."""
        begin = incomplete.casefold()
        if ctx.obj is not None:
            fits = ((jid, about) for jid, about in ctx.obj.addresses(incomplete) if jid.casefold().startswith(begin))
            found = list(islice(fits, MAX_SHOWN))
        else:
            from xmppsh.registry.known import cached_addresses

            known = cached_addresses(ctx.find_root().meta.get(OPTIONS, {}), os.environ)
            found = at_most([(jid, about) for jid, about in known if jid.casefold().startswith(begin)])
        return [completion_item(jid, help=about or None) for jid, about in found]


class RoomType(JidType):
    """The address of a room: that of a service would be asked about its rooms in the place of what is in one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Jid:
        """Raises MalformedJid, UsageError."""
        jid = super().convert(value, param, ctx)
        if jid.localpart is None:
            raise UsageError(f"{jid} is not the address of a room", hint=f"ROOM@{jid.domainpart}")
        return jid

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The rooms that the running shell knows; elsewhere the same as for any address."""
        if ctx.obj is None:
            return super().shell_complete(ctx, param, incomplete)
        found = islice(ctx.obj.room_addresses(incomplete), MAX_SHOWN)
        return [completion_item(jid, help=about or None) for jid, about in found]


class NickType(click.ParamType[str]):
    """The name of somebody in the room that stands before it."""

    name = "NICK"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Who is there, in a room that the running shell is in."""
        room, begin = ctx.params.get("room"), incomplete.casefold()
        nicks = [] if ctx.obj is None or room is None else ctx.obj.occupants(str(room.bare))
        fits = (nick for nick in nicks if nick.casefold().startswith(begin))
        return [completion_item(nick, help="occupant") for nick in islice(fits, MAX_SHOWN)]


def starting(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Those of the words that may still be meant."""
    return [completion_item(word) for word in words if word.startswith(incomplete)]


class SecondsType(click.ParamType[float]):
    """A span above zero (`5`, `5s`, `2h`), in seconds."""

    name = "S"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Raises UsageError."""
        return value if isinstance(value, float) else _seconds(value, param)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """A number with each unit."""
        return [completion_item(incomplete + unit) for unit in UNITS_S] if incomplete.isdecimal() else []


def _named(param: click.Parameter | None) -> str:
    """The option's name, to begin a sentence with."""
    return f"{max(param.opts, key=len)}: " if param is not None and param.opts else ""


def _seconds(text: str, param: click.Parameter | None) -> float:
    try:
        return positive_seconds(text)
    except UsageError as error:
        raise UsageError(f"{_named(param)}{error}", hint=error.hint) from None


KIND_NAMES = ("message", "presence", "iq")


class KindsType(click.ParamType[tuple[str, ...]]):
    """Kinds of stanzas, comma-separated."""

    name = "KINDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Raises UsageError."""
        kinds = value if isinstance(value, tuple) else tuple(kind.strip() for kind in value.split(","))
        for kind in kinds:
            if kind not in KIND_NAMES:
                raise UsageError(f"{_named(param)}{kind!r} is not one of {', '.join(KIND_NAMES)}")
        return kinds

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The kinds that are not named yet, after the last comma."""
        before, comma, last = incomplete.rpartition(",")
        given = before.split(",")
        return starting([before + comma + kind for kind in KIND_NAMES if kind not in given], before + comma + last)


class WaitType(click.ParamType[Wait]):
    """`sent`, `acked`, `delivered[:SECONDS]` or `reply[:SECONDS]`."""

    name = "WAIT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Wait:
        """Raises UsageError."""
        return value if isinstance(value, Wait) else read_wait(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What can be waited for."""
        return starting(("sent", "acked", *ANSWERS, *(f"{what}:" for what in ANSWERS)), incomplete)


class RecordType(click.ParamType[str]):
    """The name of a record, as `xmppsh schema` lists them."""

    name = "RECORD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises UsageError."""
        from xmppsh.registry.record_types import all_types

        if value not in all_types():
            names = sorted(all_types())
            raise UsageError(f"{value!r} is not a record", hint=nearest(value, names) or f"one of {', '.join(names)}")
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names of all records."""
        from xmppsh.registry.record_types import all_types

        return starting(sorted(all_types()), incomplete)


class FileType(click.ParamType[str]):
    """The name of a file, as it was given."""

    name = "FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises UsageError for none."""
        return named(str(value))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Files, which the shell knows best."""
        return [completion_item(incomplete, type="file")]


class NameType(click.ParamType[str]):
    """The name of a node, or of an item in one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises UsageError for none, which a service would take for a name, invent one, or show all (XEP-0060)."""
        return named(str(value), self.name.lower())


class MomentType(click.ParamType["datetime | timedelta"]):
    """A moment as RFC 3339 has it, or a span before now (`2h`, `7d`)."""

    name = "T"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """Raises UsageError."""
        if isinstance(value, (datetime, timedelta)):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            try:
                return timedelta(seconds=positive_seconds(value))
            except (UsageError, OverflowError):
                said = f"{_named(param)}{value!r} is not a time"
                raise UsageError(said, hint="2026-11-22T16:30:00Z, 2026-11-22, 2h or 7d") from None
        return moment if moment.tzinfo is not None else moment.astimezone()

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """A number with each unit."""
        return [completion_item(incomplete + unit) for unit in UNITS_S] if incomplete.isdecimal() else []


JID = JidType()
MOMENT = MomentType()
FILE = FileType()
NODE, ITEM = NameType("NODE"), NameType("ITEM")
ROOM, NICK = RoomType(), NickType()
RECORD = RecordType()
WAIT = WaitType()
KINDS = KindsType()
SECONDS = SecondsType()
# As a command declares them (base.py: option); kinds.py reads most of them without click.
BY_NAME: dict[str, click.ParamType[Any]] = {
    "JID": JID,
    "FILE": FILE,
    "WAIT": WAIT,
    "SECONDS": SECONDS,
    "COUNT": click.IntRange(min=1),
    "PRIORITY": click.IntRange(-128, 127),
}
