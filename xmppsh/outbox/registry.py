"""Which sessions of an account the processes of this machine have, and which ones dead processes left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xmppsh.outbox.owner import Owner, processes
from xmppsh.outbox.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from xmppsh.outbox.store import StoredSession


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session in a store. alive: its process runs; unacked: stanzas that it sent and whose fate is open."""

    row: StoredSession
    store: Path
    alive: bool
    unacked: int


def held_sessions(state: Path, account: str) -> list[HeldSession]:
    """The account's sessions, by the locks in the state folder; the oldest process first."""
    held: list[HeldSession] = []
    for process in processes(state / "locks"):
        for path in (path for owner, path in process.stores if owner == account and path.exists()):
            store = Store(path, Owner(state / "locks").name)  # a reader owns nothing
            try:
                for row in store.sessions(account):
                    if row.owner == process.name:
                        unacked = sum(1 for one in store.entries(account, row.id) if one.wire is not None)
                        held.append(HeldSession(row, path, process.alive, unacked))
            finally:
                store.close()
    return held
