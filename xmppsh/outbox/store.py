"""The outbox on disk: SQLite in WAL mode, one file an account (or a checkpoint file of `pipe`).

Write-ahead: a stanza's row and its wire number are committed before its bytes leave, an inbound h before its `<a/>`.
So after the death of the process, at any instruction, the file knows everything that may have been sent. Adding is
synced to the disk (power loss); taking away is not, since what reappears is settled by proof and never sent blindly.
"""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING

from xmppsh.errors import IoError
from xmppsh.outbox import batches, control, mark
from xmppsh.outbox.database import Database
from xmppsh.outbox.queue import Batch, Entry, Fate
from xmppsh.outbox.stored import StoredSession, StoredStanza

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from xmppsh.outbox.batches import Done, Place
    from xmppsh.outbox.mark import Marked
    from xmppsh.protocol.sm import Resumption

MAX_ROWS = 100_000  # stanzas without a final fate; about 100 MiB at 1 KiB each
VERSION, OLDEST = 5, 2
APPLICATION = 0x786D7070  # "xmpp"
# AUTOINCREMENT: who hung while its session was closed still knows the ids of then; they must not be somebody else's.
SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS session (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, full_jid TEXT NOT NULL, sm_id TEXT, location TEXT,
    max_s INTEGER, handled INTEGER NOT NULL DEFAULT 0, acked INTEGER NOT NULL DEFAULT 0, started REAL NOT NULL,
    owner TEXT NOT NULL, written REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS stanza (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER REFERENCES session, account TEXT NOT NULL, kind TEXT NOT NULL,
    stanza_id TEXT NOT NULL, recipient TEXT NOT NULL, xml TEXT NOT NULL, wire INTEGER, fate TEXT NOT NULL,
    position INTEGER, stored REAL NOT NULL, owner TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS progress (only INTEGER PRIMARY KEY CHECK (only = 1), confirmed INTEGER NOT NULL,
    account TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS proof (position INTEGER PRIMARY KEY, digest BLOB NOT NULL);
"""
    + batches.BATCHES
    + mark.MARKS
    + control.CONTROLS
)


class Store(Database):
    """The outbox of one account, or a checkpoint file."""

    def __init__(self, path: Path, owner: str) -> None:
        self.owner = owner
        super().__init__(path, APPLICATION, VERSION, SCHEMA, OLDEST)

    # ── Sessions ────────────────────────────────────────────────────────────────────────────────────────────────

    def open_session(self, account: str, full_jid: str) -> int:
        """Remember a new session, before `<enable/>` is sent on it; returns its id."""
        now = time.time()
        with self._transaction(durable=True) as database:
            cursor = database.execute(
                "INSERT INTO session (account, full_jid, started, owner, written) VALUES (?, ?, ?, ?, ?)",
                (account, full_jid, now, self.owner, now),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def begin_mark(self, session: int, full_jid: str, reader: str, former: int | None) -> mark.Begun | None:
        """The session has a reader; former: it follows this one, and nothing begins."""
        with self._transaction(durable=False) as database:
            if former is None:
                return mark.begin(database, session, full_jid, reader)
            mark.go_on(database, session, full_jid, former)
            return None

    def forget_mark(self, session: int, reader: str) -> None:
        """The reader has ended cleanly."""
        with self._transaction(durable=False) as database:
            mark.forget(database, session, reader)

    def note_resumption(self, session: int, resumption: Resumption) -> None:
        """What `<enabled/>` granted, before anything else is sent."""
        row = (resumption.sm_id, resumption.location, resumption.max_s, session)
        with self._transaction(durable=True) as database:
            database.execute("UPDATE session SET sm_id = ?, location = ?, max_s = ? WHERE id = ?", row)

    def sessions(self, account: str) -> list[StoredSession]:
        """The account's sessions that were not closed, the oldest first."""
        columns = "id, account, full_jid, sm_id, location, max_s, handled, acked, started, owner, written"
        with self._guarded():
            rows = self._database.execute(f"SELECT {columns} FROM session WHERE account = ? ORDER BY id", (account,))
            return [StoredSession(*row) for row in rows]

    def note_handled(self, session: int, h: int, marked: Marked | None = None) -> None:
        """The inbound count that is about to be acknowledged, and how far the session's reader is.

        It survives the death of the process, not a power cut: then the session, whose server may have heard more, is
        gone with the power, and its stanzas are settled by the archive.
        """
        with self._transaction(durable=False) as database:
            database.execute("UPDATE session SET handled = ? WHERE id = ?", (h, session))
            if marked is not None:
                mark.move(database, session, marked)

    def note_mark(self, session: int, marked: Marked) -> None:
        """How far its reader is, and that it gets messages."""
        with self._transaction(durable=False) as database:
            mark.move(database, session, marked)

    def close_session(self, session: int) -> None:
        """The session is over; its stanzas stay with what is known of them, and the mark of its reader."""
        with self._transaction(durable=False) as database:
            batches.open_up(database, "batch.session = ?", (session,))
            database.execute("UPDATE stanza SET session = NULL, wire = NULL WHERE session = ?", (session,))
            database.execute("DELETE FROM session WHERE id = ?", (session,))
            mark.leave(database, session)
            control.forget(database, session)

    def control(self, session: int) -> list[str]:
        """The origin-id of the message that was acknowledged last on this session, where there is one."""
        with self._guarded():
            return control.of(self._database, session)

    # ── Stanzas ─────────────────────────────────────────────────────────────────────────────────────────────────

    def write(
        self,
        account: str,
        new: Sequence[Entry | Batch],
        session: int | None,
        sent: Sequence[Entry | Batch],
        wire: int,
        acked: int | None = None,
        done: Done | None = None,
        *,
        waits: bool = True,
    ) -> None:
        """Store new entries, and give those that leave now their numbers on the wire, from `wire` on.

        acked: the session's h by now. done: acknowledged batches. waits: else it is `committing` when this returns.
        """
        wires: dict[int, int] = {}
        for item in sent:
            wires[id(item)] = wire
            wire += item.count
        with self._transaction(durable=True, waits=waits) as database:
            # The session is gone when the guard has closed it, since this process hung.
            there = database.execute("SELECT id FROM session WHERE id = ?", (session,)).fetchone() if sent else None
            here = None if there is None else session
            stored_before = [item for item in sent if item.row is not None]
            if new:
                self._insert(database, account, new, here, wires)
            # Also where nothing leaves: a batch that is acknowledged in part shows it by the session's h alone.
            row = (time.time() if sent else None, acked, session)
            how = "written = coalesce(?, written), acked = coalesce(?, acked)"
            database.execute(f"UPDATE session SET {how} WHERE id = ?", row)
            for item in stored_before:
                if isinstance(item, Batch):
                    batches.send(database, item, here, wires[id(item)])
            rows = [(here, wires[id(item)], item.row) for item in stored_before if isinstance(item, Entry)]
            if rows:
                database.executemany("UPDATE stanza SET session = ?, wire = ?, fate = 'sent' WHERE id = ?", rows)
            if done is not None:
                done.write(database, session)

    def _insert(
        self,
        database: sqlite3.Connection,
        account: str,
        items: Sequence[Entry | Batch],
        session: int | None,
        wires: dict[int, int],
    ) -> None:
        """Store new ones, in order; `wires` has the numbers of those that leave now, by their identity."""
        (count,) = database.execute("SELECT count(*) FROM stanza").fetchone()
        if count + sum(item.count for item in items) > MAX_ROWS:
            raise IoError(f"{self.path}: the outbox holds {count} stanzas and is full", hint="xmppsh outbox list")
        places: dict[int, Place] = {}
        for item in items:
            wire = wires.get(id(item))
            places[id(item)] = (None, None, item.fate) if wire is None else (session, wire, Fate.SENT)
        for is_batch, group in groupby(items, lambda item: isinstance(item, Batch)):
            if is_batch:
                batches.insert(database, account, self.owner, [one for one in group if isinstance(one, Batch)], places)
            else:
                self._insert_entries(database, account, [one for one in group if isinstance(one, Entry)], places)

    def _insert_entries(
        self, database: sqlite3.Connection, account: str, entries: list[Entry], places: dict[int, Place]
    ) -> None:
        """Store entries by one statement."""
        now, first = time.time(), batches.next_row(database)
        rows = []
        for row, entry in enumerate(entries, first):
            place = places[id(entry)]
            facts = (account, entry.kind, entry.stanza_id, entry.to, entry.xml, entry.position, now, self.owner)
            rows.append((row, *place, *facts))
        database.executemany(
            "INSERT INTO stanza (id, session, wire, fate, account, kind, stanza_id, recipient, xml, position, stored,"
            " owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        for row, entry in enumerate(entries, first):
            entry.row = row

    def finish(
        self, session: int | None, entries: Sequence[Entry], acked: int | None = None, done: Done | None = None
    ) -> None:
        """Entries have their final fate: their rows go, the confirmed progress grows, the session's h moves."""
        acknowledged = [entry.stanza_id for entry in entries if entry.fate is Fate.ACKED and entry.kind == "message"]
        rows = [(entry.row,) for entry in entries if entry.row is not None]
        confirmed = max((entry.position for entry in entries if entry.position is not None), default=None)
        with self._transaction(durable=False) as database:
            database.executemany("DELETE FROM stanza WHERE id = ?", rows)
            if session is not None and acked is not None:
                database.execute("UPDATE session SET acked = ? WHERE id = ?", (acked, session))
                if acknowledged:
                    control.note(database, session, acknowledged[-1])
            if confirmed is not None:
                database.execute(batches.CONFIRM, (confirmed,))
            if done is not None:
                done.write(database, session)

    def open_batches(self) -> None:
        """Make stanzas of what is left of this process's batches that were sent; each has the row that its batch told.
        One that waits is still a batch to its process."""
        with self._transaction(durable=False) as database:
            batches.open_up(database, "batch.owner = ? AND fate = 'sent'", (self.owner,))

    def change(self, entries: Iterable[Entry]) -> None:
        """Write down the fates of entries that stay."""
        with self._transaction(durable=True) as database:
            database.executemany(
                "UPDATE stanza SET fate = ?, session = NULL, wire = NULL WHERE id = ?",
                [(entry.fate, entry.row) for entry in entries if entry.row is not None],
            )

    def claim(self, owner: str) -> None:
        """Take over everything of a dead process; of several that try, one gets it."""
        with self._transaction(durable=True) as database:
            batches.hand_over(database, owner, self.owner)

    def claim_all(self, is_alive: Callable[[str], bool]) -> str | None:
        """Take over everything of dead processes. Nothing of it where a living one has something: its name."""
        with self._transaction(durable=True) as database:
            rows = database.execute(
                "SELECT owner FROM session UNION SELECT owner FROM stanza UNION SELECT owner FROM batch"
            )
            others = {str(owner) for (owner,) in rows} - {self.owner}
            if (living := next(filter(is_alive, others), None)) is not None:
                return living
            for owner in others:
                batches.hand_over(database, owner, self.owner)
        return None

    def give_back(self, owner: str) -> None:
        """Undo a claim: somebody else may try."""
        with self._transaction(durable=True) as database:
            batches.hand_over(database, self.owner, owner)

    def begin(self, account: str) -> None:
        """Make this file a checkpoint file of the account."""
        with self._transaction(durable=True) as database:
            database.execute("INSERT INTO progress VALUES (1, 0, ?) ON CONFLICT DO NOTHING", (account,))

    def take(self, rows: Sequence[StoredStanza], owner: str | None = None) -> list[StoredStanza]:
        """Take over those of these stanzas that nobody has touched since they were read; of several that try, one gets
        each. It is under way then, and as long as nothing else is written down, its fate is not known.

        owner: another name of this process than the store's."""
        with self._transaction(durable=True) as database:
            for former in {row.owner for row in rows}:
                batches.open_up(database, "batch.owner = ?", (former,))
            return [row for row in rows if self._take(database, row, owner or self.owner)]

    def _take(self, database: sqlite3.Connection, row: StoredStanza, owner: str) -> bool:
        fate = Fate.QUEUED if row.fate == Fate.QUEUED else Fate.SENT
        cursor = database.execute(
            "UPDATE stanza SET owner = ?, fate = ?, session = NULL, wire = NULL"
            " WHERE id = ? AND owner = ? AND fate = ? AND wire IS ?",
            (owner, fate, row.row, row.owner, row.fate, row.wire),
        )
        return cursor.rowcount == 1

    def keep(self, entries: Iterable[Entry]) -> None:
        """Own these stanzas under the store's own name again."""
        with self._transaction(durable=True) as database:
            rows = [(self.owner, entry.row) for entry in entries]
            database.executemany("UPDATE stanza SET owner = ? WHERE id = ?", rows)

    def foreign_account(self, account: str) -> str | None:
        """Another account that this checkpoint file belongs to."""
        with self._guarded():
            row = self._database.execute("SELECT account FROM progress WHERE account != ?", (account,)).fetchone()
        return str(row[0]) if row else None

    def entries(self, account: str, session: int | None = None) -> list[StoredStanza]:
        """The account's stanzas in order, or those of one session."""
        columns = "id, session, account, kind, stanza_id, recipient, xml, wire, fate, position, stored, owner"
        query = f"SELECT {columns} FROM stanza WHERE account = ? AND (? IS NULL OR session = ?)"
        of_batches = "batch.account = ? AND (? IS NULL OR batch.session = ?)"
        values = (account, session, session)
        with self._reading() as database:  # who takes over turns batches into stanzas
            rows = [*database.execute(query, values), *batches.stanzas(database, of_batches, values)]
        return [
            StoredStanza(row, of, xml, kind, stanza_id, to, fate, position, wire, stored, owner)
            for row, of, _, kind, stanza_id, to, xml, wire, fate, position, stored, owner in sorted(rows)
        ]

    def delete(self, rows: Iterable[int]) -> None:
        """Delete the rows of these stanzas."""
        with self._transaction(durable=False) as database:
            database.executemany("DELETE FROM stanza WHERE id = ?", [(row,) for row in rows])

    def prove(self, position: int, digest: bytes) -> None:
        """Keep what the input is as far as `position`.

        Older proofs go, but for the last one that is confirmed; and those beyond, of what a former run never sent.
        """
        with self._transaction(durable=False) as database:
            database.execute("INSERT OR REPLACE INTO proof VALUES (?, ?)", (position, digest))
            database.execute(
                "DELETE FROM proof WHERE position > ? OR position < (SELECT max(position) FROM proof WHERE position <="
                " (SELECT confirmed FROM progress))",
                (position,),
            )

    def proof(self, position: int) -> tuple[int, bytes] | None:
        """The last proof of the input up to `position`, and how far it goes."""
        query = "SELECT position, digest FROM proof WHERE position <= ? ORDER BY position DESC LIMIT 1"
        with self._guarded():
            row = self._database.execute(query, (position,)).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))

    @property
    def confirmed(self) -> int:
        """How many stanzas of the input are confirmed (`pipe --checkpoint`)."""
        with self._guarded():
            row = self._database.execute("SELECT confirmed FROM progress").fetchone()
        return int(row[0]) if row else 0
