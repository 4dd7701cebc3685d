"""`outbox retry` and `outbox flush` at work: what is stored is settled, sent, and what comes back decides the end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from xmppsh.commands.send.delivery import Delivery
from xmppsh.errors import Unconfirmed, XmppshError
from xmppsh.model import Jid
from xmppsh.outbox.queue import Fate
from xmppsh.registry.kinds import Wait
from xmppsh.tasks import others_done
from xmppsh.xmlio.reader import read_element

if TYPE_CHECKING:
    from xmppsh.app.app import App
    from xmppsh.outbox.journal import Journal
    from xmppsh.outbox.queue import Entry
    from xmppsh.outbox.stored import StoredStanza
    from xmppsh.session.session import Session


def own_id(stanza: StoredStanza) -> str:
    """What the user knows it by: its own id, where it has one."""
    return read_element(stanza.xml).id or stanza.stanza_id


async def resent(app: App, seen: list[StoredStanza], ids: tuple[str, ...]) -> None:
    """Send what has not arrived of the messages `seen`; those with `ids` also where nobody knows.

    Raises Unconfirmed for what stays unknown, the error of what came back, and that of a room that lets nobody in:
    what is for it stays stored.
    """
    from xmppsh.session.session import Session

    async with app.sessions.one_shot() as session:
        assert isinstance(session, Session)  # --dry-run was dealt with
        journal = session.outbound.journal
        assert journal is not None
        # Not before: the session's start settles what a dead process left, and another retry may be at work.
        taken = journal.take_over(_with_ids(journal.abandoned(), ids))
        ours = {stanza.row for stanza in taken}
        lost = [stanza for stanza in seen if stanza.row not in ours]
        _tell_of_others(app, journal, len(seen), lost)
        again = await _settled(session, journal, taken, blindly=bool(ids))
        delivery = Delivery([], Wait("acked"), "chat")
        kept = await _sent(session, journal, again, delivery)
    checking = app.storage.journal(app.account.jid)
    try:
        unknown = len([one for one in checking.left_of(taken) if one.stored.row not in kept])
        await others_done(
            lambda: any(one.settled_by for one in checking.left_of(lost)),
            app.settings.timeout,
            lambda: None,  # told by _tell_of_others
        )
        unsent = len(checking.left_of(lost))
    finally:
        checking.close()
    if unsent:
        raise Unconfirmed(
            f"another xmppsh has taken over {unsent} of {len(seen)} messages, and not settled them",
            hint="xmppsh outbox list shows what is left",
        )
    if unknown:
        raise Unconfirmed(
            f"of {unknown} messages nobody can tell whether they have arrived",
            hint="xmppsh outbox retry ID sends one again, xmppsh outbox drop ID forgets it",
        )
    delivery.judge(app.console)


def _with_ids(left: list[StoredStanza], ids: tuple[str, ...]) -> list[StoredStanza]:
    return [stanza for stanza in left if not ids or own_id(stanza) in ids]


async def _sent(session: Session, journal: Journal, entries: list[Entry], delivery: Delivery) -> set[int | None]:
    """Send them, those to a room from within it; the rows of those that stay stored, since the room lets nobody in."""
    ready: list[Entry] = []
    kept: list[Entry] = []
    shut: dict[Jid, XmppshError | None] = {}
    collecting = session.beside((session.bounces(), partial(delivery.collect_bounces, session)))
    async with collecting as reading, AsyncExitStack() as rooms:
        for entry in entries:
            stanza, to = read_element(entry.xml), Jid.parse(entry.to) if entry.to else session.jid.bare
            key = delivery.expect(stanza.id or "", to)
            if stanza.attributes.get("type") == "groupchat":
                if to not in shut:
                    shut[to] = await _refusal(session, rooms, to)
                if (error := shut[to]) is not None:
                    delivery.failed[key] = error
                    kept.append(entry)
                    continue
            ready.append(entry)
        session.resend(ready)
        await session.through(session.sent_count, [one.to for one in ready if one.to])
        await reading.finish()
    journal.store.keep(kept)
    return {entry.row for entry in kept}


async def _refusal(session: Session, rooms: AsyncExitStack, room: Jid) -> XmppshError | None:
    """Enter a room by the nick that its address names; why it does not let us in."""
    from xmppsh.xep.muc import inside

    try:
        await rooms.enter_async_context(inside(session, [room.bare], room.resourcepart or None, None))
    except XmppshError as error:
        return error
    return None


def _tell_of_others(app: App, journal: Journal, seen: int, lost: list[StoredStanza]) -> None:
    there = {stanza.row for stanza in journal.store.entries(journal.account)}
    if others := sum(1 for stanza in lost if stanza.row in there):
        app.console.warn(
            f"another xmppsh has taken over {others} of {seen} messages, and settles them; that is waited for"
        )
    if gone := len(lost) - others:
        app.console.log(1, f"{gone} of {seen} messages were settled meanwhile")


async def _settled(session: Session, journal: Journal, taken: list[StoredStanza], *, blindly: bool) -> list[Entry]:
    """Strike off what has arrived; what is to be sent again."""
    from xmppsh.session.archive import by_archive
    from xmppsh.session.settle import Step

    entries = [stanza.entry() for stanza in taken]
    doubted = [entry for entry in entries if entry.fate is not Fate.QUEUED]
    for number, entry in enumerate(doubted, 1):
        entry.number, entry.fate = number, Fate.UNCERTAIN
    try:
        for entry, fate in zip(
            doubted, await by_archive(session, doubted, frozenset(), Step.SEVERAL_LOOKS), strict=True
        ):
            entry.fate = Fate.QUEUED if blindly and fate is Fate.UNCERTAIN else fate
    finally:
        journal.finish([entry for entry in entries if entry.fate is Fate.ACKED])
        journal.change([entry for entry in entries if entry.fate is not Fate.ACKED])
        journal.store.keep([entry for entry in entries if entry.fate is Fate.UNCERTAIN])  # settled no more
    return [entry for entry in entries if entry.fate is Fate.QUEUED]
