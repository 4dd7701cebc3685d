"""A cut heals: the connection of a session over its life, from the first one through resumptions to the close.

Whoever holds a driver of an older link is not heard any more: events count only from the driver in use.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from xmppsh.connection.connect import Connector
from xmppsh.connection.reconnect import (
    ACK_BASE_S,
    BACKLOG_DELAY,
    BACKLOG_PATIENCE,
    Reconnector,
    may_reconnect,
    routing_s,
    watch,
)
from xmppsh.errors import ConnectionLost, XmppshError
from xmppsh.outbox.queue import Fate
from xmppsh.protocol.events import ResumeFailed, SessionEstablished, SessionResumed
from xmppsh.protocol.sm import MODULUS, StreamManagement
from xmppsh.session.archive import by_archive, by_handled
from xmppsh.session.phase import Phase
from xmppsh.session.settle import LostSessions

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from xmppsh.connection.driver import Driver
    from xmppsh.model import Jid
    from xmppsh.output.trace import Trace
    from xmppsh.session.session import Session
    from xmppsh.xmlio.build import Xml

FIRST_TRIES = 3  # when the first connection is cut in its handshake
MAX_SETTLE_S = 10.0  # for an archive to file what the server had read
SILENT_RESUMES = 2  # measured: a resumed Prosody session sometimes never acks again; then bind anew


class Recovery:
    """Holds the session's driver, and gets a new one when the link breaks."""

    def __init__(self, session: Session, trace: Trace | None) -> None:
        self.driver: Driver | None = None
        self.stirred = asyncio.Event()  # an ack came, or something left on an idle or a new link
        self.last_error: XmppshError | None = None
        self.generation = 0  # of the session, not of the link
        self.availability: Xml | None = None
        self._session, self._options = session, session.options
        self._connector = Connector(session.options, session.log, session.outbound.on_handled, self._on_bound, trace)
        self._sm: StreamManagement | None = None
        self._resumed = False  # the present stream is a resumed one
        self._silences = 0  # dead links in a row, without an ack between them
        self._not_before = 0.0
        self._high_water = 0  # the highest number of an inbound stanza
        self._lost = LostSessions()
        self._old: Driver | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._healing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """The first connection; raises what made it impossible."""
        await asyncio.sleep(max(0.0, self._not_before - time.time()))
        tries = FIRST_TRIES if self._options.heals else 1
        for left in reversed(range(tries)):
            try:
                await self._connector.connect(self._on_live, self._session.jid, self._sm)
                break
            except ConnectionLost as error:
                # What survives a cut later survives one in the first handshake too.
                if left == 0:
                    raise
                self._session.log(1, f"{error}; trying again")
        if self._options.heals:
            self._spawn(watch(self.stirred, self._patience_s, self._ask, self._on_silence))
        if self._options.resumable_s is not None:
            self._spawn(self._session.attendant.run())

    def restore(self, sm: StreamManagement | None, newest: float) -> None:
        """Begin by resuming a session that a former process left; newest: when its last stanza left."""
        self._sm = sm
        self._high_water = 0 if sm is None else sm.received
        self._not_before = min(time.time(), newest) + routing_s(self._session.queue.in_flight)

    def _on_bound(self, jid: Jid) -> None:
        if self._session.outbound.journal is not None:
            self._session.outbound.journal.bound(str(jid))

    # ── A stream came to life ───────────────────────────────────────────────────────────────────────────────────

    def _on_live(self, driver: Driver, event: SessionEstablished | SessionResumed, failed: ResumeFailed | None) -> None:
        session = self._session
        self.driver = driver
        self.stirred.set()
        driver.on_event = lambda later: session.on_event(later) if self.driver is driver else None
        driver.link.hold_reading("readers", session.readers_lag)
        session.tls_version, session.mechanism = driver.link.tls_version, driver.stream.mechanism
        self._resumed = isinstance(event, SessionResumed)
        if isinstance(event, SessionResumed):
            session.outbound.on_acked(event.acked)
            session.outbound.repeat()
        else:
            self._on_new_session(event, failed)
        self._sm = driver.stream.sm
        session.on_live(session.jid, self._sm)
        session.attendant.on_live()
        if session.queue.in_doubt:
            session.phase = Phase.RECONCILING
            self._spawn(self._reconcile())
        else:
            self._go_live()

    def _on_new_session(self, event: SessionEstablished, failed: ResumeFailed | None) -> None:
        session, previous = self._session, self._sm
        self.generation += 1
        self._high_water = self._silences = 0
        older = session.queue.uncertain_count  # of a session before that, whose archive was not asked yet
        doubted = session.queue.doubt()
        session.outbound.reset()
        session.jid = event.jid
        if session.outbound.journal is not None:
            session.outbound.journal.opened(event.resumption)
        if event.resumption is not None and event.resumption.max_s != self._options.resumable_s:
            kept = "for a time it does not tell" if event.resumption.max_s is None else f"{event.resumption.max_s} s"
            session.log(1, f"the server keeps a lost session {kept}, not {self._options.resumable_s} s as asked")
        if session.phase is not Phase.OFFLINE:
            session.requests.fail(ConnectionLost("the session was lost before the answer came"))
        if self.availability is not None:
            session.outbound.send_own(self.availability)
        if failed is not None and failed.h is not None and previous is not None:
            released = (failed.h - previous.acked) % MODULUS
            if released <= previous.unacked:  # else it is no count of ours, and proves nothing
                session.outbound.settle([*[None] * older, *by_handled(doubted[older:], released)])
                return
        self._lost.add(None if failed is None else previous, older, len(doubted) - older)

    def _go_live(self) -> None:
        self._session.phase = Phase.LIVE
        self.stirred.set()
        self._session.outbound.schedule()

    async def _reconcile(self) -> None:
        session, driver = self._session, self.driver
        try:
            proved = await self._lost.ask_witness(session)
        except XmppshError:
            return  # the link broke meanwhile; the next one tries again
        if self.driver is not driver:
            return
        session.outbound.settle(proved)
        doubted = [entry for entry in session.queue if entry.fate is Fate.UNCERTAIN]
        settle_s = min(MAX_SETTLE_S, BACKLOG_DELAY * session.outbound.pace.backlog_s(len(doubted)))
        try:
            fates = await by_archive(session, doubted, frozenset(session.queue.recent), settle_s)
        except XmppshError as error:
            if self.driver is not driver:
                return  # the link broke meanwhile; the next one tries again
            session.log(1, f"the archive does not answer: {error}")
            fates = [Fate.UNCERTAIN if entry.kind == "message" else Fate.FAILED for entry in doubted]
        if self.driver is driver:
            settled = [*proved, *fates]
            counts = ", ".join(f"{settled.count(fate)} {fate}" for fate in Fate if fate in settled)
            session.log(1, f"after the lost session: {counts}")
            session.outbound.settle(fates)
            self._go_live()

    # ── It ended ────────────────────────────────────────────────────────────────────────────────────────────────

    def on_ended(self, error: XmppshError | None) -> None:
        """The stream is over; heal it, or end the session."""
        session = self._session
        self.driver, self._old = None, self.driver
        self.last_error = error
        heals = self._options.heals and session.phase not in (Phase.CLOSING, Phase.OVER, Phase.OFFLINE)
        if not heals or not (may_reconnect(error, resumed=self._resumed) or session.is_explained(error)):
            session.fail(error)
            return
        session.phase = Phase.LINGERING
        session.outbound.pace.on_pause()
        self._healing = self._spawn(self._heal(error))

    async def _heal(self, error: XmppshError | None) -> None:
        def delay_s() -> float:
            return BACKLOG_DELAY * self._session.outbound.pace.backlog_s(self._session.queue.in_flight)

        async def connect(limit_s: float) -> None:
            await self._session.attendant.before_connecting()
            resume = self._sm if self._sm is not None and self._sm.resumption is not None else None
            await self._connector.connect(self._on_live, self._session.jid, resume, limit_s)

        try:
            await Reconnector(connect, delay_s).run(error, self._options.give_up_s, self._session.log)
        except XmppshError as failure:
            self._session.fail(failure)

    def abandon(self, error: XmppshError) -> None:
        """End the session for a reason of ours, cleanly."""
        if self.driver is not None:
            self.driver.carry_out(self.driver.stream.abort(error))
        else:
            self._session.fail(error)

    # ── A dead link ─────────────────────────────────────────────────────────────────────────────────────────────

    def _patience_s(self) -> float | None:
        if self.driver is None or self._session.readers_lag or not self._session.queue.in_flight:
            return None  # what nobody reads is no silence
        base_s = max(1.0, min(ACK_BASE_S, self._options.timeout_s / 3))
        return base_s + BACKLOG_PATIENCE * self._session.outbound.pace.backlog_s(self._session.queue.in_flight)

    def _ask(self) -> None:
        self._session.outbound.ask_for_ack(idle=True)

    def on_ack(self) -> None:
        """The server answers on this stream."""
        self._silences = 0
        self.stirred.set()

    def _on_silence(self) -> None:
        if self.driver is None or self._session.readers_lag:
            return
        self._silences += 1
        if self._silences >= SILENT_RESUMES:
            self._sm = None  # this session acks no more: the archive settles what is open
        # No </stream:stream>: the session must stay resumable.
        self.driver.drop("the server stopped answering")

    def on_taken_offline(self, number: int) -> None:
        """A reader is done with a stanza while the link is cut: it counts when the session is back."""
        if self._sm is not None:
            self._sm.on_taken(number)

    def is_new(self, number: int) -> bool:
        """Is this inbound stanza new, or one that the server repeats after a resume while its reader still holds it?"""
        if self.driver is None or self.driver.stream.sm is None:
            return True
        if not 0 < (number - self._high_water) % MODULUS <= MODULUS // 2:
            return False
        self._high_water = number
        return True

    # ── The close ───────────────────────────────────────────────────────────────────────────────────────────────

    async def close(self, wait_s: float, hurry: asyncio.Event | None) -> bool:
        """Close the stream. A cut one gets a moment to come back first: only a resumed session can be closed.

        hurry: once it is set, nothing is waited for. Returns whether the server has said that the stream is over.
        """
        session = self._session
        if hurry is not None and hurry.is_set():
            wait_s = 0.0
        if session.phase is Phase.LINGERING and self._healing is not None and wait_s > 0:
            await asyncio.wait({self._healing}, timeout=wait_s)
        if session.phase is not Phase.OVER:
            session.phase = Phase.CLOSING
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if (driver := self.driver or self._old) is None:
            return False
        await driver.close(wait_s, hurry)
        return driver.stream.peer_ended

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
