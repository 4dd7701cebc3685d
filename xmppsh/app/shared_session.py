"""`SharedSession`: the session that is open already, for a command in the shell; it stays open after the command."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from xmppsh.app.ports import INBOX_BYTES, nothing
from xmppsh.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from xmppsh.app.ports import BeforeLogin, Plug
    from xmppsh.session.session import Session
    from xmppsh.session.session_port import Reader


class SharedSession:
    """Hands out one session to every command."""

    def __init__(self, session: Session) -> None:
        self.shared: Session | None = session
        self._session = session

    @asynccontextmanager
    async def one_shot(self, *, heals: bool = False, acks: bool = True) -> AsyncIterator[Session]:
        """The open one."""
        yield self._session

    @asynccontextmanager
    async def lasting(self, checkpoint: Path | None = None) -> AsyncIterator[Session]:
        """The open one, which has no checkpoint."""
        if checkpoint is not None:
            raise UsageError("--checkpoint belongs to a session of its own", hint="xmppsh pipe --checkpoint FILE")
        yield self._session

    @asynccontextmanager
    async def before_login(self) -> AsyncIterator[BeforeLogin]:
        """There is none: this session has logged in."""
        raise UsageError("this session has logged in already", hint="xmppsh account register, outside the shell")
        yield  # an async generator

    @asynccontextmanager
    async def reading(
        self, command: str, *kinds: str, inbox_bytes: int = INBOX_BYTES, plug: Plug = nothing
    ) -> AsyncIterator[tuple[Session, Reader]]:
        """The open one, and what arrives from now on."""
        reader = self._session.subscribe(*kinds)
        try:
            yield self._session, reader
        finally:
            reader.cancel()
