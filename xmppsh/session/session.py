"""The session: what commands talk to. It owns the connection, counts what the server has acknowledged, and closes.

Numbers, not futures: `send` gives the stanza's number in this session, `acked(number)` waits until the server has
handled it. A session with `resumable_s` survives its link (connection/lasting.py): what was unacknowledged goes out
again, in order, before anything new.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xmppsh.connection.lasting import Recovery
from xmppsh.errors import ConnectionLost, DataError, DeadlineExceeded, Unconfirmed, XmppshError
from xmppsh.model import Jid
from xmppsh.outbox.queue import Fate, Queue
from xmppsh.protocol import events as ev
from xmppsh.session.asking import Asking
from xmppsh.session.bus import Bus
from xmppsh.session.outbound import Outbound
from xmppsh.session.phase import Phase
from xmppsh.session.requests import Requests
from xmppsh.session.responder import response_to
from xmppsh.witness.announcer import Announcer
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.stanzas import RECEIPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from xmppsh.connection.driver import Driver
    from xmppsh.connection.options import SessionOptions
    from xmppsh.model import Element
    from xmppsh.outbox.journal import Journal, LeftBehind
    from xmppsh.outbox.queue import Entry
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.protocol.sm import StreamManagement
    from xmppsh.session.bus import Subscription
    from xmppsh.witness.announcer import Attendant
    from xmppsh.xmlio.build import Xml

__all__ = ["Phase", "Session", "new_id"]

MAM_RESULT = "urn:xmpp:mam:2"
CLOSE_WAIT_S = 2.0  # for the server's </stream:stream>


class Session(Asking):
    """A bound session of one account; `App.session` opens and closes it."""

    def __init__(
        self,
        options: SessionOptions,
        log: Callable[[int, str], None],
        trace: Trace | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.options, self.log = options, log
        self.phase = Phase.OFFLINE
        self.jid: Jid = options.jid
        self.mechanism = ""
        self.tls_version: str | None = None
        self.error: XmppshError | None = None
        self.is_closed_at_server = True  # no session of ours stays there; False when it could not hear of the close
        self.readers_lag = False  # the link is not read until they have caught up
        self.queue = Queue()
        self.requests = Requests()
        self.bus = Bus(self._on_reader_done, lambda: self._hold(True), lambda: self._hold(False))
        self.progress = asyncio.Event()  # set by each ack, and by the end
        self.outbound = Outbound(self, journal)
        self.recovery = Recovery(self, trace)
        self.attendant: Attendant = Announcer(self)  # sees every stanza first; the witness puts its own here
        self.on_live: Callable[[Jid, StreamManagement | None], None] = lambda *_: None  # bound, or resumed
        self.excuses: list[Callable[[XmppshError | None], bool]] = [lambda error: self.attendant.explains(error)]
        self._collections: dict[str, list[Element]] = {}

    # ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

    def restore(self, left: LeftBehind) -> None:
        """Go on where a dead process stopped; before `open`."""
        self.queue.restore(left.entries)
        if left.session is not None:
            self.jid = Jid.parse(left.session.full_jid)
        self.recovery.restore(left.management(), left.newest)

    async def open(self) -> None:
        """Connect, log in, bind; raises what made it impossible, within the connect timeout."""
        await self.recovery.open()

    @property
    def driver(self) -> Driver | None:
        """The connection's driver while there is one."""
        return self.recovery.driver

    @property
    def is_over(self) -> bool:
        """Has the session ended?"""
        return self.phase is Phase.OVER

    @property
    def is_cut(self) -> bool:
        """Is the link broken and being healed?"""
        return self.phase is Phase.LINGERING

    @property
    def cause(self) -> XmppshError:
        """Why the link is cut, or the session over."""
        return self.error or self.recovery.last_error or ConnectionLost("the session is over")

    @property
    def acks(self) -> bool:
        """Does the server acknowledge stanzas (XEP-0198)?"""
        return self.driver is not None and self.driver.stream.sm is not None

    @property
    def sent_count(self) -> int:
        """How many stanzas were handed in."""
        return self.queue.last_number

    @property
    def unacked_count(self) -> int:
        """How many of them have no final fate yet."""
        return self.queue.open_count

    @property
    def acked_count(self) -> int:
        """How many of them the server has acknowledged."""
        return self.queue.acked_count

    @property
    def failed_count(self) -> int:
        """How many IQ and presence ended with a session that was lost."""
        return self.queue.failed_count

    def is_explained(self, error: XmppshError | None) -> bool:
        """Was the session closed by a helper of ours, so that another one may begin?"""
        return any(excuse(error) for excuse in self.excuses)

    async def begin_anew(self, wait_s: float) -> None:
        """End the stream cleanly and heal: where the session is not resumable, on another one.

        wait_s: for the server's `</stream:stream>`.
        """
        if self.driver is not None:
            self.phase = Phase.LINGERING  # nothing is written on a stream that ends
            await self.driver.close(wait_s)

    def fail(self, error: XmppshError | None) -> None:
        """The session is over: tell everybody who waits."""
        if self.phase is Phase.OVER:
            return
        closing = self.phase is Phase.CLOSING
        self.phase = Phase.OVER
        self.error = None if closing else error
        self.bus.end(self.error)
        self.requests.fail(error or ConnectionLost("the session was closed"))
        self.progress.set()
        self.outbound.wrote.set()

    async def close(
        self, *, drain_s: float = 0.0, hurry: asyncio.Event | None = None, wait_s: float = CLOSE_WAIT_S
    ) -> None:
        """The one clean close: acks for at most `drain_s`, the last `<a/>`, `</stream:stream>`, close_notify, TCP.

        hurry: set by a second signal; then nothing is waited for.
        """
        if self.phase in (Phase.LIVE, Phase.LINGERING, Phase.RECONCILING) and drain_s > 0:
            await self._drain(drain_s, hurry)
        ended = await self.recovery.close(wait_s, hurry)
        self.fail(None)
        self.is_closed_at_server = self.outbound.close(ended=ended)

    async def _drain(self, drain_s: float, hurry: asyncio.Event | None) -> None:
        if not self.queue.open_count:
            return
        waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self.acked(self.sent_count, drain_s))]
        if hurry is not None:
            waits.append(asyncio.ensure_future(hurry.wait()))
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=drain_s)
        for task in pending:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    # ── Out ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(
        self, stanza: Xml, *, kind: str = "", stanza_id: str = "", to: str = "", position: int | None = None
    ) -> int:
        """Hand one stanza in; returns its number. Raises when the session is over or the stanza too big.

        kind: the user's `message`, `iq` or `presence`, empty for what serves a command; a message outlives this
        process until its fate is known, by its `stanza_id` (its origin-id).
        """
        if self.phase in (Phase.OVER, Phase.CLOSING, Phase.OFFLINE):
            raise self.error or ConnectionLost("the session is over")
        limit = self.options.limits.stanza_bytes if self.driver is None else self.driver.stream.max_stanza_bytes
        size_bytes = len(stanza.encode())
        if size_bytes > limit:
            raise DataError(f"the stanza has {size_bytes} bytes, and {limit} are allowed", condition="policy-violation")
        return self.outbound.add(stanza, kind, stanza_id, to, position)

    def announce(self, availability: Xml) -> int:
        """Broadcast our presence; a new session after a lost one does it again."""
        self.recovery.availability = availability
        return self.send(availability)

    def queue_again(self, entries: Iterable[Entry]) -> None:
        """Send stanzas that are stored already."""
        for entry in entries:
            entry.fate = Fate.QUEUED
            self.queue.restore([entry])
        self.outbound.schedule()

    async def acked(self, number: int, timeout_s: float | None = None) -> None:
        """Wait until the server has handled everything up to stanza `number`.

        Raises Unconfirmed when bytes have left and no ack will come, otherwise what ended the session.
        timeout_s: without any progress; the default is `--timeout`.
        """
        timeout_s = self.options.timeout_s if timeout_s is None else timeout_s
        while self.queue.settled_up_to < number:
            if self.is_over:
                raise self._unsettled(self.error)
            self.progress.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self.progress.wait()
            except TimeoutError:
                silence = DeadlineExceeded(
                    f"no acknowledgement within {timeout_s:.3g} s", hint="--timeout S waits longer"
                )
                raise self._unsettled(self.recovery.last_error or silence) from None
        if any(entry.number <= number for entry in self.queue.lost):
            raise self._unsettled(None)

    def _unsettled(self, cause: XmppshError | None) -> XmppshError:
        """The error for stanzas whose fate is not known to be good."""
        count = self.queue.unproven_count
        if count == 0:
            return cause or ConnectionLost("the session is over")
        what = "1 stanza was" if count == 1 else f"{count} stanzas were"
        why = "" if cause is None else f": {cause}"
        return Unconfirmed(
            f"{what} written and never acknowledged{why}",
            hint="ask the recipient; xmppsh outbox list keeps what was not confirmed",
        )

    async def written(self) -> None:
        """Wait until everything has been handed to the network."""
        while self.queue.waiting_count and not self.is_over:
            self.outbound.wrote.clear()
            await self.outbound.wrote.wait()
        if self.is_over:
            raise self.cause
        if self.driver is not None:
            await self.driver.link.drained()

    async def room(self, window: int) -> None:
        """Wait until fewer than `window` stanzas are unacknowledged and the link takes more."""
        while self.queue.open_count >= window:
            await self.acked(self.queue.settled_up_to + 1)
        if self.driver is not None:
            await self.driver.link.drained()

    # ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def subscribe(self, *kinds: str) -> Subscription:
        """Read stanzas of these kinds (`message`, `presence`, `iq`) that arrive from now on."""
        return self.bus.subscribe(lambda stanza: stanza.kind in kinds)

    def bounces(self) -> Subscription:
        """Read the messages that came back with an error (RFC 6120 §8.3)."""
        return self.bus.subscribe(lambda stanza: stanza.kind == "message" and stanza.attributes.get("type") == "error")

    def receipts(self) -> Subscription:
        """Read delivery receipts (XEP-0184)."""
        return self.bus.subscribe(lambda stanza: stanza.kind == "message" and RECEIPTS in stanza.xml)

    @contextmanager
    def collecting(self, query_id: str) -> Iterator[list[Element]]:
        """The archive's results for an open query; they reach nobody else (XEP-0313 §4.2)."""
        results: list[Element] = []
        self._collections[query_id] = results
        try:
            yield results
        finally:
            del self._collections[query_id]

    def on_event(self, event: SessionEvent) -> None:
        """What the stream tells a live session."""
        match event:
            case ev.StanzaArrived(stanza, number):
                self._on_stanza(stanza, number)
            case ev.StanzasAcked(count):
                self.recovery.on_ack()
                self.outbound.on_acked(count)
            case ev.HandledNoted(h):
                self.outbound.on_handled(h)
                self.attendant.before_ack(h)
            case ev.StreamEnded(error):
                self.recovery.on_ended(error)
            case _:
                raise AssertionError(f"{event} in mid-session")

    def _on_stanza(self, stanza: Element, number: int) -> None:
        if not self.recovery.is_new(number):
            return  # repeated by the server after a resume, and still in the hands of its reader
        if self.attendant.takes(stanza, lambda: self._on_taken(number)):
            return None
        kind, stanza_type = stanza.kind, stanza.attributes.get("type")
        if kind == "iq":
            if self.outbound.on_ping_answered(stanza.id or "") or self.requests.answer(stanza, self.jid):
                return self._on_taken(number)
            if stanza_type in ("get", "set") and self.phase in (Phase.LIVE, Phase.RECONCILING):
                self.outbound.send_own(response_to(stanza))
        elif kind == "message" and self._collections and MAM_RESULT in stanza.xml:
            for query_id, results in self._collections.items():
                if query_id in stanza.xml:
                    results.append(stanza)
                    return self._on_taken(number)
        self.bus.publish(stanza, (self.recovery.generation, number))
        return None

    def _on_taken(self, number: int) -> None:
        if self.driver is not None:
            self.driver.carry_out(self.driver.stream.taken(number))
        else:
            self.recovery.on_taken_offline(number)

    def _on_reader_done(self, token: tuple[int, int]) -> None:
        generation, number = token
        if generation == self.recovery.generation:
            self._on_taken(number)

    def _hold(self, full: bool) -> None:
        self.readers_lag = full
        if self.driver is not None:
            self.driver.link.hold_reading("readers", full)
        self.attendant.on_lag()
