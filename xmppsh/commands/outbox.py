"""`outbox`: the messages that a crash or a lost session left without a proven fate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from xmppsh.commands.base import command
from xmppsh.errors import Unconfirmed, UsageError
from xmppsh.outbox.queue import Fate
from xmppsh.output import safe

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.outbox.journal import Journal
    from xmppsh.outbox.store import StoredStanza
    from xmppsh.session.manager import Session


@command("outbox", "Show, settle or forget messages that were never confirmed.", account=False)
@click.argument("action", metavar="list|retry|drop", type=click.Choice(["list", "retry", "drop"]))
@click.argument("ids", metavar="[ID]…", nargs=-1)
@click.option("--yes", is_flag=True, help="Drop everything without asking.")
async def outbox(app: App, action: str, ids: tuple[str, ...], yes: bool) -> None:
    """List the account's unconfirmed messages; retry or drop them, all or those with these IDs.

    retry asks the server's archive first: what has arrived is only struck off, what has not is sent. What nobody can
    tell is sent again only when its ID is given.

    Example:  xmppsh outbox list
    """
    journal = app.journal()
    try:
        left = _chosen(journal, ids)
        if action == "list":
            for stanza in left:
                await _show(app, stanza)
        elif action == "drop":
            await _drop(app, journal, left, sure=yes or bool(ids))
    finally:
        journal.close()
    if action == "retry" and left:
        await _retry(app, left, blindly=bool(ids))


def _chosen(journal: Journal, ids: tuple[str, ...]) -> list[StoredStanza]:
    left = journal.abandoned()
    if unknown := set(ids) - {stanza.stanza_id for stanza in left}:
        raise UsageError(f"the outbox holds no message {sorted(unknown)[0]!r}", hint="xmppsh outbox list")
    return [stanza for stanza in left if not ids or stanza.stanza_id in ids]


async def _show(app: App, stanza: StoredStanza) -> None:
    fate = Fate.QUEUED if stanza.fate == Fate.QUEUED else Fate.UNCERTAIN
    stored = datetime.fromtimestamp(stanza.stored, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    data = {"id": stanza.stanza_id, "to": stanza.recipient, "state": str(fate), "stored": stored, "xml": stanza.xml}
    shown = f"{safe.line(stanza.stanza_id)}  {stored}  {fate:9}  {safe.line(stanza.recipient)}"
    await app.emit(data, shown, stanza.xml)


async def _drop(app: App, journal: Journal, left: list[StoredStanza], *, sure: bool) -> None:
    if left and not sure:
        if not app.may_prompt:
            raise UsageError(f"drop forgets {len(left)} messages", hint="give their IDs, or --yes")
        if not click.confirm(f"Forget {len(left)} messages?", err=True):
            return
    journal.store.delete(stanza.row for stanza in left)


async def _retry(app: App, left: list[StoredStanza], *, blindly: bool) -> None:
    journal = app.journal()
    async with app.session(journal=journal) as session:
        again = await _settled(session, journal, left, blindly=blindly)
        journal.store.own(stanza.row for stanza in again)
        session.queue_again(stanza.entry() for stanza in again)
        await session.acked(session.sent_count)
    checking = app.journal()
    try:
        unknown = len(checking.abandoned_of(left))
    finally:
        checking.close()
    if unknown:
        raise Unconfirmed(
            f"of {unknown} messages nobody can tell whether they have arrived",
            hint="xmppsh outbox retry ID sends one again, xmppsh outbox drop ID forgets it",
        )


async def _settled(
    session: Session, journal: Journal, left: list[StoredStanza], *, blindly: bool
) -> list[StoredStanza]:
    """Strike off what has arrived; what is to be sent again."""
    from xmppsh.session.reconcile import by_archive

    doubted = [stanza for stanza in left if stanza.fate != Fate.QUEUED]
    entries = [stanza.entry() for stanza in doubted]
    for number, entry in enumerate(entries, 1):
        entry.number = number
    fates = await by_archive(session, entries, frozenset(), 0.0)
    outcome = dict(zip((stanza.row for stanza in doubted), fates, strict=True))
    journal.store.delete(row for row, fate in outcome.items() if fate is Fate.ACKED)
    sendable = {Fate.QUEUED, Fate.UNCERTAIN} if blindly else {Fate.QUEUED}
    return [stanza for stanza in left if outcome.get(stanza.row, Fate.QUEUED) in sendable]
