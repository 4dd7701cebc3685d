"""A connection over its life: the first stream, the ones after a cut, the dead link that is noticed, the close.

Events count from the driver in use alone; those of a driver of an older link are ignored.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.connection.connect import Connector
from xmppsh.connection.driver import CLOSE_WAIT_S
from xmppsh.connection.reconnect import Reconnector, ack_patience_s, routing_s, watch
from xmppsh.errors import ConnectionLost, StreamError, XmppshError
from xmppsh.protocol.events import ResumeFailed, SessionConfirmed, SessionEstablished, SessionResumed, StreamEnded
from xmppsh.tasks import ended

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from xmppsh.connection.driver import Driver
    from xmppsh.connection.options import SessionOptions
    from xmppsh.connection.ports import StreamOwner
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.protocol.sm import StreamManagement
    from xmppsh.texts import Log
    from xmppsh.xmlio.build import Xml

OFFLINE_S = 180.0  # measured: a loaded Prosody is silent for more than 50 s before the first of 15,000 offline messages
FIRST_TRIES = 3  # when the first connection is cut in its handshake
PROOF_S = 14.0  # ejabberd gives up asking the former stream after 15 s, and says the same as when it has ended
SILENT_RESUMES = 2  # measured: a resumed Prosody session sometimes never acks again; then bind anew


class Connection:
    """Holds the driver of the stream in use, and gets a new one when the link breaks.

    sm: the counters of the session, which outlive its streams; None where the server does not count.
    """

    def __init__(self, owner: StreamOwner, options: SessionOptions, log: Log, trace: Trace | None) -> None:
        self.driver: Driver | None = None
        self.sm: StreamManagement | None = None
        self.last_error: XmppshError | None = None
        self.tls_version: str | None = None
        self.mechanism = ""
        self._owner, self._options, self._log = owner, options, log
        self._connector = Connector(options, log, self._on_resume_due, owner.on_bound, trace)
        self._asked_at = 0.0  # when the last `<resume/>` was written, in the loop's time
        self._activity, self._confirmed = asyncio.Event(), asyncio.Event()
        self._resumed = False  # the stream in use is a resumed one
        self.awaits_backlog = False  # asked for all that it kept, the server has not acknowledged that yet
        self._sent_before = 0  # the number of the stanza before
        self._silences = 0  # dead links in a row, without an ack between them
        self._not_before = 0.0
        self._old: Driver | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._healing: asyncio.Task[None] | None = None
        self._reconnector = Reconnector(self._again)

    async def open(self) -> None:
        """The first connection; raises what made it impossible."""
        await asyncio.sleep(max(0.0, self._not_before - time.time()))
        tries = FIRST_TRIES if self._options.heals else 1
        for left in reversed(range(tries)):
            try:
                await self._connector.connect(self._on_live, self._owner.jid, self.sm)
                break
            except ConnectionLost as error:
                # What survives a cut later survives one in the first handshake too.
                if left == 0:
                    raise
                self._log(1, f"{error}; trying again")
        if self._options.heals:
            self.spawn(watch(self._activity, self._patience_s, self._owner.on_idle, self._on_silence))

    def restore(self, sm: StreamManagement | None, newest: float, in_flight: int) -> None:
        """Begin by resuming a session that a former process left; newest: when its last stanza left."""
        self.sm = sm
        self._not_before = min(time.time(), newest) + routing_s(in_flight)

    # ── The stream in use, as the session sees it (session/ports.py: Wire) ──────────────────────────────────────

    @property
    def is_up(self) -> bool:
        """Is there a stream to write on?"""
        return self.driver is not None

    @property
    def next_try_s(self) -> float | None:
        """In how many seconds another try to connect is made; None while one is made, or where none is needed."""
        next_at = None if self.is_up else self._reconnector.next_at
        return None if next_at is None else max(0.0, next_at - self._now)

    @property
    def is_live(self) -> bool:
        """May stanzas be written on it?"""
        return self.driver is not None and self.driver.stream.takes_stanzas

    @property
    def has_acks(self) -> bool:
        """Does the server acknowledge stanzas on it (XEP-0198)?"""
        return self._stream_sm is not None

    @property
    def _stream_sm(self) -> StreamManagement | None:
        return None if self.driver is None else self.driver.stream.sm

    @property
    def next_number(self) -> int:
        """The number that the next stanza will have in the server's count; 0 where it does not count."""
        return 0 if self._stream_sm is None else self._stream_sm.sent + 1

    @property
    def acked(self) -> int | None:
        """The last h of the server's; None where it does not count."""
        return None if self._stream_sm is None else self._stream_sm.acked

    @property
    def max_stanza_bytes(self) -> int:
        """How big a stanza may be (XEP-0478)."""
        return self._options.limits.stanza_bytes if self.driver is None else self.driver.stream.max_stanza_bytes

    def write(self, stanza: Xml) -> None:
        """Count a stanza and hand its bytes to the link; raises ConnectionLost when there is none."""
        driver = self._in_use
        driver.carry_out(driver.stream.send(stanza))

    def write_batch(self, messages: list[bytes]) -> None:
        """The same for many messages, in one write."""
        driver = self._in_use
        for part in [[message.lstrip()] for message in messages] if driver.is_traced else [messages]:
            driver.carry_out(driver.stream.send_batch(part))

    def request_ack(self) -> None:
        """Write `<r/>`; raises ConnectionLost when there is no link."""
        driver = self._in_use
        driver.carry_out(driver.stream.request_ack())

    @property
    def _in_use(self) -> Driver:
        if self.driver is None:
            raise ConnectionLost("the connection is cut")
        return self.driver

    def mark_handled(self, number: int, count: int = 1) -> None:
        """Inbound stanzas are dealt with; while the link is cut they count when the session is back."""
        if self.driver is not None:
            self.driver.carry_out(self.driver.stream.taken(number, count))
        elif self.sm is not None:
            self.sm.on_taken(number, count)

    def hold_reading(self, held: bool) -> None:
        """Stop reading from the link, or go on."""
        if self.driver is not None:
            self.driver.link.hold_reading("readers", held)

    async def drained(self) -> None:
        """Wait until the link takes more."""
        if self.driver is not None:
            await self.driver.link.drained()

    def note_activity(self) -> None:
        """The server has shown that it lives, or the link is no longer idle: its silence is counted from now on."""
        self._activity.set()

    def expect_backlog(self) -> None:
        """What leaves now makes the server deliver all that it kept for us: until it acknowledges that it may be silent
        for longer, while it reads its store."""
        self.awaits_backlog, self._sent_before = True, 0 if self.sm is None else self.sm.sent

    def on_ack(self) -> None:
        """The server answers on this stream."""
        self._reconnector.answered.set()
        self._connector.costs.done("ack", self._now)
        self.awaits_backlog = self.awaits_backlog and self.sm is not None and not self.sm.is_past(self._sent_before)
        self._silences = 0
        self._activity.set()

    @property
    def costs(self) -> str:
        """What the stream in use has cost, for people."""
        return "" if self.driver is None else self._connector.costs.sentence(self.driver.flights, self.tls_version)

    def abandon(self, error: XmppshError) -> None:
        """End the session for a reason of ours, cleanly."""
        if self.driver is not None:
            self.driver.carry_out(self.driver.stream.abort(error))
            return
        if self._healing is not None:
            self._healing.cancel()
        self._owner.on_over(error)

    # ── A stream came to life ───────────────────────────────────────────────────────────────────────────────────

    def _on_live(self, driver: Driver, event: SessionEstablished | SessionResumed, failed: ResumeFailed | None) -> None:
        def on_event(later: SessionEvent) -> None:
            if isinstance(later, SessionConfirmed):
                self._on_confirmed(driver)
            elif self.driver is driver:
                if isinstance(later, StreamEnded) and later.error is not None and driver.stream.is_presumed:
                    self._connector.mistrust(driver.stream)
                self._owner.on_event(later)

        self.driver, self.last_error = driver, None
        self._reconnector.on_live(event.acked if isinstance(event, SessionResumed) else 0)
        self._activity.set()
        driver.on_event = on_event
        self.hold_reading(not self._owner.is_reading)
        self.tls_version, self.mechanism = driver.link.tls_version, driver.stream.mechanism
        self._resumed = isinstance(event, SessionResumed)
        if isinstance(event, SessionResumed):
            self.sm = driver.stream.sm
            if not self._owner.on_resumed(event.acked, self._sm_id):
                self.spawn(self._ask_again(driver))
                return
            if self.sm is not None:
                self.sm.on_all_settled()
        else:
            in_time = self._now - self._asked_at < PROOF_S and (failed is None or failed.is_proof)
            self._silences, alone = 0, self.sm is None or self.sm.holders <= 0
            self._owner.on_new_session(event, failed, self.sm, in_time=in_time, alone=alone)
        self.sm = driver.stream.sm
        if not driver.stream.is_presumed:
            self._on_confirmed(driver)
        self._owner.on_live()

    def _on_confirmed(self, driver: Driver) -> None:
        """The server itself has said that the session is there (protocol/ahead.py)."""
        self._connector.learn(driver.stream)
        self._confirmed.set()

    async def confirmed(self) -> None:
        """Wait until it has said so, or the stream has ended."""
        await self._confirmed.wait()

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def _sm_id(self) -> str:
        return "" if self.sm is None or self.sm.resumption is None else self.sm.resumption.sm_id

    def _on_resume_due(self, h: int) -> None:
        """A `<resume h>` is written next."""
        self._asked_at = self._now
        self._owner.on_ack_due(h)

    async def _ask_again(self, driver: Driver) -> None:
        """Close the resumed session and ask for it once more (session/settle.py: ASK_AGAIN).

        The server repeats after `<resumed/>` what we had not acknowledged: that is taken first, up to its `<a/>`, and
        acknowledged by the close. It would be delivered twice, or dropped where another client is online.
        """
        self._log(1, "stanzas are in flight beyond the count of the resumed session: it is closed and asked for again")
        self._reconnector.answered.clear()
        driver.carry_out(driver.stream.request_ack())
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._reconnector.answered.wait()
        await driver.close(CLOSE_WAIT_S)

    # ── It ended ────────────────────────────────────────────────────────────────────────────────────────────────

    def on_ended(self, error: XmppshError | None) -> None:
        """The stream is over; heal it, or tell the owner that none will follow."""
        self.driver, self._old = None, self.driver
        self._confirmed.set()
        self.last_error = error
        if error is None and self.sm is not None and self._old is not None and self._old.stream.peer_ended:
            self.sm.on_closed()
        rivals = 0 if self.sm is None else self.sm.unanswered
        if rivals and isinstance(error, StreamError) and error.condition == "conflict":
            # Our own older `<resume/>`, which was given up, has won at the server: that is a cut.
            error = ConnectionLost("an older request to resume the session has taken it")
        if not self._options.heals or not self._owner.may_heal(error, resumed=self._resumed):
            self._owner.on_over(error)
            return
        self._owner.on_cut()
        self._healing = self.spawn(self._heal(error))

    async def _heal(self, error: XmppshError | None) -> None:
        try:
            level = await self._reconnector.run(error, self._options.give_up_s, self._log)
        except XmppshError as failure:
            return self._owner.on_over(failure)
        if self.is_up:  # and has not ended in the same packet
            self._log(level, "connected again")

    async def _again(self, limit_s: float) -> None:
        await self._owner.before_connecting()
        resume = self.sm if self.sm is not None and self.sm.resumption is not None else None
        try:
            await self._connector.connect(self._on_live, self._owner.jid, resume, limit_s)
        except XmppshError as failure:
            self.last_error = failure  # why there is still no way
            raise

    # ── A dead link ─────────────────────────────────────────────────────────────────────────────────────────────

    def _patience_s(self) -> float | None:
        if self.driver is None or not self._owner.is_reading or not self._owner.in_flight:
            return None
        patience_s = ack_patience_s(self._options.timeout_s, self._owner.backlog_s())
        return max(patience_s, OFFLINE_S) if self.awaits_backlog else patience_s

    def _on_silence(self) -> None:
        if self.driver is None or not self._owner.is_reading:
            return
        self._silences += 1
        if self._silences >= SILENT_RESUMES and self._owner.may_bind_anew(self._sm_id):
            self.sm = None  # this session acks no more: the archive settles what is open
        # No </stream:stream>: the session must stay resumable.
        self.driver.drop("the server stopped answering")

    # ── The close ───────────────────────────────────────────────────────────────────────────────────────────────

    async def end_stream(self, wait_s: float) -> None:
        """End the stream in use cleanly, and go on with another one. wait_s: for the server's `</stream:stream>`."""
        if self.driver is not None:
            await self.driver.close(wait_s)

    async def healed(self, wait_s: float) -> None:
        """Give a cut connection a moment to come back."""
        if self._healing is not None and wait_s > 0:
            await asyncio.wait({self._healing}, timeout=wait_s)

    async def close(self, wait_s: float, hurry: asyncio.Event | None) -> bool:
        """Close the stream, and end all work. hurry: once it is set, nothing is waited for.

        Returns whether the server has said that the stream is over.
        """
        await ended(*self._tasks)
        if (driver := self.driver or self._old) is None:
            return False
        await driver.close(wait_s, hurry)
        return driver.stream.peer_ended

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something as long as the connection lives."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
