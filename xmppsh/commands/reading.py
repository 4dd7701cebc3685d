"""A lasting session for a command that reads: nothing that arrives is lost, from the first byte after the bind on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.commands.app import App
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.session import Session

CLOSE_WAIT_S = 2.0  # for the server's </stream:stream>
MIB = 1024 * 1024
INBOX_BYTES = 64 * MIB


@asynccontextmanager
async def reading(
    app: App, command: str, *kinds: str, inbox_bytes: int = INBOX_BYTES
) -> AsyncIterator[tuple[Session, Inbox]]:
    """A session, and the stanzas of these kinds that arrive on it.

    command: whose next run is given what this one could not hand on; inbox_bytes: of what may wait on disk.
    """
    from xmppsh.session.inbox import InboxFile

    readers: list[Inbox] = []

    def read(session: Session) -> None:
        file = InboxFile.of(app.state, app.jid, command, inbox_bytes)
        readers.append(session.inbox(file, *kinds))

    try:
        async with app.session(wait_s=CLOSE_WAIT_S, lasting=True, before_open=read) as session:
            yield session, readers[0]
    finally:
        for reader in readers:
            reader.close()
