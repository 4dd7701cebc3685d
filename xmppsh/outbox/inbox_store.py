"""The inbox on disk: stanzas that arrived and wait for a reader that is slower than the server, one file an account.

A stanza is committed and synced before it is acknowledged, since from then on nobody else has it. That it was read is
committed, and not synced: after a power cut, not after the death of the process, a few may be shown again. What was
read leaves its stanza-id (XEP-0359) here, by which one that the server delivers again is recognised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.outbox.database import Database
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

VERSION = 1
APPLICATION = 0x786D7069  # "xmpi"
MAX_IDS = 10_000  # stanza-ids kept for a reader; Prosody repeats at most 500 messages, ejabberd 5,000
SCHEMA = """
CREATE TABLE IF NOT EXISTS arrival (
    id INTEGER PRIMARY KEY AUTOINCREMENT, reader TEXT NOT NULL, owner TEXT NOT NULL, stanza_id TEXT NOT NULL,
    xml TEXT, arrived REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS of_reader ON arrival (reader, id);
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stanza that waits. stanza_id: by one's own server, empty where it gives none; arrived: seconds since the
    epoch; row: its place in the file."""

    stanza_id: str
    xml: str
    arrived: float
    row: int = 0


class InboxStore(Database):
    """The inboxes of an account's readers. reader: which command of which address reads (`listen romeo@example.net`);
    owner: this process (owner.py)."""

    def __init__(self, path: Path, reader: str, owner: str) -> None:
        self.reader, self.owner = reader, owner
        super().__init__(path, APPLICATION, VERSION, SCHEMA)

    def claim(self, is_alive: Callable[[str], bool]) -> None:
        """Take over what dead processes of this reader left; of several that try, one gets it."""
        with self._transaction(durable=True) as database:
            rows = database.execute("SELECT DISTINCT owner FROM arrival WHERE reader = ?", (self.reader,)).fetchall()
            for (owner,) in rows:
                if not is_alive(owner):
                    to = (self.owner, self.reader, owner)
                    database.execute("UPDATE arrival SET owner = ? WHERE reader = ? AND owner = ?", to)

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Store what arrived, in order."""
        with self._transaction(durable=True) as database:
            database.executemany(
                "INSERT INTO arrival (reader, owner, stanza_id, xml, arrived) VALUES (?, ?, ?, ?, ?)",
                [(self.reader, self.owner, one.stanza_id, one.xml, one.arrived) for one in arrivals],
            )

    def note_read(self, arrivals: Iterable[Arrival]) -> None:
        """These, which were never stored, have been read; those without a stanza-id cannot be recognised."""
        with self._transaction(durable=False) as database:
            database.executemany(
                "INSERT INTO arrival (reader, owner, stanza_id, xml, arrived) VALUES (?, ?, ?, NULL, ?)",
                [(self.reader, self.owner, one.stanza_id, one.arrived) for one in arrivals if one.stanza_id],
            )

    def waiting(self, after: int, limit: int) -> list[Arrival]:
        """The next ones that nobody has read, those after the row `after`."""
        query = (
            "SELECT stanza_id, xml, arrived, id FROM arrival"
            " WHERE reader = ? AND owner = ? AND xml IS NOT NULL AND id > ? ORDER BY id LIMIT ?"
        )
        with self._guarded():
            rows = self._database.execute(query, (self.reader, self.owner, after, limit))
            return [Arrival(*row) for row in rows]

    def size(self) -> tuple[int, int]:
        """How many stanzas wait, and how many characters of XML they have."""
        query = "SELECT count(*), coalesce(sum(length(xml)), 0) FROM arrival WHERE reader = ? AND owner = ?"
        with self._guarded():
            count, size = self._database.execute(f"{query} AND xml IS NOT NULL", (self.reader, self.owner)).fetchone()
        return int(count), int(size)

    def read(self, *arrivals: Arrival) -> None:
        """These have been read; their stanza-ids stay, where they have any."""
        with self._transaction(durable=False) as database:
            for change, has_id in (("UPDATE arrival SET xml = NULL", True), ("DELETE FROM arrival", False)):
                rows = [(one.row,) for one in arrivals if bool(one.stanza_id) is has_id]
                database.executemany(f"{change} WHERE id = ?", rows)

    def stanza_ids(self) -> set[str]:
        """Those of everything that waits or was read."""
        query = "SELECT stanza_id FROM arrival WHERE reader = ? AND owner = ? AND stanza_id != ''"
        with self._guarded():
            return {str(row[0]) for row in self._database.execute(query, (self.reader, self.owner))}

    def prune(self) -> None:
        """Forget the oldest stanza-ids of what was read."""
        oldest = "SELECT id FROM arrival WHERE reader = ? AND xml IS NULL ORDER BY id DESC LIMIT -1 OFFSET ?"
        with self._transaction(durable=False) as database:
            database.execute(f"DELETE FROM arrival WHERE id IN ({oldest})", (self.reader, MAX_IDS))
