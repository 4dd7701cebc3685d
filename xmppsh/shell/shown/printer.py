"""Incoming messages: one record each, as `listen` prints them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectionLost
from xmppsh.output.records import MessageRecord
from xmppsh.output.streams import OutputStream
from xmppsh.xep.carbons import copied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xmppsh.app.app import App
    from xmppsh.model import Element
    from xmppsh.output.records import StanzaRecord
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.session import Session


class WholeRecords(OutputStream):
    """stdout for two writers, the commands and the incoming messages: one record after the other."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.lock = asyncio.Lock()

    async def write(self, text: str) -> None:
        """Write one record when no other is being written."""
        async with self.lock:
            await super().write(text)


class Printer:
    """Prints messages until the session ends. A message is acknowledged to the server once it is printed.

    is_reported(stanza): asked for messages of type `error`; True when somebody else tells of it. show: how a message is
    printed, by default as its record.
    """

    def __init__(
        self,
        app: App,
        session: Session,
        arrivals: Inbox,
        is_reported: Callable[[Element], bool],
        show: Callable[[Element], Awaitable[None]] | None = None,
    ) -> None:
        self._session, self._arrivals, self._is_reported = session, arrivals, is_reported
        self._show = show or self._show_record
        self._app = app

    async def run(self) -> None:
        """Print until the end of the session, and raise what ended it. Raises ClosedOutput when nobody reads."""
        async for stanza in self._arrivals:
            if stanza.attributes.get("type") == "error" and self._is_reported(stanza):
                continue
            await self._show(stanza)
        raise self._session.error or ConnectionLost("the session is over")

    async def _show_record(self, stanza: Element) -> None:
        await self._app.print(unwrapped(self._app, self._session, stanza))


def unwrapped(app: App, session: Session, stanza: Element) -> StanzaRecord:
    """The record of what arrived; for a copy (XEP-0280) that of the message in it."""
    carbon = copied(stanza, session.jid)
    if carbon is None:
        return app.record(stanza)
    record = app.record(carbon.message)
    return replace(record, carbon=carbon.direction) if isinstance(record, MessageRecord) else record
