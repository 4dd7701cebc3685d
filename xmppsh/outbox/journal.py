"""One session's view of the outbox on disk: which stanzas are stored, and under which session.

Only messages are stored; IQ and presence end with their session. With a checkpoint every stanza of the input is, since
its place has to be known. The file is opened, and the lock taken, when there is something to write.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from xmppsh.config.paths import file_name
from xmppsh.errors import IoError
from xmppsh.outbox.batches import Done
from xmppsh.outbox.damage import DamagedStore, moved_aside
from xmppsh.outbox.owner import GUARD, RETRY, StoreInUse, is_settling, only_run
from xmppsh.outbox.queue import Batch, Entry, Fate
from xmppsh.plain import dataclass
from xmppsh.protocol.sm import MODULUS, Resumption, StreamManagement
from xmppsh.xmlio.build import Xml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from xmppsh.outbox.mark import Mark, Marked
    from xmppsh.outbox.owner import Owner
    from xmppsh.outbox.store import Store
    from xmppsh.outbox.stored import StoredSession, StoredStanza


MAX_UNKNOWN = 10_000  # stanzas between two that are stored; a week of answers to a ping each minute


def account_file(state: Path, account: str) -> Path:
    """Where an account's outbox lies below the state folder."""
    return state / "outbox" / f"{file_name(account)}.sqlite"


@dataclass(frozen=True)
class LeftBehind:
    """What a dead process left: its resumable session, the stanzas without a final fate in order, and how far it was.

    position: how many stanzas of the input were taken in; newest: when the last one left, as far as it is known, in
    seconds since the epoch. proof: of so many stanzas of the input, what they were (commands/pipe/proof.py).
    recent: the origin-ids of messages that were acknowledged last.
    """

    session: StoredSession | None
    entries: list[Entry]
    position: int
    newest: float
    proof: tuple[int, bytes] | None = None
    recent: Sequence[str] = ()

    def management(self) -> StreamManagement | None:
        """The session's counters, to resume it."""
        return None if self.session is None else management(self.session)


def management(session: StoredSession) -> StreamManagement | None:
    """A stored session's counters; None when it cannot be resumed, since its `<enabled/>` was never seen."""
    if session.sm_id is None:
        return None
    resumption = Resumption(session.sm_id, session.location, session.max_s)
    # Stanzas of the session's own, which nobody stored, were sent as well: weeks of answers to pings may be.
    sent = (session.acked + MODULUS // 2) % MODULUS
    return StreamManagement.restored(resumption, acked=session.acked, sent=sent, handled=session.handled)


@dataclass(frozen=True)
class UnconfirmedMessage:
    """A message that a dead process left, or whose fate stayed uncertain.

    settled_by: the living helper that is finding out its fate (owner.py); None: nobody has it.
    """

    stored: StoredStanza
    settled_by: str | None


def in_wire_order(rows: list[StoredStanza], acked: int) -> list[Entry]:
    """The stanzas in flight by their numbers; gaps are stanzas of the session's own, filled with empty entries.

    One after a gap of more than MAX_UNKNOWN is left out, and what follows it: its fate is not settled by a count.
    """

    def distance(row: StoredStanza) -> int:
        return ((row.wire or 0) - acked) % MODULUS

    entries: list[Entry] = []
    for row in sorted(rows, key=distance):
        gap = distance(row) - len(entries) - 1
        if not 0 <= gap <= MAX_UNKNOWN:
            break
        entries += [Entry(0, Xml(""), "", "", "", Fate.SENT) for _ in range(gap)]
        entries.append(row.entry())
    return entries


class Journal:
    """Writes down what one session does; every method returns after the commit."""

    def __init__(
        self,
        path: Path,
        owner: Owner,
        account: str,
        *,
        everything: bool = False,
        on_moved: Callable[[str], None] | None = None,
    ) -> None:
        """on_moved: a damaged file is moved aside, and this is told where to; None: it is an error."""
        self._on_moved = on_moved
        self.path, self.owner, self.account, self._everything = path, owner, account, everything
        self._store: Store | None = None
        self._retrying: Owner | None = None
        self._run: int | None = None  # holds the lock on a checkpoint file, for one run at a time
        self._session: int | None = None
        self._acked: int | None = None  # the session's h, once there was an ack
        self._has_batches = False  # have any been sent that are not opened up?
        self._done = Done()  # acknowledged batches, not written down yet
        self.marked: Marked | None = None  # who reads on the session, where its next run is to go on
        self.left: Mark | None = None  # by its last run, if that is dead
        self.reached = ""  # the newest message of its last clean run

    @property
    def store(self) -> Store:
        """The open file."""
        if self._store is None:
            self.owner.take(self.account, self.path)
            try:
                self._store = self._opened()
            except IoError:
                self.owner.close()  # nothing of ours can be in there
                raise
        return self._store

    def open(self) -> None:
        """Open the file before anything is written to it; raises IoError."""
        _ = self.store

    def _opened(self) -> Store:
        from xmppsh.outbox.store import Store  # and with it SQLite: many store nothing

        try:
            return Store(self.path, self.owner.name)
        except DamagedStore as error:
            if self._on_moved is None:
                raise
            there = moved_aside(self.path)
            self._on_moved(f"{error}; it is moved to {there}, and what it held is not known")
            return Store(self.path, self.owner.name)

    def close(self) -> None:
        """Close the file and give up the lock; where a session is left, the lock file stays to tell of it."""
        if self._store is not None:
            try:
                self.open_batches()
            finally:
                self._store.close()
                self._store = None
        if self._run is not None:  # after SQLite: to close it takes SQLite's own locks on the file away
            os.close(self._run)
            self._run = None
        if self._retrying is not None:
            self._retrying.close()
            self._retrying = None
        self.owner.close(leaves=self.has_session)

    @property
    def has_session(self) -> bool:
        """Is a session written down that may outlive its socket?"""
        return self._session is not None

    # ── The session ─────────────────────────────────────────────────────────────────────────────────────────────

    def restore(self) -> LeftBehind:
        """What a dead process left in this file; it belongs to this one now.

        Raises StoreInUse when a process that has something in it is alive, IoError when it is another account's.
        """
        store, account = self.store, self.account
        if other := store.foreign_account(account):
            raise IoError(f"{self.path} belongs to {other}", hint="give another file")
        if self._run is None:
            self._run = only_run(self.path)
        if store.claim_all(self.owner.is_alive) is not None:
            raise StoreInUse(f"{self.path} is in use by another xmppsh")
        store.begin(account)
        stored, sessions = store.entries(account), store.sessions(account)
        session = sessions[-1] if sessions else None
        self._session = None if session is None else session.id
        in_flight = [
            row for row in stored if session is not None and row.session == session.id and row.wire is not None
        ]
        entries = in_wire_order(in_flight, 0 if session is None else session.acked)
        placed = {entry.row for entry in entries}
        for row in (row for row in stored if row.row not in placed):
            entries.append(row.entry())
            if row.fate == Fate.SENT:
                entries[-1].fate = Fate.UNCERTAIN  # its session is gone
        positions = [row.position for row in stored if row.position is not None]
        newest = session.written if session is not None else max((row.stored for row in stored), default=0.0)
        position = max([store.confirmed, *positions])
        recent = [] if session is None else store.control(session.id)
        return LeftBehind(session, entries, position, newest, store.proof(position), recent)

    def prove(self, position: int, digest: bytes) -> None:
        """Keep what the input is as far as `position`."""
        self.store.prove(position, digest)

    def is_guarded(self) -> bool:
        """Is a guard at work in this file, closing what a dead process left? It is done soon."""
        stanzas, sessions = self.store.entries(self.account), self.store.sessions(self.account)
        owners = {row.owner for row in stanzas} | {row.owner for row in sessions}
        return any(name.startswith(GUARD) and self.owner.is_alive(name) for name in owners - {self.owner.name})

    def unconfirmed(self) -> list[UnconfirmedMessage]:
        """The messages that dead processes left, from their death until their fate is final, and those that stayed
        uncertain. What a living process sends as its own is not among them."""
        rows = [row for row in self.store.entries(self.account) if row.kind == "message"]
        # The locks are asked after the rows are read: whoever takes a row meanwhile is not mistaken for dead.
        alive = {name: self.owner.is_alive(name) for name in {row.owner for row in rows}}
        return [
            UnconfirmedMessage(row, row.owner if alive[row.owner] and is_settling(row.owner) else None)
            for row in rows
            if not alive[row.owner] or is_settling(row.owner) or row.fate == Fate.UNCERTAIN
        ]

    def abandoned(self) -> list[StoredStanza]:
        """Those of the unconfirmed messages that nobody is settling."""
        return [one.stored for one in self.unconfirmed() if one.settled_by is None]

    def left_of(self, rows: list[StoredStanza]) -> list[UnconfirmedMessage]:
        """Those of `rows` that are still there."""
        wanted = {row.row for row in rows}
        return [one for one in self.unconfirmed() if one.stored.row in wanted]

    def take_over(self, rows: Sequence[StoredStanza]) -> list[StoredStanza]:
        """Claim abandoned messages, to settle them; those that were still there."""
        if self._retrying is None:
            self._retrying = self.owner.with_role(RETRY)
            self._retrying.take(self.account, self.path)
        return self.store.take(rows, self._retrying.name)

    def bound(self, full_jid: str) -> None:
        """A new session that may outlive its socket begins; a former one of ours is over."""
        former = self._session
        self._close()
        self._session, self._acked = self.store.open_session(self.account, full_jid), None
        if self.marked is not None:
            begun = self.store.begin_mark(self._session, full_jid, self.marked.reader, former)
            if begun is not None:
                self.left, self.reached = begun.left or self.left, begun.reached

    def opened(self, resumption: Resumption | None) -> None:
        """The new session can be resumed, or it cannot."""
        if resumption is None or self._session is None:
            self.closed()
        else:
            self.store.note_resumption(self._session, resumption)

    def closed(self) -> None:
        """The session is over, cleanly or not; its stanzas stay, and a mark as long as its reader lacks something."""
        self.note_mark()
        session = self._session
        self._close()
        if session is not None and self.marked is not None and self.marked.is_complete:
            self.store.forget_mark(session, self.marked.reader)

    def _close(self) -> None:
        if self._session is not None:
            self.flush()
            self.store.close_session(self._session)
            self._session = None

    def note_handled(self, h: int) -> None:
        """An `<a h>` follows."""
        if self._session is not None:
            self.store.note_handled(self._session, h, self.marked)

    def note_mark(self) -> None:
        """Its reader gets messages from now on, and may die before any is acknowledged."""
        if self._session is not None and self.marked is not None:
            self.store.note_mark(self._session, self.marked)

    # ── Stanzas ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_stored(self, item: Entry | Batch) -> bool:
        return bool(item.number) and (self._everything or item.kind == "message")

    def write(
        self, new: Sequence[Entry | Batch], sent: Sequence[Entry | Batch], first_wire: int, *, waits: bool = True
    ) -> Future[None] | None:
        """New entries are stored; those that leave now, all of them stored or new, get their numbers.

        waits: else it is stored when what is returned is done, which raises IoError then.
        """
        fresh = [item for item in new if item.row is None and self._is_stored(item)]
        if fresh or any(item.row is not None for item in sent):
            done, self._done = self._done, Done()
            self._has_batches = self._has_batches or any(isinstance(item, Batch) for item in sent)
            self.store.write(self.account, fresh, self._session, sent, first_wire, self._acked, done, waits=waits)
            return self.store.committing
        return None

    def finish(self, items: Sequence[Entry | Batch], acked: int | None = None) -> None:
        """Final fates; acked: the session's h, which the next stored stanza takes along when none of these is one.

        What became of batches is written down with the next write, or by `flush`.
        """
        self._acked = self._acked if acked is None else acked
        batches = [item for item in items if isinstance(item, Batch)]
        self._done.note(batches)
        entries = [item for item in items if isinstance(item, Entry)]
        if any(entry.row is not None for entry in entries):
            done, self._done = self._done, Done()
            self.store.finish(self._session, entries, acked, done)

    @property
    def owes(self) -> bool:
        """Are there acks of batches that are not written down?"""
        return self._done.count > 0

    def flush(self) -> None:
        """Write down which batches are acknowledged, and how far."""
        if self.owes:
            done, self._done = self._done, Done()
            self.store.finish(self._session, [], self._acked, done)

    def open_batches(self) -> None:
        """Make stanzas of what is left of the batches that were sent: their fates may differ from now on."""
        if self._has_batches:
            self.flush()
            self.store.open_batches()
            self._has_batches = False

    def change(self, entries: Sequence[Entry]) -> None:
        """Fates that are not final."""
        if any(entry.row is not None for entry in entries):
            self.store.change(entries)
