"""`AgentSessions`: hands a command that the agent carries out the open session of its account."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from xmppsh.app.ports import INBOX_BYTES, nothing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from xmppsh.agent.borrowed import BorrowedSession
    from xmppsh.agent.pool import Pool
    from xmppsh.app.account import Account
    from xmppsh.app.console import Console
    from xmppsh.app.ports import BeforeLogin, Plug
    from xmppsh.app.storage import Storage
    from xmppsh.session.session import Session
    from xmppsh.session.session_port import BulkSessionPort, Reader, SessionPort


class AgentSessions:
    """Sessions of the pool, for a command that the agent carries out."""

    shared: Session | None = None

    def __init__(self, pool: Pool, account: Account, console: Console, storage: Storage) -> None:
        self._pool, self._account, self._console, self._storage = pool, account, console, storage

    @asynccontextmanager
    async def one_shot(self, *, heals: bool = False, acks: bool = True) -> AsyncIterator[BorrowedSession]:
        """The account's open session, which others may have as well."""
        async with self._pool.session(self._account, self._console, self._storage) as session:
            yield session

    def lasting(self, checkpoint: Path | None = None) -> AbstractAsyncContextManager[BulkSessionPort]:
        """Never asked for: such a command goes the ordinary way (running.py)."""
        raise AssertionError("a lasting session is the command's own")

    def before_login(self) -> AbstractAsyncContextManager[BeforeLogin]:
        """The same: nobody has an account yet."""
        raise AssertionError("a stream without a login is the command's own")

    def reading(
        self, command: str, *kinds: str, inbox_bytes: int = INBOX_BYTES, plug: Plug = nothing
    ) -> AbstractAsyncContextManager[tuple[SessionPort, Reader]]:
        """The same."""
        raise AssertionError("a lasting session is the command's own")
