"""Which sessions of an account the processes of this machine have, and which ones dead processes left."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from xmppsh.errors import IoError
from xmppsh.outbox.owner import is_alive, processes
from xmppsh.outbox.store import Store
from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from xmppsh.outbox.stored import StoredSession


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session in a store. alive: its process runs; unacked: stanzas that it sent and whose fate is open."""

    row: StoredSession
    store: Path
    alive: bool
    unacked: int


def held_sessions(state: Path, account: str, on_trouble: Callable[[IoError], None]) -> list[HeldSession]:
    """The account's sessions, in the stores that the locks in the state folder lead to; the oldest first.

    on_trouble: is told of each lock and each store that cannot be read; what would be found by it is left out.
    """
    held: list[HeldSession] = []
    locks = state / "locks"
    listed = (one for process in processes(locks, on_trouble) for one in process.stores)
    for path in dict.fromkeys(path for owner, path in listed if owner == account and path.exists()):
        try:
            held += _held_in(path, locks, account)
        except IoError as error:
            on_trouble(error)
    return sorted(held, key=lambda one: one.row.started)


def _held_in(path: Path, locks: Path, account: str) -> Iterator[HeldSession]:
    """Whoever's they are: a guard may have taken one over since the locks were listed."""
    with _reading(path) as store:
        for row in store.sessions(account):
            try:
                alive = is_alive(locks, row.owner)
            except IoError:
                continue  # whether it lives cannot be told; its lock is told of
            unacked = sum(one.wire is not None for one in store.entries(account, row.id))
            yield HeldSession(row, path, alive, unacked)


def owner_of(path: Path, account: str, sm_id: str) -> str | None:
    """Whose a session is, by its store; None when it is over. Raises IoError when the store is gone or damaged."""
    if not path.exists():
        raise IoError(f"{path}: the file is gone")
    with _reading(path) as store:
        return next((row.owner for row in store.sessions(account) if row.sm_id == sm_id), None)


def _reading(path: Path) -> closing[Store]:
    return closing(Store(path, ""))  # a reader owns nothing
