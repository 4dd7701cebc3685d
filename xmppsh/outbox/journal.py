"""One session's view of the outbox on disk: which stanzas are stored, and under which session.

Only messages are stored; IQ and presence end with their session. With a checkpoint every stanza of the input is, since
its place has to be known. The file is opened when there is something to write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from xmppsh.errors import IoError
from xmppsh.outbox.owner import Owner
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.outbox.store import Store
from xmppsh.protocol.sm import MODULUS, Resumption, StreamManagement
from xmppsh.xmlio.build import Xml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from xmppsh.outbox.store import StoredSession, StoredStanza


MAX_UNKNOWN = 10_000  # stanzas between two that are stored


def account_file(state: Path, account: str) -> Path:
    """Where an account's outbox lies below the state folder."""
    return state / "outbox" / f"{quote(account, safe='@.')}.sqlite"


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What a dead process left: its resumable session, the stanzas without a final fate in order, and how far it was.

    position: how many stanzas of the input were taken in; newest: when the last one was stored, epoch seconds.
    """

    session: StoredSession | None
    entries: list[Entry]
    position: int
    newest: float

    def management(self) -> StreamManagement | None:
        """The session's counters, to resume it."""
        if self.session is None or self.session.sm_id is None:
            return None
        resumption = Resumption(self.session.sm_id, self.session.location, self.session.max_s)
        acked = self.session.acked
        # Stanzas of the session's own, which nobody stored, may have been handled behind the last one we know.
        sent = (acked + sum(1 for entry in self.entries if entry.fate is Fate.SENT) + MAX_UNKNOWN) % MODULUS
        return StreamManagement.restored(resumption, acked=acked, sent=sent, handled=self.session.handled)


def _in_wire_order(rows: list[StoredStanza], acked: int) -> list[Entry]:
    """The stanzas in flight by their numbers; gaps are stanzas of the session's own, filled with empty entries."""
    by_distance = sorted(((row.wire or 0) - acked) % MODULUS for row in rows)
    known = {((row.wire or 0) - acked) % MODULUS: row for row in rows}
    entries: list[Entry] = []
    for distance in by_distance:
        gap = min(distance - len(entries) - 1, MAX_UNKNOWN)
        entries += [Entry(0, Xml(""), "", "", "", Fate.SENT) for _ in range(gap)]
        entries.append(known[distance].entry())
    return entries


class Journal:
    """Writes down what one session does; every method returns after the commit."""

    def __init__(self, path: Path, locks: Path, account: str, *, everything: bool = False) -> None:
        self._path, self._locks, self._account, self._everything = path, locks, account, everything
        self._store: Store | None = None
        self._owner: Owner | None = None
        self._session: int | None = None
        self._session_facts: tuple[str, Resumption] | None = None

    @property
    def owner(self) -> Owner:
        """This process's lock."""
        if self._owner is None:
            self._owner = Owner(self._locks)
        return self._owner

    @property
    def store(self) -> Store:
        """The open file."""
        if self._store is None:
            self._store = Store(self._path, self.owner.name)
        return self._store

    def close(self) -> None:
        """Close the file and give up the lock."""
        if self._store is not None:
            self._store.close()
        if self._owner is not None:
            self._owner.close()

    # ── The session ─────────────────────────────────────────────────────────────────────────────────────────────

    def restore(self) -> LeftBehind:
        """What a dead process left in this file; it belongs to this one now.

        Raises IoError when its process is alive, or when the file is another account's.
        """
        store, account = self.store, self._account
        if other := store.foreign_account(account):
            raise IoError(f"{self._path} belongs to {other}", hint="give another file")
        stored, sessions = store.entries(account), store.sessions(account)
        for name in {row.owner for row in stored} | {one.owner for one in sessions}:
            if self.owner.is_alive(name):
                raise IoError(f"{self._path} is in use by another xmppsh", hint="wait for its end")
        store.adopt(account)
        session = next((one for one in reversed(sessions) if one.sm_id is not None), None)
        self._session = None if session is None else session.id
        in_flight = [
            row for row in stored if session is not None and row.session == session.id and row.wire is not None
        ]
        rest = [row for row in stored if row not in in_flight]
        entries = [*_in_wire_order(in_flight, 0 if session is None else session.acked), *(row.entry() for row in rest)]
        for entry, row in zip(entries[len(entries) - len(rest) :], rest, strict=True):
            if row.fate == Fate.SENT:
                entry.fate = Fate.UNCERTAIN  # its session is gone
        positions = [row.position for row in stored if row.position is not None]
        newest = max((row.stored for row in stored), default=0.0)
        return LeftBehind(session, entries, max([store.confirmed, *positions]), newest)

    def abandoned(self) -> list[StoredStanza]:
        """The messages of processes that are dead, and those that stayed uncertain; nothing that is under way."""
        alive = {name: self.owner.is_alive(name) for name in {row.owner for row in self.store.entries(self._account)}}
        return [
            row
            for row in self.store.entries(self._account)
            if row.kind == "message" and (row.fate == Fate.UNCERTAIN or not alive.get(row.owner, False))
        ]

    def abandoned_of(self, rows: list[StoredStanza]) -> list[StoredStanza]:
        """Those of `rows` that are still there."""
        wanted = {row.row for row in rows}
        return [row for row in self.abandoned() if row.row in wanted]

    def opened(self, full_jid: str, resumption: Resumption | None) -> None:
        """A new session is bound; a former one of ours is over."""
        self.closed()
        if resumption is not None:
            self._session = self.store.open_session(
                self._account, full_jid, resumption.sm_id, resumption.location, resumption.max_s
            )

    def closed(self) -> None:
        """The session is over, cleanly or not; its stanzas stay."""
        if self._session is not None:
            self.store.close_session(self._session)
            self._session = None

    def note_handled(self, h: int) -> None:
        """An `<a h>` follows."""
        if self._session is not None:
            self.store.note_handled(self._session, h)

    # ── Stanzas ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _stored(self, entries: Sequence[Entry]) -> list[Entry]:
        return [entry for entry in entries if entry.number and (self._everything or entry.kind == "message")]

    def write(self, new: Sequence[Entry], sent: Sequence[Entry], first_wire: int) -> None:
        """New entries are stored; those that leave now, all of them stored or new, get their numbers."""
        fresh = self._stored([entry for entry in new if entry.row is None])
        if fresh or any(entry.row is not None for entry in sent):
            self.store.write(self._account, fresh, self._session, sent, first_wire)

    def finish(self, entries: Sequence[Entry], acked: int | None = None) -> None:
        """Final fates; acked: the session's h."""
        if any(entry.row is not None for entry in entries):
            self.store.finish(self._session, entries, acked)

    def change(self, entries: Sequence[Entry]) -> None:
        """Fates that are not final."""
        if any(entry.row is not None for entry in entries):
            self.store.change(entries)
