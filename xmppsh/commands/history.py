"""`history`: what the archive of the account, or of a room, has kept (XEP-0313)."""

from __future__ import annotations

from contextlib import aclosing, closing
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from xmppsh import ns
from xmppsh.app.progress import Counter
from xmppsh.commands.export_mark import ExportMark
from xmppsh.errors import UsageError
from xmppsh.output.records import message_record
from xmppsh.output.together import lines
from xmppsh.output.verbatim import Verbatim
from xmppsh.registry.base import command
from xmppsh.registry.params import FILE, JID, MOMENT, ROOM
from xmppsh.tasks import apart
from xmppsh.xep.history import Wanted, forwards, newest
from xmppsh.xep.missing import offered
from xmppsh.xep.muc import is_room
from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.runs import starts_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from xmppsh.app.app import App
    from xmppsh.model import Jid
    from xmppsh.output.record import Record
    from xmppsh.output.records import MessageRecord
    from xmppsh.xep.history import Archived

WHAT = "an archive (XEP-0313)"
STANDS_ALONE = f" xmlns='{ns.CLIENT}'"
LISTED = 50  # messages of `history list` without --last
F = TypeVar("F", bound="Callable[..., Any]")


def _choosing(handler: F) -> F:
    for option in (
        click.option("--last", type=click.IntRange(min=1), metavar="N", help="The last N messages."),
        click.option("--until", type=MOMENT, metavar="T", help="Not after T."),
        click.option(
            "--since", type=MOMENT, metavar="T", help="Not before T: RFC 3339, or a time span such as 2h or 7d."
        ),
        click.option("--room", type=ROOM, metavar="ROOM", help="The archive of this room."),
        click.option("--with", "partner", type=JID, metavar="JID", help="Only the conversation with JID."),
    ):
        handler = option(handler)
    return handler


def _wanted(app: App, partner: Jid | None, room: Jid | None, since: Any, until: Any) -> Wanted:
    if partner is not None and room is not None:  # Prosody would give everybody's messages, and ejabberd none
        raise UsageError(
            "--with and --room exclude each other",
            hint="leave out --with: the `from` of a record tells who has said it",
        )
    now = app.console.now()
    first, last = _moment(since, now), _moment(until, now)
    if first is not None and last is not None and last < first:
        raise UsageError("--until is before --since", hint="--since 2h --until 1h: from two hours ago to one hour ago")
    return Wanted(partner, first, last, room)


def _moment(given: datetime | timedelta | None, now: datetime) -> datetime | None:
    return now - given if isinstance(given, timedelta) else given


@command("history", "list")
@_choosing
async def history_list(
    app: App, partner: Jid | None, room: Jid | None, since: Any, until: Any, last: int | None
) -> AsyncIterator[MessageRecord]:
    """Show the last messages of the archive, 50 without --last, oldest first.

    Example:  xmppsh history list --with juliet@example.org --last 10
    """
    wanted = _wanted(app, partner, room, since, until)
    async with app.sessions.one_shot() as session:
        with offered(WHAT, str(room or session.jid.domainpart)):
            if room is not None:
                await is_room(session, room)  # ejabberd answers in a user's place with our own archive
            found = await newest(session, wanted, last or LISTED)
    own = str(session.jid.bare)
    for one in found:
        yield _record(app, one, own)


@command("history", "export")
@_choosing
@click.option("--checkpoint", type=FILE, help="Record the progress in FILE; when run again, continue there.")
async def history_export(
    app: App, partner: Jid | None, room: Jid | None, since: Any, until: Any, last: int | None, checkpoint: str | None
) -> AsyncIterator[Record]:
    """Print the whole archive as JSON, one message per line, oldest first.

    With --checkpoint and stdout going to a file (>>), a run that was killed continues where it stopped, with nothing
    missing or duplicated; if stdout is not a file, a page of messages may come twice.

    Example:  xmppsh history export --checkpoint done.json >> archive.ndjson
    """
    if last is not None and checkpoint is not None:
        raise UsageError("--last and --checkpoint exclude each other", hint="leave one out")
    app.printer.format = "json"
    wanted = _wanted(app, partner, room, since, until)
    async with app.sessions.one_shot(acks=False) as session:
        with offered(WHAT, str(room or session.jid.domainpart)):
            if room is not None:
                await is_room(session, room)
            own = str(session.jid.bare)
            if last is not None:
                for one in await newest(session, wanted, last):
                    yield _record(app, one, own)
                return
            path = None if checkpoint is None or app.settings.dry_run else app.console.path(checkpoint)
            mark = ExportMark(path, app.console.stdout.fd, _query(room or session.jid.bare, partner, since, until))
            after = await apart(mark.restore)
            async with aclosing(forwards(session, wanted, after)) as pages:
                with closing(Counter(app, "messages")) as counter:
                    async for page in pages:
                        mark.refuse_older(page.messages[0])
                        yield _together(app, page.messages, own)
                        await apart(partial(mark.note, page.messages[-1], len(page.messages)))
                        counter.show(mark.count, page.total)


def _query(archive: Jid, partner: Jid | None, since: Any, until: Any) -> dict[str, str | None]:
    """What is exported, as it was asked for: a span of time ends at another moment in each run."""
    asked = {"archive": archive, "with": partner, "since": since, "until": until}
    return {name: None if value is None else str(value) for name, value in asked.items()}


def _record(app: App, one: Archived, own: str) -> MessageRecord:
    return message_record(tree(one.xml), one.xml, lambda: one.moment or app.console.now(), own)


def _together(app: App, page: list[Archived], own: str) -> Verbatim:
    """What the records of a page look like, to be written at once."""
    printer, on_terminal = app.printer, app.console.stdout.is_terminal
    if not printer.is_json:
        return Verbatim("\n".join([printer.line(_record(app, one, own), for_terminal=on_terminal) for one in page]))
    now = app.console.now()
    messages = [one.xml.replace(STANDS_ALONE, "", 1) for one in page]  # as messages come that are not in an archive
    moments = [one.moment or now for one in page]
    made = lines(messages, starts_of(messages), lambda: now, own, moments)
    return Verbatim(
        "\n".join([one if isinstance(one, str) else printer.line(one, for_terminal=on_terminal) for one in made])
    )
