"""How far a reader was: the mark from which its next run asks the archive when this one dies (xep/catch_up.py).

It is written with each h, so it costs no write of its own. While its session's row is there, it belongs to that one;
whoever closes the session of a dead process leaves it behind with the moment. Of a run that ends cleanly it is kept how
far it was: a next one that dies before it has dealt with anything has only a moment to go on from, and no two clocks
show the same, so what came right before is known by that.
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
CREATE TABLE IF NOT EXISTS reached (reader TEXT PRIMARY KEY, newest TEXT NOT NULL);
"""
MOVED = """
    gets_messages = max(gets_messages, :gets),
    newest = CASE
        WHEN :read NOT GLOB '*[^0-9]*' AND newest NOT GLOB '*[^0-9]*'
            AND CAST(:read AS INTEGER) < CAST(newest AS INTEGER)
        THEN newest ELSE coalesce(nullif(:read, ''), newest)
    END
"""
REACHED = "SELECT coalesce((SELECT newest FROM reached WHERE reader = ?), '')"
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


@dataclass(frozen=True)
class Begun:
    """What a session begins with: the last mark that a dead one has left, and the newest message of its reader's last
    clean run, empty where none is known."""

    left: Mark | None
    reached: str


def begin(database: sqlite3.Connection, session: int, full_jid: str, reader: str) -> Begun:
    """A session of the reader begins. A mark that is left goes on with it."""
    query = f"SELECT full_jid, gets_messages, newest, since, until FROM mark WHERE {LEFT} ORDER BY session DESC LIMIT 1"
    row = database.execute(query, (reader,)).fetchone()
    now = time.time()
    mark = None if row is None else Mark(row[0], bool(row[1]), row[2], row[3], row[4] or now)
    _drop(database, session, reader)
    begun = (False, "", now) if mark is None else (mark.gets_messages, mark.newest, mark.since)
    database.execute("INSERT INTO mark VALUES (?, ?, ?, ?, ?, ?, NULL)", (session, reader, full_jid, *begun))
    ((reached,),) = database.execute(REACHED, (reader,))
    return Begun(mark, reached)


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
    newest = "SELECT reader, newest FROM mark WHERE session = ? AND newest != ''"
    database.execute(f"INSERT OR REPLACE INTO reached {newest}", (session,))
    _drop(database, session, reader)


def _drop(database: sqlite3.Connection, session: int, reader: str) -> None:
    database.execute(f"DELETE FROM mark WHERE {LEFT} OR session = ?", (reader, session))
