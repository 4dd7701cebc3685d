"""Finding the sessions that dead processes left, and closing them.

Used by the guard right after a crash, by every command before it binds a session of its own, and by `sessions reap`.
Of several processes that look at the same time one gets each session: the claim is a transaction.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.connection.takeover import take_over
from xmppsh.errors import ConnectError, IoError
from xmppsh.ghosts.dead_session import Reaped, Remains
from xmppsh.model import Jid
from xmppsh.outbox.journal import Journal, account_file
from xmppsh.outbox.owner import GUARD, Owner, forget, is_alive, processes
from xmppsh.outbox.registry import held_sessions, owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from xmppsh.connection.options import SessionOptions
    from xmppsh.ghosts.guard import KnownSession
    from xmppsh.outbox.owner import Process
    from xmppsh.output.trace import Trace
    from xmppsh.texts import Log


DYING_S, POLL_S = 1.0, 0.01


async def reap(
    options: SessionOptions,
    locks: Path,
    log: Log,
    trace: Trace | None = None,
    *,
    names: Collection[str] | None = None,
    settle: bool = False,
    on_claim: Callable[[str], None] = lambda _: None,
    on_moved: Callable[[str], None] | None = None,
) -> list[Reaped]:
    """Close what dead processes of the account left, the oldest first; what fails is left to the next try, and raises.

    locks: the folder of the processes' locks. names: of these processes instead, whatever their locks say: one may be
    dying or hang. settle: also find out what became of messages in flight, which may take seconds. on_claim is told the
    name under which something is claimed, before it is: we may be killed, too. on_moved: the account's outbox is moved
    aside where it is damaged, and this is told where to; None: it is an error, as a damaged file of the user's is.
    """
    account = str(options.jid.bare)
    outbox = account_file(locks.parent, account)
    reaped: list[Reaped] = []
    damaged: IoError | None = None
    closed_locks: list[IoError] = []
    for process in processes(locks, closed_locks.append):
        if process.alive if names is None else process.name not in names:
            continue
        claims = [
            _Claim(Journal(path, Owner(locks, GUARD), account, everything=True, on_moved=moved), process)
            for owner, path in process.stores
            for moved in (on_moved if path == outbox else None,)
            if owner == account and path.exists()
        ]
        for claim in claims:
            on_claim(claim.name)
        try:
            for claim in claims:
                reaped += await claim.close_sessions(options, log, trace, settle=settle)
        except IoError as error:
            damaged = damaged or error  # one file that cannot be read must not keep the others' ghosts online
            continue
        is_done = all(claim.is_done for claim in claims)
        if is_done and all(owner == account or not path.exists() for owner, path in process.stores):
            await _forget(locks, process.name, DYING_S if names is not None else 0.0)
    if names is not None and damaged is None:
        _clear(locks, account)
    if closed_locks:
        log(0, f"whether a program lives, or died and left a session, cannot be told: {closed_locks[0]}")
    if damaged is not None:
        raise damaged
    return reaped


async def close_known(
    options: SessionOptions, locks: Path, log: Log, names: Collection[str], known: KnownSession
) -> None:
    """Close the session that a program told its guard of, unless its store tells that it is over or somebody else's.

    names: the program's. Raises ConnectError, so that it is tried again, while another process is about to close it.
    """
    try:
        owner = owner_of(Path(known.store), str(options.jid.bare), known.resumable.sm_id)
    except IoError as error:
        log(1, f"{known.jid}, by what its program told: {error}")
    else:
        if owner is not None and owner.startswith(GUARD) and owner not in names and is_alive(locks, owner):
            raise ConnectError(f"another process is closing {known.jid}")  # if it fails, it gives it back
        if owner not in names:
            return
    await take_over(options, log, Jid.parse(known.jid), known.resumable.management())


async def _forget(locks: Path, name: str, wait_s: float) -> None:
    """Clear the lock away. A process that is dying may hold it a moment longer than its end of the guard's channel."""
    until = time.monotonic() + wait_s
    while not forget(locks, name) and time.monotonic() < until:  # noqa: ASYNC110 - another process holds it
        await asyncio.sleep(POLL_S)


def _clear(locks: Path, account: str) -> None:
    """Clear away the locks of the dead that lead to nothing: who had claimed what they led to was killed, too, and its
    guard, which has closed that now, does not know whose it had been."""
    owners = {one.row.owner for one in held_sessions(locks.parent, account, lambda _: None)}
    if any(owner.startswith(GUARD) for owner in owners):
        return  # somebody is at work, and gives back what he cannot close
    for process in processes(locks, lambda _: None):
        if not process.alive and process.name not in owners and all(owner == account for owner, _ in process.stores):
            forget(locks, process.name)


class _Claim:
    """What a dead process left in one store, while it is ours.

    is_done: nobody has to come back for it.
    """

    def __init__(self, journal: Journal, process: Process) -> None:
        self._journal, self._process = journal, process
        self.name = journal.owner.name
        self.is_done = False

    async def close_sessions(
        self, options: SessionOptions, log: Log, trace: Trace | None, *, settle: bool
    ) -> list[Reaped]:
        journal, reaped = self._journal, []
        try:
            journal.store.claim(self._process.name)
            sessions = journal.store.sessions(journal.account)
            for stored in sessions:
                if stored.owner == journal.owner.name:
                    remains = Remains(options, log, trace, journal, stored)
                    reaped.append(await remains.close(settle=settle))
            # Another process may have claimed it first; if that one fails, it gives the claim back.
            self.is_done = not any(self._is_anothers(stored.owner) for stored in sessions)
        finally:
            self._give_back()
        return reaped

    def _is_anothers(self, owner: str) -> bool:
        is_at_work = owner.startswith(GUARD) and owner != self._journal.owner.name
        return is_at_work or owner == self._process.name

    def _give_back(self) -> None:
        """What is left: for the next try, or for the process itself, which only hung."""
        try:
            self._journal.store.give_back(self._process.name)
        finally:
            self._journal.close()
