"""The control of a session: the message that the server acknowledged last.

Whoever settles what a dead process left asks the archive, and believes it where the archive has this message: one that
has stopped storing would make everything look as if it had not arrived (session/archive.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

CONTROLS = "CREATE TABLE IF NOT EXISTS control (session INTEGER PRIMARY KEY, origin_id TEXT NOT NULL);\n"


def note(database: sqlite3.Connection, session: int, origin_id: str) -> None:
    """This one was acknowledged on the session."""
    database.execute("INSERT OR REPLACE INTO control VALUES (?, ?)", (session, origin_id))


def of(database: sqlite3.Connection, session: int) -> list[str]:
    """The origin-id (XEP-0359) of the session's control; none where nothing was acknowledged."""
    return [row[0] for row in database.execute("SELECT origin_id FROM control WHERE session = ?", (session,))]


def forget(database: sqlite3.Connection, session: int) -> None:
    """The session is over."""
    database.execute("DELETE FROM control WHERE session = ?", (session,))
