"""A session over its streams: its phases, and what each new stream, each cut and the end mean for what it remembers.

It is the owner of a connection (connection/ports.py: StreamOwner). Session adds what commands ask of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.connection.lasting import Connection
from xmppsh.connection.reconnect import may_reconnect
from xmppsh.errors import ConnectionLost, XmppshError
from xmppsh.model import Jid
from xmppsh.protocol import events as ev
from xmppsh.protocol.sm import MODULUS
from xmppsh.session.availability import Availability
from xmppsh.session.inbound import Inbound
from xmppsh.session.outbound import Outbound
from xmppsh.session.outcome import refuse_too_big
from xmppsh.session.phase import CAN_ANSWER, CAN_HEAL, CAN_SEND, Phase, Turn, after
from xmppsh.session.reconcile import Reconciler
from xmppsh.session.requests import Requests
from xmppsh.session.settle import PROVES, Answer, Server, Step, by_handled, server_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from xmppsh.connection.driver import Driver
    from xmppsh.connection.options import SessionOptions
    from xmppsh.model import Element
    from xmppsh.outbox.journal import Journal, LeftBehind
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.protocol.sm import ResumableSession, Resumption, StreamManagement
    from xmppsh.session.ports import Interceptor
    from xmppsh.texts import Log
    from xmppsh.xmlio.build import Xml


class Streams:
    """The session as its connection sees it.

    options: whose session, which way to the server, how long for each step. log: hears a level (0 always, 1 with -v …)
    and a sentence. trace: gets the XML of both directions. journal: where messages are stored until their fate is
    known; None: in memory alone.

    interceptors: who sees every inbound stanza first, in order; plugged in before `open`. on_session: hears the full
    JID and the counters of each session and each resumption; the guard must know them. excuses: tell, beside the
    interceptors, that a stream ended because a helper of ours closed the session.
    """

    def __init__(
        self,
        options: SessionOptions,
        log: Log,
        trace: Trace | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.options, self.log = options, log
        self.jid: Jid = options.jid
        self.error: XmppshError | None = None
        self._left: LeftBehind | None = None  # by a dead process
        self.is_closed_at_server = True  # no session of ours stays there; False when it could not hear of the close
        self.interceptors: list[Interceptor] = []
        self.on_session: Callable[[Jid, StreamManagement | None], None] = lambda *_: None
        self.excuses: list[Callable[[XmppshError | None], bool]] = []
        self._phase = Phase.OFFLINE
        self._asks_again = False  # the stream in use ends, and its counters say nothing of what is in flight
        self.connection = Connection(self, options, log, trace)
        self.outbound = Outbound(self.connection, journal)
        self.requests = Requests(self, lambda: self.connection.last_error if self.is_cut else None)
        self.inbound = Inbound(self.connection, self.interceptors, self.requests, self._is_ack, self._answer)
        self._reconciler = Reconciler(self.outbound, self, self, log)
        self._availability = Availability(self.connection, self, self.inbound.responder, log)

    # ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def phase(self) -> Phase:
        """Where the session stands."""
        return self._phase

    def _turn(self, turn: Turn) -> None:
        """The one place that changes the phase."""
        self._phase = after(self._phase, turn)
        self.outbound.let_flow(self._phase is Phase.LIVE)

    def restore(self, left: LeftBehind) -> None:
        """Go on where a dead process stopped; before `open`."""
        self._left = left
        self.outbound.queue.restore(left.entries, left.recent)
        if left.session is not None:
            self.jid = Jid.parse(left.session.full_jid)
        sm = left.management()
        self.inbound.begin(0 if sm is None else sm.received)
        self.connection.restore(sm, left.newest, self.in_flight)

    async def open(self) -> None:
        """Connect, log in, bind; raises what made it impossible, within the connect timeout."""
        await self.connection.open()
        for one in self.interceptors:
            self.connection.spawn(one.run())

    @property
    def is_over(self) -> bool:
        """Has the session ended?"""
        return self._phase is Phase.OVER

    @property
    def is_cut(self) -> bool:
        """Is the link broken and being healed?"""
        return self._phase is Phase.LINGERING

    @property
    def can_write(self) -> bool:
        """May something be written on the stream at once?"""
        return self.connection.is_live and self._phase is not Phase.CLOSING and not self._asks_again

    @property
    def resumable(self) -> ResumableSession | None:
        """What it takes to resume the session; None when it cannot be, or nothing can be written on it at present."""
        sm = self.connection.sm
        return None if not self.can_write or sm is None else sm.resumable

    async def begin_anew(self, wait_s: float) -> None:
        """End the stream cleanly and heal: where the session is not resumable, on another one.

        wait_s: for the server's `</stream:stream>`.
        """
        if self.connection.is_up:
            self._turn(Turn.CUT)  # nothing is written on a stream that ends
            await self.connection.end_stream(wait_s)

    # ── Out (session/ports.py: Sender) ──────────────────────────────────────────────────────────────────────────

    def send(
        self, stanza: Xml, *, kind: str = "", stanza_id: str = "", to: str = "", position: int | None = None
    ) -> int:
        """Hand one stanza in; returns its number. Raises when the session is over or the stanza too big.

        kind: the user's `message`, `iq` or `presence`, empty for what serves a command; a message outlives this process
        until its fate is known, by its `stanza_id` (its origin-id).
        """
        self._check(len(stanza.encode()))
        return self.outbound.add(stanza, kind, stanza_id, to, position)

    def _check(self, size_bytes: int) -> None:
        if self._phase not in CAN_SEND:
            raise self.error or ConnectionLost("the session is over")
        refuse_too_big(size_bytes, self.connection.max_stanza_bytes)

    def broadcast_presence(self, availability: Xml) -> int:
        """Tell our presence to all who may see it; a new session after a lost one does it again."""
        return self.send(self._availability.announce(availability))

    @property
    def timeout_s(self) -> float:
        """How long an answer is waited for, in seconds."""
        return self.options.timeout_s

    def send_iq(self, stanza: Xml) -> None:
        """Send an IQ after everything that was handed in before."""
        self.send(stanza)

    def send_ahead(self, stanza: Xml) -> None:
        """Send a stanza of the session's own before everything queued; raises ConnectionLost when the link is cut."""
        if self._asks_again:
            raise ConnectionLost("the session is closed and asked for again")
        self.outbound.send_ahead(stanza)

    def collecting(self, query_id: str) -> AbstractContextManager[list[Element]]:
        """The archive's results for an open query; they reach nobody else (XEP-0313 §4.2)."""
        return self.inbound.collecting(query_id)

    async def ask_own(self, iq_type: str, payload: Xml) -> Element:
        """Ask our own account before everything queued; the answer, a result or an error."""
        return await self.requests.ask_own(iq_type, payload)

    def _is_ack(self, stanza_id: str) -> bool:
        if not self.outbound.on_ping_answered(stanza_id):
            return False
        self.connection.on_ack()
        return True

    def _answer(self, answer: Xml) -> None:
        if self._phase in CAN_ANSWER:
            self.send_ahead(answer)

    # ── What the connection tells (connection/ports.py: StreamOwner) ────────────────────────────────────────────

    @property
    def in_flight(self) -> int:
        """How many stanzas are written and not acknowledged."""
        return self.outbound.queue.in_flight

    @property
    def is_reading(self) -> bool:
        """Is the link read?"""
        return not self.inbound.readers_lag

    def backlog_s(self) -> float:
        """How long the server needs for what is in flight, in seconds."""
        return self.outbound.pace.backlog_s(self.in_flight)

    def may_heal(self, error: XmppshError | None, *, resumed: bool) -> bool:
        """May another stream follow the one that ended with this error?"""
        return self._phase in CAN_HEAL and (may_reconnect(error, resumed=resumed) or self.is_expected_end(error))

    def may_bind_anew(self, sm_id: str) -> bool:
        """May a silent session be given up for a new one? Not where only its end can prove what it has handled."""
        return server_of(sm_id) is Server.EXACT

    def is_expected_end(self, error: XmppshError | None) -> bool:
        """Was the session closed by a helper of ours, so that another one may begin?"""
        helpers = (one.is_expected_end for one in self.interceptors)
        return any(is_expected(error) for is_expected in (*helpers, *self.excuses))

    async def before_connecting(self) -> None:
        """Another try is about to be made."""
        for one in self.interceptors:
            await one.before_connecting()

    async def final_count(self, sm_id: str) -> int | None:
        """The server's final count of what a lost session had sent, where a helper of ours knows it."""
        for one in self.interceptors:
            if (h := await one.final_count(sm_id)) is not None:
                return h
        return None

    def on_bound(self, jid: Jid) -> None:
        """A session that may outlive its socket is about to begin."""
        self.outbound.bound(jid)

    def on_ack_due(self, h: int) -> None:
        """A `<resume h>` is written next; raises IoError, which the opening fails with."""
        self.outbound.note_handled(h)

    def on_resumed(self, acked: int, sm_id: str) -> bool:
        """The server has handled `acked` more stanzas; may the session go on? Else it is closed and asked for again."""
        self.outbound.release(acked)
        if self.outbound.queue.in_flight and PROVES[Answer.RESUMED, server_of(sm_id)] is Step.ASK_AGAIN:
            self._turn(Turn.CUT)
            self._asks_again = True
            return False
        self.outbound.repeat()
        return True

    def on_new_session(
        self,
        event: ev.SessionEstablished,
        failed: ev.ResumeFailed | None,
        former: StreamManagement | None,
        *,
        in_time: bool,
        alone: bool,
    ) -> None:
        """Another session began; what the one before had in flight is uncertain, unless the server counted it."""
        self.inbound.begin()
        older = self.outbound.queue.uncertain_count  # of a session before that, whose archive was not asked yet
        uncertain = self.outbound.doubt()
        self.jid = event.jid
        self.outbound.opened(event.resumption)
        self._tell_kept(event.resumption)
        if self._phase is not Phase.OFFLINE:
            self.requests.fail(ConnectionLost("the session was lost before the answer came"))
        if not any(one.comes_before_presence for one in self.interceptors):
            self._availability.again()
        if failed is not None and failed.h is not None and former is not None:
            released = (failed.h - former.acked) % MODULUS
            if released <= former.unacked:  # else it is no count of ours, and proves nothing
                self.outbound.settle([*[None] * older, *by_handled(uncertain[older:], released)])
                return
        self._reconciler.step = _how_to_ask(failed, former, in_time=in_time, alone=alone)
        self._reconciler.lost.add(None if failed is None else former, older, len(uncertain) - older)

    def _tell_kept(self, resumption: Resumption | None) -> None:
        asked_s = self.options.resumable_s
        if resumption is not None and resumption.max_s != asked_s:
            kept = "for a time it does not state" if resumption.max_s is None else f"{resumption.max_s} s"
            self.log(1, f"the server keeps a lost session {kept}, not {asked_s} s as asked")

    def on_live(self) -> None:
        """Stanzas may flow on the new stream."""
        self.outbound.came_to_life()
        self.on_session(self.jid, self.connection.sm)
        for one in self.interceptors:
            one.on_live()
        if self.outbound.queue.in_doubt:
            self._turn(Turn.IN_DOUBT)
            self.connection.spawn(self._reconcile(self.connection.driver))  # it may be over before that begins
        else:
            self._turn(Turn.STREAM_LIVE)
        self.connection.note_activity()

    async def _reconcile(self, driver: Driver | None) -> None:
        with self.outbound.ending_if_full():
            if await self._reconciler.run(lambda: self.connection.driver is driver):
                self._turn(Turn.SETTLED)
                self.connection.note_activity()

    def on_event(self, event: SessionEvent) -> None:
        """What the stream in use tells."""
        match event:
            case ev.StanzaArrived() | ev.RunArrived():
                self.connection.note_activity()
                self.inbound.on_arrival(event)
            case ev.StanzasAcked(count):
                self.connection.on_ack()
                if not self._asks_again:
                    self.outbound.on_acked(count)
            case ev.HandledNoted(h):
                with self.outbound.ending_if_full():
                    self.outbound.note_handled(h)
                for one in self.interceptors:
                    one.before_ack(h)
            case ev.StreamEnded(error):
                self.connection.on_ended(error)
            case _:
                raise AssertionError(f"{event} in mid-session")

    def on_idle(self) -> None:
        """Nothing was heard for a while: ask the server whether it is there."""
        self.outbound.ask_for_ack(idle=True)

    def on_cut(self) -> None:
        """The stream ended, and another one is tried for."""
        self._asks_again = False
        self._turn(Turn.CUT)
        self.outbound.pace.on_pause(asyncio.get_running_loop().time())

    def on_over(self, error: XmppshError | None) -> None:
        """The session is over: tell everybody who waits."""
        if self.is_over:
            return
        self.error = None if self._phase is Phase.CLOSING else error
        self._turn(Turn.END)
        self.inbound.end()
        self.inbound.bus.end(self.error)
        self.requests.fail(error or ConnectionLost("the session was closed"))
        self.outbound.stop()


def _how_to_ask(failed: ev.ResumeFailed | None, former: StreamManagement | None, *, in_time: bool, alone: bool) -> Step:
    """How the archive has to be asked after a session that was lost in this way."""
    if former is None or former.resumption is None:
        return Step.SEVERAL_LOOKS
    answer = Answer.LATE if not in_time else Answer.FAILED if alone else Answer.RIVAL
    return PROVES[Answer.NOT_ASKED if failed is None else answer, server_of(former.resumption.sm_id)]
