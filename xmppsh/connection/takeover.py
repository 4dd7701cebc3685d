"""Ending somebody else's session, so that no ghost stays: resume it, acknowledge nothing, close the stream.

Whatever its owner had not acknowledged goes to the offline store or to the next client (measured on Prosody and
ejabberd; with an ack it would be lost). A session whose id nobody knows is replaced by binding its resource, with
XEP-0198 on and no acks for the same reason; so is one that the server keeps and will not resume. When it says that it
knows no such session, that one is gone, and its resource is left alone: somebody else may have it by now.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from xmppsh.connection.connect import Connector
from xmppsh.connection.driver import CLOSE_WAIT_S
from xmppsh.errors import ConnectionLost, ProtocolError, StanzaError, StreamError
from xmppsh.plain import dataclass
from xmppsh.protocol.binding import is_no_resource
from xmppsh.protocol.events import SessionResumed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xmppsh.connection.driver import Driver
    from xmppsh.connection.options import SessionOptions
    from xmppsh.model import Jid
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.events import ResumeFailed, SessionEstablished
    from xmppsh.protocol.sm import StreamManagement
    from xmppsh.texts import Log


# The conditions of a `<failed/>` after which the session is still there. Measured on Prosody 13: with more than 500
# stanzas unacknowledged, or with an h below one that it knows, it refuses to resume and forgets the session's deadline,
# so that it stays online until somebody binds its resource.
STANDS = frozenset({"resource-constraint", "undefined-condition", "internal-server-error"})


class End(StrEnum):
    """How a session ended."""

    RESUMED = "resumed and closed"
    REPLACED = "replaced and closed"
    GONE = "gone already"


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The end of a session. h: the server's final count of what it had sent, where the server told.

    is_proof: as in ResumeFailed (protocol/events.py).
    """

    end: End
    h: int | None = None
    is_proof: bool = True


async def take_over(
    options: SessionOptions,
    log: Log,
    jid: Jid,
    sm: StreamManagement | None,
    trace: Trace | None = None,
    before_close: Callable[[Driver], Awaitable[None]] | None = None,
) -> TakenOver:
    """Close the session of the full JID `jid`; raises what made it impossible.

    sm: its id and counters, None when they are not known. before_close: runs on the resumed stream, which has nothing
    written on it yet.
    """
    takeover = _Takeover(options, log, trace)
    if sm is None:
        return await takeover.replace(jid)
    try:
        taken = await takeover.run(jid.bare, sm, before_close)
    except (ConnectionLost, StreamError, ProtocolError) as error:
        # Measured: with an h below one that it knows Prosody ends the connection without a word, and the session with
        # it; with one that is too high ejabberd ends the stream. So asked again it says that the session is gone.
        log(1, f"{jid} cannot be resumed: {error}")
        taken = await takeover.run(jid.bare, sm, before_close)
    if (condition := takeover.refused) is not None:
        log(1, f"{jid} is kept, but cannot be resumed ({condition})")
        return await takeover.replace(jid)
    return taken


class _Takeover:
    def __init__(self, options: SessionOptions, log: Log, trace: Trace | None) -> None:
        # Not to be resumed again: it dies with its socket.
        options = replace(options, acks=True, heals=False, resumable_s=None)
        self._connector = Connector(options, log, lambda _: None, lambda _: None, trace)
        self._driver: Driver | None = None
        self._outcome = TakenOver(End.GONE)
        self.refused: str | None = None  # why the session cannot be resumed, though it is there

    async def replace(self, jid: Jid) -> TakenOver:
        """Bind the resource of `jid` in place of who has it."""
        try:
            return await self.run(jid, None)
        except StanzaError as error:
            if is_no_resource(error):
                return TakenOver(End.GONE)
            raise

    async def run(
        self, jid: Jid, sm: StreamManagement | None, before_close: Callable[[Driver], Awaitable[None]] | None = None
    ) -> TakenOver:
        """sm: how to resume the session; None to replace it, and then `jid` has its resource."""
        self._outcome = TakenOver(End.REPLACED if sm is None else End.GONE)
        await self._connector.connect(self._on_live, jid, sm)
        driver = self._driver
        assert driver is not None
        try:
            if self._outcome.end is End.RESUMED and before_close is not None:
                await before_close(driver)
            if driver.ended.is_set():
                raise ConnectionLost("the connection broke before the session was closed")
        finally:
            await asyncio.shield(driver.close(CLOSE_WAIT_S))
        return self._outcome

    def _on_live(self, driver: Driver, event: SessionEstablished | SessionResumed, failed: ResumeFailed | None) -> None:
        driver.on_event = lambda _: None  # nothing that comes is taken, so nothing is acknowledged
        self._driver = driver
        if isinstance(event, SessionResumed):
            assert driver.stream.sm is not None
            self._outcome = TakenOver(End.RESUMED, driver.stream.sm.acked)
        elif failed is not None:
            self._outcome = TakenOver(End.GONE, failed.h, failed.is_proof)
            self.refused = failed.condition if failed.condition in STANDS else None
