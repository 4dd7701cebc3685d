"""How far a reader was: the mark from which its next run asks the archive when this one dies (xep/catch_up.py).

It is written with each h, so it costs no write of its own. While its session's row is there, it belongs to that one;
whoever closes the session of a dead process leaves it behind with the moment.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from xmppsh.plain import dataclass

if TYPE_CHECKING:
    import sqlite3
    from typing import Protocol

    class Marked(Protocol):
        """Who reads on a session."""

        @property
        def reader(self) -> str:
            """Which command of which address (`listen romeo@example.net`)."""

        @property
        def newest_kept(self) -> str:
            """The stanza-id (XEP-0359) of the newest message that is dealt with, or stored; empty for none."""

        @property
        def gets_messages(self) -> bool:
            """Does what is sent to the bare address come to it?"""

        @property
        def is_complete(self) -> bool:
            """Has it all that came before, or is the archive still being read?"""


MARKS = """
CREATE TABLE IF NOT EXISTS mark (
    session INTEGER PRIMARY KEY, reader TEXT NOT NULL, full_jid TEXT NOT NULL, gets_messages INTEGER NOT NULL,
    newest TEXT NOT NULL, since REAL NOT NULL, until REAL
);
"""
MOVED = """
    gets_messages = max(gets_messages, :gets),
    newest = CASE
        WHEN :read NOT GLOB '*[^0-9]*' AND newest NOT GLOB '*[^0-9]*'
            AND CAST(:read AS INTEGER) < CAST(newest AS INTEGER)
        THEN newest ELSE coalesce(nullif(:read, ''), newest)
    END
"""
LEFT = "reader = ? AND session NOT IN (SELECT id FROM session)"


@dataclass(frozen=True)
class Mark:
    """What a dead run was given and had not dealt with follows this.

    full_jid: of its session; gets_messages: did it get what was sent to the bare address. newest: the stanza-id of the
    last message that was dealt with, empty before the first one. since, until: when its session began and was closed,
    in seconds since the epoch by our clock.
    """

    full_jid: str
    gets_messages: bool
    newest: str
    since: float
    until: float


def begin(database: sqlite3.Connection, session: int, full_jid: str, reader: str) -> Mark | None:
    """A session of the reader begins; the last mark that a dead one has left is given, and goes on with it."""
    query = f"SELECT full_jid, gets_messages, newest, since, until FROM mark WHERE {LEFT} ORDER BY session DESC LIMIT 1"
    row = database.execute(query, (reader,)).fetchone()
    now = time.time()
    mark = None if row is None else Mark(row[0], bool(row[1]), row[2], row[3], row[4] or now)
    forget(database, session, reader)
    begun = (False, "", now) if mark is None else (mark.gets_messages, mark.newest, mark.since)
    database.execute("INSERT INTO mark VALUES (?, ?, ?, ?, ?, ?, NULL)", (session, reader, full_jid, *begun))
    return mark


def go_on(database: sqlite3.Connection, session: int, full_jid: str, former: int) -> None:
    """Another session of the same process follows the `former` one, which was lost."""
    row = (session, full_jid, former)
    database.execute("UPDATE mark SET session = ?, full_jid = ?, until = NULL WHERE session = ?", row)


def move(database: sqlite3.Connection, session: int, marked: Marked) -> None:
    """It has read on, and that is acknowledged next.

    ejabberd mixes what it had stored into what is newer, with ids that are numbers and grow: there the mark never goes
    back, or the next run would fetch again what came in between. Prosody's ids say nothing of their order.
    """
    row = {"gets": marked.gets_messages, "read": marked.newest_kept, "session": session}
    database.execute(f"UPDATE mark SET {MOVED} WHERE session = :session", row)


def leave(database: sqlite3.Connection, session: int) -> None:
    """The session is closed, and its reader is dead."""
    database.execute("UPDATE mark SET until = ? WHERE session = ?", (time.time(), session))


def forget(database: sqlite3.Connection, session: int, reader: str) -> None:
    """The reader's session ends cleanly: what came later waits at the server. Marks of dead ones go with it."""
    database.execute(f"DELETE FROM mark WHERE {LEFT} OR session = ?", (reader, session))
