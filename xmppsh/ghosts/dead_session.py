"""What a dead process left of one session: its place on the server, and stanzas that were written and not acknowledged.

The session is closed at once, so that nobody sees a ghost. What it had in flight is settled as after a cut
(session/settle.py): where the h of `<resumed/>` is exact, what it does not cover never arrived, and goes out again at
once. Where it is a snapshot nothing is sent on the resumed stream: the session is closed and asked for again, and when
that has proved the end of its former process, the archive decides.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.connection.takeover import End, TakenOver, take_over
from xmppsh.errors import ConnectionLost, DeadlineExceeded, XmppshError
from xmppsh.model import Jid
from xmppsh.outbox.journal import LeftBehind, in_wire_order, management
from xmppsh.outbox.queue import Fate, Queue, opened
from xmppsh.plain import dataclass
from xmppsh.protocol.events import StanzaArrived, StanzasAcked, StreamEnded
from xmppsh.protocol.sm import MODULUS
from xmppsh.session.requests import Requests
from xmppsh.session.session import Session
from xmppsh.session.settle import Server, server_of
from xmppsh.witness.announcer import Announcer, form, witness_of

if TYPE_CHECKING:
    from xmppsh.connection.driver import Driver
    from xmppsh.connection.options import SessionOptions
    from xmppsh.model import Element
    from xmppsh.outbox.journal import Journal
    from xmppsh.outbox.queue import Entry
    from xmppsh.outbox.stored import StoredSession
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.protocol.sm import StreamManagement
    from xmppsh.texts import Log
    from xmppsh.xmlio.build import Xml

ANSWER_S = 0.7  # for each answer on the resumed stream, while a contact still sees the session
ASIDE_S = 1.0  # for the witness
ACKS_S = 2.0  # for each ack of what goes out again


@dataclass(frozen=True, slots=True)
class Reaped:
    """A session that was closed. resumed: else it was gone already, or was replaced; age_s: since it began.

    settled: its stanzas whose fate is known now; left: those that the outbox still holds.
    """

    jid: Jid
    resumed: bool
    age_s: float
    settled: int
    left: int


class Remains:
    """One session of a dead process, in a journal that has claimed it."""

    def __init__(
        self,
        options: SessionOptions,
        log: Log,
        trace: Trace | None,
        journal: Journal,
        stored: StoredSession,
    ) -> None:
        self._options, self._log, self._trace = options, log, trace
        self._journal, self._stored = journal, stored
        rows = [row for row in journal.store.entries(journal.account, stored.id) if row.wire is not None]
        self._queue = Queue()
        self._queue.restore(in_wire_order(rows, stored.acked), journal.store.control(stored.id))
        self._rows = {row.row for row in rows}
        # The oldest in flight has the next number; None when they have none any more.
        self._base: int | None = stored.acked

    async def close(self, *, settle: bool) -> Reaped:
        """Close the session; raises when it cannot be reached. settle: wait for the archive, if it has to decide."""
        stored, store = self._stored, self._journal.store
        jid = Jid.parse(stored.full_jid)
        taken = await take_over(
            self._options, self._log, jid, management(stored), self._trace, before_close=self._on_resumed
        )
        proven = taken.end is End.GONE and taken.h is not None and self._release(taken.h)
        self._log(1, f"{jid}, left by a process that died: {taken.end}")
        store.close_session(stored.id)
        if settle and self._open_entries():
            await self._settle(taken, proven=proven)
        left = sum(1 for row in self._journal.store.entries(self._journal.account) if row.row in self._rows)
        age_s = max(0.0, time.time() - stored.started)
        return Reaped(jid, taken.end is End.RESUMED, age_s, len(self._rows) - left, left)

    def _open_entries(self) -> list[Entry]:
        return [entry for entry in opened(self._queue) if entry.xml]

    def _release(self, h: int) -> bool:
        """The server has handled everything up to h; False when that is no count of what is in flight."""
        if self._base is None or (released := (h - self._base) % MODULUS) >= MODULUS // 2:
            return False
        done = opened(self._queue.acked(min(released, self._queue.in_flight)))
        self._base = h
        self._journal.store.finish(self._stored.id, done, h)
        return True

    @property
    def _is_snapshot(self) -> bool:
        """May the former stream go on with what its h of `<resumed/>` does not cover?"""
        return server_of(self._stored.sm_id or "") is Server.SNAPSHOT

    def _is_to_be_asked_again(self, taken: TakenOver) -> bool:
        return self._is_snapshot if taken.end is End.RESUMED else taken.h is None

    # ── On the resumed stream ───────────────────────────────────────────────────────────────────────────────────

    async def _on_resumed(self, driver: Driver) -> None:
        sm = driver.stream.sm
        assert sm is not None
        self._release(sm.acked)
        try:
            if self._open_entries() and not self._is_snapshot:
                await self._repeat(driver, sm)
            server = _Answers(driver, Jid.parse(self._stored.full_jid))
            await send_aside(server.requests, witness_of(self._options.jid))
        except (DeadlineExceeded, ConnectionLost) as error:
            # Measured: where the connection broke within a stanza, Prosody 0.12 takes what is written on the resumed
            # stream for its rest, and is deaf or ends it. The session must not stay online for that.
            self._log(1, f"{self._stored.full_jid}: {error}")

    async def _repeat(self, driver: Driver, sm: StreamManagement) -> None:
        """XEP-0198 §5: what h does not cover goes out again, in order."""
        progress = asyncio.Event()

        def on_event(event: SessionEvent) -> None:
            if isinstance(event, StanzasAcked):
                self._release(sm.acked)
                progress.set()

        driver.on_event = on_event
        if driver.ended.is_set():
            return
        batch = self._queue.repeat()
        self._base = sm.sent  # a question of ours may stand before
        account, wire = self._journal.account, (self._base + 1) % MODULUS
        self._journal.store.write(account, [], self._stored.id, batch, wire, acked=self._base)
        for entry in batch:
            driver.carry_out(driver.stream.send(entry.xml))
        driver.carry_out(driver.stream.request_ack())
        try:
            while self._queue.in_flight and not driver.ended.is_set():
                progress.clear()
                async with asyncio.timeout(ACKS_S):
                    await progress.wait()
        except TimeoutError:
            self._log(1, "what was sent again is not acknowledged")  # its fate stays open

    # ── When it is closed ───────────────────────────────────────────────────────────────────────────────────────

    async def _settle(self, taken: TakenOver, *, proven: bool) -> None:
        """On a session of our own: what the archive lacks goes out again, after what the server had read is routed.

        proven: the server's final count says that what is open was not handled.
        """
        stored, entries = None, self._open_entries()
        if proven:
            fate = Fate.QUEUED  # the session had expired, so nothing of it is routed any more
        elif self._base is not None and taken.is_proof and self._is_to_be_asked_again(taken):
            # To ask again: `<failed/>` proves that the former stream has ended. Or a witness may have closed it, and
            # know its h. That counts from our base, and covers the session's own stanzas, too.
            stored, fate, entries = replace(self._stored, acked=self._base), Fate.SENT, opened(self._queue)
        else:
            fate = Fate.UNCERTAIN
        entries = [replace(entry, fate=fate) for entry in entries]
        # A random resource: by the session's own we might throw out a program that was started again under it.
        options = replace(self._options, jid=self._options.jid.bare, heals=False, resumable_s=None)
        session = Session(options, self._log, self._trace, self._journal)
        session.interceptors.append(Announcer(session))  # asks a witness how it ended
        left = LeftBehind(stored, entries, 0, self._stored.written, recent=self._queue.recent)
        session.restore(left)
        session.jid = options.jid  # where the session that is asked for again cannot be resumed
        try:
            await session.open()
            await session.acked(session.sent_count)
        except XmppshError as error:
            self._log(1, f"not everything is settled: {error}")  # it stays in the outbox
        finally:
            await session.close(wait_s=0)


class _Answers:
    """Asks on a stream where nothing is acknowledged (session/ports.py: Sender)."""

    timeout_s = ANSWER_S

    def __init__(self, driver: Driver, jid: Jid) -> None:
        self.jid, self._driver = jid, driver
        self.requests = Requests(self)
        driver.on_event = self._on_event

    def send_iq(self, stanza: Xml) -> None:
        """Write it at once; raises ConnectionLost when the server has ended the stream."""
        if self._driver.ended.is_set():
            raise ConnectionLost("the server ended the resumed stream")
        self._driver.carry_out(self._driver.stream.send(stanza))

    def send_ahead(self, stanza: Xml) -> None:
        """The same: nothing is queued here."""
        self.send_iq(stanza)

    async def ask_own(self, iq_type: str, payload: Xml) -> Element:
        """A question to our own account."""
        return await self.requests.ask_own(iq_type, payload)

    def _on_event(self, event: SessionEvent) -> None:
        if isinstance(event, StanzaArrived):
            self.requests.answer(event.element)
        elif isinstance(event, StreamEnded):
            self.requests.fail(ConnectionLost("the server ended the resumed stream"))


async def send_aside(requests: Requests, witness: Jid) -> None:
    """Ask until the witness has gone: what a session has not acknowledged is kept only if it is the account's last one.

    An error alone does not prove that. Measured on ejabberd: a session that ends gives back what its client had not
    acknowledged, our question too, before its address is free; 0.7 ms later our own close still found the witness
    there, and the messages were dropped. What is asked after such an error is answered when the address is free.
    """
    until, was_error = time.monotonic() + ASIDE_S, False
    while time.monotonic() < until:
        is_error = (await requests.exchange("set", witness, form("aside"))).attributes.get("type") == "error"
        if is_error and was_error:
            return
        was_error = is_error
