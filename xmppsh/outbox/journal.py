"""One session's view of the outbox on disk: which stanzas are stored, and under which session.

Only messages are stored; IQ and presence end with their session. With a checkpoint every stanza of the input is, since
its place has to be known. The file is opened when there is something to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from xmppsh.outbox.owner import Owner
from xmppsh.outbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from xmppsh.outbox.queue import Entry
    from xmppsh.outbox.store import StoredSession
    from xmppsh.protocol.sm import Resumption


def account_file(state: Path, account: str) -> Path:
    """Where an account's outbox lies below the state folder."""
    return state / "outbox" / f"{quote(account, safe='@.')}.sqlite"


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

    def left_behind(self) -> StoredSession | None:
        """The newest resumable session of a process that is dead; its owner is now this one."""
        for session in reversed(self.store.sessions(self._account)):
            if session.sm_id is not None and not self.owner.is_alive(session.owner):
                self.store.adopt(session.id)
                return session
        return None

    def take_over(self, session: int) -> None:
        """Go on with a session that is stored already."""
        self._session = session

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
        """New entries are stored; those that leave now get their numbers."""
        fresh = self._stored([entry for entry in (*new, *sent) if entry.row is None])
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
