"""One stanza, one fate: a stream and the outbox against a server that loses its link between any two bytes.

The client's side is the real `Stream`, `Outbound` with its queue, by the stanza and by the batch, `Inbound` and the
proofs of `settle.py`, put together as the session does it. The server is plain Python: it keeps what it read, its
count, an archive of everything it ever read, and sends stanzas of its own, which it repeats until they are
acknowledged. Counters start near their end.
"""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from protocol.far_end import MODULUS, Reader, Server
from protocol.playbook import BIND_RESULT, HEADER, NS, GoodServer, bound_features, new_stream, step, written

from xmppsh.outbox.queue import Fate, opened
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Output, Write
from xmppsh.protocol.sm import StreamManagement
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State
from xmppsh.session.outbound import Outbound
from xmppsh.session.settle import Name, by_final_count, by_findings, name_of, without_archive
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.stanzas import origin_id

STARTS = [0, 1, 2**31 - 2, 2**31 - 1, MODULUS - 3, MODULUS - 1]
GRANTED = f"<enabled xmlns='{NS['sm']}' resume='true' id='sm1'/>"


class PaperWire:
    """The stream in use, as a connection gives it to the session (session/ports.py: Wire)."""

    has_acks, sm = True, None

    def __init__(self, machine: "OneFate") -> None:
        self._machine = machine
        self.asks = True

    @property
    def is_up(self) -> bool:
        return self._machine.is_live

    @property
    def next_number(self) -> int:
        return self._sm.sent + 1

    @property
    def acked(self) -> int:
        return self._sm.acked

    @property
    def _sm(self) -> StreamManagement:
        assert self._machine.sm is not None
        return self._machine.sm

    def write(self, stanza: Xml) -> None:
        self._machine.carry_out(self._machine.stream.send(stanza))

    def write_batch(self, messages: list[bytes]) -> None:
        self._machine.carry_out(self._machine.stream.send_batch(messages))

    def request_ack(self) -> None:
        if self.asks:
            self._machine.carry_out(self._machine.stream.request_ack())

    def note_activity(self) -> None:
        """Nobody waits."""


class OneFate(RuleBasedStateMachine):
    """up, down: bytes on their way; held: inbound stanzas that a reader has."""

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: int) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio._set_running_loop(self.loop)  # for the whole run: the rules are no coroutines
        self.wire = PaperWire(self)
        self.server, self.outbound = Server(start), Outbound(self.wire, None)  # type: ignore[arg-type]
        self.queue = self.outbound.queue
        self.sm: StreamManagement | None = None
        self.reader = Reader(start)
        self.new_session()
        self.bound(written_before=[])

    # ── The client, as the session drives it ────────────────────────────────────────────────────────────────────

    def new_session(self) -> None:
        self.held: list[int] = []
        self.taken = self.delivered = self.arrived = 0  # arrived: as far as this stream has come
        self.server.begin()

    def connect(self, resume: StreamManagement | None) -> list[Output]:
        """Up to the answer to the features of an authenticated stream."""
        self.stream: Stream = new_stream("direct", resumable_s=120, resume=resume)
        server = GoodServer("PLAIN")
        self.stream.open()
        while self.stream.state is not State.AUTHENTICATED:
            server.hear(step(self.stream, server))
        self.up = self.down = b""
        self.server.buffer = b""
        return list(self.stream.receive((HEADER + bound_features()).encode()))

    def bound(self, written_before: list[Output]) -> None:
        """A new session, on a new stream or behind <failed/>."""
        if not written_before:
            self.connect(None)
        list(self.stream.receive(BIND_RESULT.encode()))
        (told,) = self.stream.receive(GRANTED.encode())
        assert isinstance(told, ev.SessionEstablished)
        assert self.stream.sm is not None
        resumption, start = self.stream.sm.resumption, self.server.start
        self.stream.sm = StreamManagement(start)  # a session that has been long on its way
        self.stream.sm.resumption = resumption
        self.sm = self.stream.sm
        self.reader = Reader(start)
        self.up = b""

    def carry_out(self, outputs: Any) -> None:
        noted: int | None = None
        for output in outputs:
            match output:
                case Write(data):
                    assert b"<a " not in data or f'h="{noted}"'.encode() in data, "an h that was not written down"
                    self.up += data
                case ev.HandledNoted(h):
                    noted = h
                    assert h == self.server.wire(self.handled)
                case ev.StanzasAcked(count):
                    self.outbound.on_acked(count)
                case ev.StanzaArrived(element, number):
                    self.arrived += 1
                    assert number == self.server.wire(self.arrived)
                    self.reader.inbound.on_stanza(element, number)
                    if self.reader.new:
                        self.delivered += 1
                        assert self.reader.new.pop().id == f"in{self.delivered}", "lost, doubled or out of order"
                        self.held.append(number)
                case _:
                    raise AssertionError(output)

    def turn(self) -> None:
        """A turn of the loop, at whose end the session writes what may be written."""
        asyncio._set_running_loop(None)
        self.loop.run_until_complete(asyncio.sleep(0))
        asyncio._set_running_loop(self.loop)

    def leave(self, *, ask: bool) -> None:
        self.wire.asks = ask
        self.outbound.let_flow(True)
        self.turn()
        self.outbound.let_flow(False)

    @property
    def handled(self) -> int:
        """What we may acknowledge: it is taken, and this stream has carried it."""
        return min(self.taken, self.arrived)

    @property
    def is_live(self) -> bool:
        return self.stream.state is State.LIVE

    # ── What happens ────────────────────────────────────────────────────────────────────────────────────────────

    @rule(count=st.integers(1, 4), size=st.integers(0, 3), together=st.booleans())
    def a_command_hands_stanzas_in(self, count: int, size: int, together: bool) -> None:
        first = self.queue.last_number + 1
        messages = [
            f"<message id='{number}'>{'x' * size}{origin_id(str(number))}</message>"
            for number in range(first, first + count)
        ]
        if together:
            self.outbound.add_batch([message.encode() for message in messages], None)
            return
        for number, message in enumerate(messages, first):
            assert self.outbound.add(Xml(message), "message", str(number), "", None) == number

    @precondition(lambda self: self.is_live)
    @rule(ask=st.booleans())
    def the_next_ones_leave(self, ask: bool) -> None:
        self.leave(ask=ask)

    @precondition(lambda self: self.is_live)
    @rule(data=st.data())
    def bytes_reach_the_server(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(0, len(self.up)))
        self.down += self.server.hear(self.up[:size])
        self.up = self.up[size:]

    @precondition(lambda self: self.is_live)
    @rule(data=st.data())
    def bytes_reach_us(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(0, len(self.down)))
        arrived, self.down = self.down[:size], self.down[size:]
        self.carry_out(self.stream.receive(arrived))

    @precondition(lambda self: self.is_live)
    @rule(count=st.integers(1, 3), ask=st.booleans())
    def the_server_sends(self, count: int, ask: bool) -> None:
        for _ in range(count):
            self.server.told += 1
            self.down += self.server.stanza(self.server.told)
        if ask:
            self.down += f"<r xmlns='{NS['sm']}'/>".encode()

    @precondition(lambda self: self.is_live)
    @rule(data=st.data())
    def the_server_acks_unasked(self, data: st.DataObject) -> None:
        self.down += self.server.ack(data.draw(st.integers(self.server.answered, self.server.read)))

    @precondition(lambda self: self.is_live and self.held)
    @rule()
    def a_reader_is_done_with_the_oldest(self) -> None:
        self.taken += 1
        self.carry_out(self.stream.taken(self.held.pop(0)))

    @precondition(lambda self: self.stream.is_closed and self.held)
    @rule()
    def a_reader_is_done_while_the_link_is_cut(self) -> None:
        assert self.sm is not None
        self.taken += 1
        self.sm.on_taken(self.held.pop(0))

    # ── The link ────────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.is_live)
    @rule(data=st.data())
    def the_link_is_cut(self, data: st.DataObject) -> None:
        self.bytes_reach_the_server(data)
        self.bytes_reach_us(data)
        outputs = self.stream.handle(ev.LinkLost("reset"))
        assert isinstance(outputs[-1], ev.StreamEnded)

    @precondition(lambda self: self.stream.is_closed)
    @rule()
    def the_session_is_resumed(self) -> None:
        assert self.sm is not None
        noted, request = self.connect(self.sm)
        self.server.hear(written([request]))
        h = self.server.resumes.pop()
        assert noted == ev.HandledNoted(h), "an h that was not written down"
        assert h == self.server.wire(self.handled)
        self.arrived = self.handled
        self.server.release(h)
        again = range(self.server.released + 1, self.server.told + 1)
        resumed = f"<resumed xmlns='{NS['sm']}' previd='sm1' h='{self.server.wire(self.server.read)}'/>".encode()
        self.server.answered = self.server.read
        first, *others = self.stream.receive(resumed)
        assert isinstance(first, ev.SessionResumed)
        assert not others
        self.outbound.release(first.acked)
        unacked = [entry.number for entry in opened(self.queue) if entry.fate is Fate.SENT]
        self.outbound.repeat()
        assert [entry.number for entry in opened(self.queue) if entry.fate is Fate.SENT] == unacked
        self.down = b"".join(self.server.stanza(number) for number in again)

    @precondition(lambda self: self.stream.is_closed)
    @rule(with_h=st.booleans(), archive=st.booleans())
    def the_session_is_gone(self, with_h: bool, archive: bool) -> None:
        assert self.sm is not None
        self.connect(self.sm)
        h = f" h='{self.server.wire(self.server.read)}'" if with_h else ""
        gone = f"<failed xmlns='{NS['sm']}'{h}><item-not-found xmlns='{NS['stanzas']}'/></failed>"
        failed, *request = self.stream.receive(gone.encode())
        while not isinstance(failed, ev.ResumeFailed):  # it is asked for once for each stream that may still be alive
            assert isinstance(failed, ev.HandledNoted)
            failed, *request = self.stream.receive(gone.encode())
        lost = self.outbound.doubt()
        if failed.h is not None:
            self.outbound.settle(by_final_count(lost, self.sm, failed.h))
        elif archive:
            found = {Name(str(number), True) for number in self.server.archive}
            self.outbound.settle([by_findings(entry, name_of(entry), found, complete=True) for entry in lost])
        else:
            self.outbound.settle([without_archive(entry) for entry in lost])
        self.new_session()
        self.bound(request)

    # ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def each_stanza_has_one_fate(self) -> None:
        if not hasattr(self, "reader"):
            return
        open_ones = opened(self.queue)
        assert self.queue.in_flight == sum(entry.fate is Fate.SENT for entry in open_ones)
        assert self.queue.waiting_count == sum(entry.fate is Fate.QUEUED for entry in open_ones)
        counted = [entry.number for entry in (*open_ones, *self.queue.lost)]
        assert sorted([*counted, *self.acked()]) == list(range(1, self.queue.last_number + 1))
        assert self.queue.acked_count == len(self.acked())
        assert self.queue.open_count == len(open_ones)
        assert not self.queue.failed_count
        numbers = [entry.number for entry in open_ones]
        assert numbers == sorted(numbers), "the log is out of order"
        assert self.is_live <= all(entry.fate is not Fate.UNCERTAIN for entry in open_ones)
        if self.is_live and self.sm is not None:
            assert self.sm.unacked == self.queue.in_flight, "an ack of what was not sent would be believed"

    def acked(self) -> set[int]:
        """What has left the queue."""
        open_ones = {entry.number for entry in (*opened(self.queue), *self.queue.lost)}
        return set(range(1, self.queue.last_number + 1)) - open_ones

    @invariant()
    def nothing_is_acked_that_the_server_did_not_read_and_nothing_is_read_twice_or_out_of_order(self) -> None:
        if not hasattr(self, "reader"):
            return
        archive = self.server.archive
        assert archive == sorted(set(archive))
        assert self.acked() <= set(archive)

    def teardown(self) -> None:
        """In quiet, everything arrives, is acknowledged both ways, and nothing stays open."""
        if hasattr(self, "reader"):
            try:
                self._come_to_rest()
            finally:
                asyncio._set_running_loop(None)
                self.loop.close()

    def _come_to_rest(self) -> None:
        if not self.is_live:
            self.the_session_is_resumed()
        for _ in range(3):
            self.leave(ask=True)
            self.carry_out(self.stream.request_ack())
            self.down += self.server.hear(self.up)
            self.up = b""
            self.carry_out(self.stream.receive(self.down + f"<r xmlns='{NS['sm']}'/>".encode()))
            self.down = b""
            while self.held:
                self.a_reader_is_done_with_the_oldest()
        assert self.queue.open_count == 0
        lost = {entry.number for entry in self.queue.lost}
        assert set(self.server.archive) | lost == set(range(1, self.queue.last_number + 1))
        self.server.hear(self.up)
        assert self.server.released == self.server.told == self.delivered


OneFate.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOneFate = OneFate.TestCase
