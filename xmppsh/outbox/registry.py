"""Which sessions of an account the processes of this machine have, and which ones dead processes left."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from xmppsh.errors import IoError
from xmppsh.outbox.owner import processes
from xmppsh.outbox.store import Store
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from xmppsh.outbox.owner import Process
    from xmppsh.outbox.stored import StoredSession


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session in a store. alive: its process runs; unacked: stanzas that it sent and whose fate is open."""

    row: StoredSession
    store: Path
    alive: bool
    unacked: int


def held_sessions(state: Path, account: str, on_trouble: Callable[[IoError], None]) -> list[HeldSession]:
    """The account's sessions, by the locks in the state folder; the oldest process first.

    on_trouble: is told of each lock and each store that cannot be read, and is left out.
    """
    held: list[HeldSession] = []
    damaged: set[Path] = set()
    for process in processes(state / "locks", on_trouble):
        for path in (path for owner, path in process.stores if owner == account and path not in damaged):
            try:
                held += _held_by(process, path, account)
            except IoError as error:
                damaged.add(path)
                on_trouble(error)
    return held


def _held_by(process: Process, path: Path, account: str) -> list[HeldSession]:
    if not path.exists():
        return []
    with _reading(path) as store:
        return [
            HeldSession(row, path, process.alive, sum(one.wire is not None for one in store.entries(account, row.id)))
            for row in store.sessions(account)
            if row.owner == process.name
        ]


def owner_of(path: Path, account: str, sm_id: str) -> str | None:
    """Whose a session is, by its store; None when it is over. Raises IoError when the store is gone or damaged."""
    if not path.exists():
        raise IoError(f"{path}: the file is gone")
    with _reading(path) as store:
        return next((row.owner for row in store.sessions(account) if row.sm_id == sm_id), None)


def _reading(path: Path) -> closing[Store]:
    return closing(Store(path, ""))  # a reader owns nothing
