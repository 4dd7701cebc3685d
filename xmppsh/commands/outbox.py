"""`outbox`: the messages that a crash or a lost session left without a proven fate."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import click

from xmppsh import ns
from xmppsh.commands.resending import own_id, resent
from xmppsh.errors import Unconfirmed, UsageError
from xmppsh.outbox.owner import for_people
from xmppsh.outbox.queue import Fate
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.output.records import clock
from xmppsh.output.verbatim import Verbatim
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.tasks import others_done
from xmppsh.texts import rfc3339
from xmppsh.xmlio.reader import read_element, tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from xmppsh.app.app import App
    from xmppsh.outbox.journal import Journal, UnconfirmedMessage
    from xmppsh.outbox.stored import StoredStanza


BODY_CHARACTERS = 60  # of a message's text, in the list
IDS = click.argument("ids", metavar="[ID]…", nargs=-1)


@dataclass(frozen=True, slots=True)
class OutboxEntry(Record):
    """A message that nobody has confirmed."""

    id: str
    """Its id, by which `outbox retry` and `outbox drop` know it."""
    to: str
    """The recipient."""
    state: Literal["queued", "uncertain"]
    """queued: it has certainly not arrived; uncertain: nobody knows."""
    owner: str | None
    """Who is settling it at the moment, such as `guard 4711`; null when nobody is."""
    stored: str
    """When it was handed in; RFC 3339, UTC."""
    body: str
    """Its text."""
    xml: str
    """The stanza."""

    def text(self) -> str:
        """One aligned line with the beginning of the text."""
        beginning = self.body if len(self.body) <= BODY_CHARACTERS else self.body[: BODY_CHARACTERS - 1] + "…"
        state, owner = f"{self.state:9}", f"{self.owner or '-':10}"
        columns = (safe.line(self.id), clock(self.stored), state, owner, safe.line(self.to))
        return "  ".join((*columns, safe.line(beginning))).rstrip()

    def document(self) -> str:
        """The stanza."""
        return self.xml


@command("outbox", "list")
@IDS
async def outbox_list(app: App, ids: tuple[str, ...]) -> AsyncIterator[OutboxEntry]:
    """Show the account's unconfirmed messages, all or those with these IDs.

    If a helper of a dead program is settling a message right now, it is shown with the helper's name and process id
    (guard 4711, retry 4711) until it has arrived.

    Example:  xmppsh outbox list
    """
    with _journal(app) as journal:
        for message in _listed(journal, ids):
            yield _entry(message)


@command("outbox", "retry")
@IDS
async def outbox_retry(app: App, ids: tuple[str, ...]) -> AsyncIterator[Verbatim]:
    """Settle unconfirmed messages, all or those with these IDs, and send what has not arrived.

    The server's archive is asked first: what has arrived is only crossed off. A message the archive cannot account for
    is sent again only if you give its ID. What a helper of a dead program, or another retry, is settling is waited for,
    at most --timeout. With --dry-run it prints what might be sent. As with send, what comes back decides the exit code.

    Example:  xmppsh outbox retry
    """
    free, held = await _at_rest(app, ids)
    left = [message.stored for message in free]
    if app.settings.dry_run:
        for stanza in left:
            yield Verbatim(stanza.xml)
        return
    if left:
        await resent(app, left, ids)
    if held:
        raise _settled_by(held)


@command("outbox", "flush")
async def outbox_flush(app: App) -> AsyncIterator[Verbatim]:
    """Send what is queued: messages that have definitely not arrived, such as those of send --queue.

    What is for a room is said in it; where the room lets nobody in, it stays queued. What a helper of a dead program,
    or another retry, is settling is waited for, at most --timeout. As with send, what comes back decides the exit code.
    With --dry-run it prints them.

    Example:  xmppsh outbox flush
    """
    free, held = await _at_rest(app, ())
    queued = [message.stored for message in free if message.stored.fate == Fate.QUEUED]
    if app.settings.dry_run:
        for stanza in queued:
            yield Verbatim(stanza.xml)
        return
    if queued:
        await resent(app, queued, tuple(own_id(stanza) for stanza in queued))
    if held:
        raise _settled_by(held)


@command("outbox", "drop")
@IDS
@click.option("--yes", is_flag=True, help="Drop everything without asking.")
async def outbox_drop(app: App, ids: tuple[str, ...], yes: bool) -> AsyncIterator[OutboxEntry]:
    """Forget unconfirmed messages, all or those with these IDs. With --dry-run, show and keep them.

    Example:  xmppsh outbox drop --yes
    """
    free, held = await _at_rest(app, ids)
    if app.settings.dry_run:
        for message in free:
            yield _entry(message)
        return
    question = f"Forget {len(free)} messages?"
    if free and (yes or ids or await app.console.confirm(question, "give their IDs, or --yes")):
        with _journal(app) as journal:
            taken = journal.take_over([message.stored for message in free])  # what a retry has taken meanwhile is its
            journal.store.delete(stanza.row for stanza in taken)
    if held:
        raise _settled_by(held)


@contextmanager
def _journal(app: App) -> Iterator[Journal]:
    journal = app.storage.journal(app.account.jid)
    try:
        yield journal
    finally:
        journal.close()


def _listed(journal: Journal, ids: tuple[str, ...]) -> list[UnconfirmedMessage]:
    """The unconfirmed messages with these ids, or all; raises UsageError for an id that none has."""
    listed = _there(journal, ids)
    if missing := set(ids) - {own_id(message.stored) for message in listed}:
        raise UsageError(f"the outbox holds no message {min(missing)!r}", hint="xmppsh outbox list")
    return listed


def _there(journal: Journal, ids: tuple[str, ...]) -> list[UnconfirmedMessage]:
    return [message for message in journal.unconfirmed() if not ids or own_id(message.stored) in ids]


async def _at_rest(app: App, ids: tuple[str, ...]) -> tuple[list[UnconfirmedMessage], list[UnconfirmedMessage]]:
    """Those of them that nobody is settling, once it is waited for who is; and those that are being settled still.

    Raises Unconfirmed when one of these was asked for by its id.
    """
    with _journal(app) as journal:
        listed = _listed(journal, ids)
        if not app.settings.dry_run:
            await others_done(
                lambda: any(message.settled_by for message in _there(journal, ids)),
                app.settings.timeout,
                lambda: app.console.warn("another xmppsh is settling messages of this outbox; that is waited for"),
            )
            listed = _there(journal, ids)
    held = [message for message in listed if message.settled_by is not None]
    if held and ids:
        raise _settled_by(held)
    return [message for message in listed if message.settled_by is None], held


def _settled_by(held: list[UnconfirmedMessage]) -> Unconfirmed:
    helpers = " and ".join(sorted({for_people(message.settled_by or "") for message in held}))
    what = f"the message {own_id(held[0].stored)!r} has" if len(held) == 1 else f"{len(held)} messages have"
    return Unconfirmed(
        f"{helpers} is finding out whether {what} arrived",
        hint="wait for its end; xmppsh outbox list shows what is left",
    )


def _entry(one: UnconfirmedMessage) -> OutboxEntry:
    stanza = one.stored
    stored = rfc3339(datetime.fromtimestamp(stanza.stored, UTC), "seconds")
    to = read_element(stanza.xml).attributes.get("to", "")  # the recipient of a room's has the nick to join by
    return OutboxEntry(
        id=own_id(stanza),
        to=to,
        state="queued" if stanza.fate == Fate.QUEUED else "uncertain",
        owner=None if one.settled_by is None else for_people(one.settled_by),
        stored=stored,
        body=_body(stanza),
        xml=stanza.xml,
    )


def _body(stanza: StoredStanza) -> str:
    return tree(read_element(stanza.xml)).findtext(f"{{{ns.CLIENT}}}body") or ""
