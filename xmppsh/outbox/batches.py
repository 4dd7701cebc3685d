"""The rows of batches: one for many messages, while the process that sends them lives and their session goes on.

A batch takes as many row ids of the table of stanzas as it has messages, so whoever opens it up has each message where
it would be without. It is opened up before anything but its owner's acks happens to one of its messages.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from xmppsh.outbox import control
from xmppsh.outbox.entry import Batch, origin_id_of
from xmppsh.protocol.sm import MODULUS
from xmppsh.xmlio.reader import END

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

BATCHES = """
CREATE TABLE IF NOT EXISTS batch (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, session INTEGER REFERENCES session, account TEXT NOT NULL,
    wire INTEGER, fate TEXT NOT NULL, position INTEGER, stored REAL NOT NULL, owner TEXT NOT NULL, xml BLOB NOT NULL
);
"""
CONFIRM = "UPDATE progress SET confirmed = max(confirmed, ?)"

Place = tuple[int | None, int | None, str]  # session, first number on the wire, fate


def next_row(database: sqlite3.Connection) -> int:
    """The id that the next stanza gets. Nobody else writes within this transaction, so it is known before."""
    last = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'stanza'").fetchone()
    return 1 + (0 if last is None else int(last[0]))


def insert(
    database: sqlite3.Connection, account: str, owner: str, batches: Sequence[Batch], places: Mapping[int, Place]
) -> None:
    """Store new batches; places: by the identity of each."""
    first, now = next_row(database), time.time()
    for batch in batches:
        session, wire, fate = places[id(batch)]
        row = (first, batch.count, session, account, wire, fate, batch.position, now, owner, b"".join(batch.messages))
        database.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        batch.row = batch.stored_as = first
        first += batch.count
    if not database.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'stanza'", (first - 1,)).rowcount:
        database.execute("INSERT INTO sqlite_sequence VALUES ('stanza', ?)", (first - 1,))


def send(database: sqlite3.Connection, batch: Batch, session: int | None, wire: int) -> None:
    """A stored batch leaves."""
    database.execute(
        "UPDATE batch SET session = ?, wire = ?, fate = 'sent' WHERE first = ?", (session, wire, batch.stored_as)
    )


class Done:
    """Acknowledgements of batches that are not written down yet. count: of stanzas."""

    def __init__(self) -> None:
        self.count = 0
        self._rows: list[int] = []
        self._confirmed: int | None = None  # how far the input is, by them
        self._last = b""  # the last message

    def note(self, batches: Sequence[Batch]) -> None:
        """These, or the first parts of these, are acknowledged."""
        for batch in batches:
            self.count += batch.count
            self._last = batch.messages[-1]
            if batch.row is not None and batch.stored_as is not None:  # a part leaves the row to the rest
                self._rows.append(batch.stored_as)
            if batch.last_position is not None:
                self._confirmed = max(self._confirmed or 0, batch.last_position)

    def write(self, database: sqlite3.Connection, session: int | None) -> None:
        """Write it down. session: which they were sent on, while it goes on."""
        if self._last and session is not None:
            control.note(database, session, origin_id_of(self._last))
        if self._rows:
            database.executemany("DELETE FROM batch WHERE first = ?", [(row,) for row in self._rows])
        if self._confirmed is not None:
            database.execute(CONFIRM, (self._confirmed,))


def stanzas(database: sqlite3.Connection, condition: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
    """The messages of batches that are not acknowledged, as rows of the table of stanzas."""
    from xmppsh.xmlio.plain import recipient_of  # as in entry.py

    columns = "first, batch.session, batch.account, batch.wire, fate, position, stored, batch.owner, xml, session.acked"
    query = (
        f"SELECT {columns} FROM batch LEFT JOIN session ON session.id = batch.session WHERE {condition} ORDER BY first"
    )
    for first, session, account, wire, fate, position, stored, owner, xml, acked in database.execute(
        query, values
    ).fetchall():
        for at, message in enumerate(part + END for part in xml.split(END)[:-1]):
            number = None if wire is None else (wire + at) % MODULUS
            if number is not None and acked is not None and (number - acked - 1) % MODULUS >= MODULUS // 2:
                continue
            place = None if position is None else position + at
            facts = (origin_id_of(message), recipient_of(message), message.decode().lstrip())
            yield first + at, session, account, "message", *facts, number, fate, place, stored, owner


def open_up(database: sqlite3.Connection, condition: str, values: Sequence[object]) -> None:
    """Turn batches into rows of stanzas, without those that are acknowledged."""
    rows = list(stanzas(database, condition, values))
    database.executemany("INSERT INTO stanza VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    database.execute(f"DELETE FROM batch WHERE {condition}", values)


def hand_over(database: sqlite3.Connection, owner: str, to: str) -> None:
    """Everything of one process is another's from now on, and its batches are stanzas."""
    open_up(database, "batch.owner = ?", (owner,))
    database.execute("UPDATE session SET owner = ? WHERE owner = ?", (to, owner))
    database.execute("UPDATE stanza SET owner = ? WHERE owner = ?", (to, owner))
