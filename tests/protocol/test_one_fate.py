"""One stanza, one fate: a stream and the outbox against a server that loses its link between any two bytes.

The client's side is the real `Stream`, `Queue`, `Inbound` and the proofs of `settle.py`, put together as the session
does it. The server is plain Python: it keeps what it read, its count, an archive of everything it ever read, and sends
stanzas of its own, which it repeats until they are acknowledged. Counters start near their end.
"""

import re
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from protocol.playbook import BIND_RESULT, HEADER, NS, GoodServer, bound_features, new_stream, step, written

from xmppsh.model import Element
from xmppsh.outbox.queue import Entry, Fate, Queue
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Output, Write
from xmppsh.protocol.sm import StreamManagement
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State
from xmppsh.session.inbound import Inbound
from xmppsh.session.ports import Interceptor
from xmppsh.session.settle import Name, by_final_count, by_findings, name_of, without_archive
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.stanzas import origin_id

MODULUS = 2**32
STARTS = [0, 1, 2**31 - 2, 2**31 - 1, MODULUS - 3, MODULUS - 1]
ELEMENT = re.compile(
    rb"<(message) id='(\d+)'>x*(?:<origin-id [^>]*/>)</message>|<(r|a|enable|resume)( [^>]*)/>|<(iq) .*?</iq>"
)
GRANTED = f"<enabled xmlns='{NS['sm']}' resume='true' id='sm1'/>"


class Server:
    """What a server knows. `told`: the numbers of its own stanzas; the count of those acknowledged is `released`."""

    def __init__(self, start: int) -> None:
        self.start, self.buffer = start, b""
        self.archive: list[int] = []  # everything it ever read, in order
        self.begin()

    def begin(self) -> None:
        """A new session."""
        self.read, self.answered = 0, 0
        self.told, self.released = 0, 0
        self.resumes: list[int] = []

    def wire(self, count: int) -> int:
        return (self.start + count) % MODULUS

    def hear(self, data: bytes) -> bytes:
        """Read bytes; the answer to what asks for one."""
        self.buffer += data
        answer = b""
        while found := ELEMENT.match(self.buffer):
            self.buffer = self.buffer[found.end() :]
            if found[1]:
                self.archive.append(int(found[2]))
                self.read += 1
            elif found[3] == b"r":
                answer += self.ack(self.read)
            elif found[3] == b"a":
                self.release(int(re.search(rb'h="(\d+)"', found[4])[1]))  # type: ignore[index]
            elif found[3] == b"resume":
                self.resumes.append(int(re.search(rb' h="(\d+)"', found[4])[1]))  # type: ignore[index]
        return answer

    def ack(self, count: int) -> bytes:
        self.answered = count
        return f"<a xmlns='{NS['sm']}' h='{self.wire(count)}'/>".encode()

    def release(self, h: int) -> None:
        count = (h - self.wire(self.released)) % MODULUS
        assert count <= self.told - self.released, "the client acknowledges what it was never sent, or takes back"
        self.released += count

    def stanza(self, number: int) -> bytes:
        return f"<message id='in{number}'/>".encode()


class Reader(Interceptor):
    """Gets what the session takes for new."""

    has_acks = True  # of the wire

    def __init__(self, start: int) -> None:
        self.new: list[Element] = []
        self.inbound = Inbound(self, [self], None, lambda _: False, lambda _: None)  # type: ignore[arg-type]
        self.inbound.begin(start)

    def intercept(self, stanza: Element, handled: object) -> bool:
        self.new.append(stanza)
        return True


class OneFate(RuleBasedStateMachine):
    """up, down: bytes on their way; entries: everything ever handed in; held: inbound stanzas that a reader has."""

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: int) -> None:
        self.server, self.queue = Server(start), Queue()
        self.entries: list[Entry] = []
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
                    self.queue.acked(count)
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

    def write(self, batch: list[Entry]) -> None:
        for entry in batch:
            self.carry_out(self.stream.send(entry.xml))

    @property
    def handled(self) -> int:
        """What we may acknowledge: it is taken, and this stream has carried it."""
        return min(self.taken, self.arrived)

    @property
    def is_live(self) -> bool:
        return self.stream.state is State.LIVE

    # ── What happens ────────────────────────────────────────────────────────────────────────────────────────────

    @rule(count=st.integers(1, 4), size=st.integers(0, 3))
    def a_command_hands_stanzas_in(self, count: int, size: int) -> None:
        for _ in range(count):
            number = len(self.entries) + 1
            xml = Xml(f"<message id='{number}'>{'x' * size}{origin_id(str(number))}</message>")
            self.entries.append(self.queue.add(xml, "message", str(number), ""))

    @precondition(lambda self: self.is_live)
    @rule(room=st.integers(1, 5), ask=st.booleans())
    def the_next_ones_leave(self, room: int, ask: bool) -> None:
        self.write(self.queue.take(room))
        if ask:
            self.carry_out(self.stream.request_ack())

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
        self.queue.acked(first.acked)
        unacked = [entry for entry in self.queue if entry.fate is Fate.SENT]
        repeated = self.queue.repeat()
        assert repeated == unacked
        self.write(repeated)
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
        lost = self.queue.doubt()
        if failed.h is not None:
            self.queue.settle(by_final_count(lost, self.sm, failed.h))
        elif archive:
            found = {Name(str(number), True) for number in self.server.archive}
            self.queue.settle([by_findings(entry, name_of(entry), found, complete=True) for entry in lost])
        else:
            self.queue.settle([without_archive(entry) for entry in lost])
        self.new_session()
        self.bound(request)

    # ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def each_stanza_has_one_fate(self) -> None:
        if not hasattr(self, "entries"):
            return
        places = {Fate.QUEUED: [], Fate.SENT: [], Fate.UNCERTAIN: []}  # type: dict[Fate, list[Entry]]
        for entry in self.queue:
            places[entry.fate].append(entry)
        lost = self.queue.lost
        acked = [entry for entry in self.entries if entry.fate is Fate.ACKED]
        counted = [*places[Fate.QUEUED], *places[Fate.SENT], *places[Fate.UNCERTAIN], *lost, *acked]
        assert sorted(entry.number for entry in counted) == list(range(1, len(self.entries) + 1))
        assert self.queue.in_flight == len(places[Fate.SENT])
        assert self.queue.acked_count == len(acked)
        assert self.queue.open_count == len(self.entries) - len(acked) - len(lost)
        assert not self.queue.failed_count
        if self.is_live and self.sm is not None:
            assert self.sm.unacked == self.queue.in_flight, "an ack of what was not sent would be believed"
        assert self.is_live <= (not places[Fate.UNCERTAIN])
        open_ones = [entry.number for entry in self.queue]
        assert open_ones == sorted(open_ones), "the log is out of order"

    @invariant()
    def nothing_is_acked_that_the_server_did_not_read_and_nothing_is_read_twice_or_out_of_order(self) -> None:
        if not hasattr(self, "entries"):
            return
        archive = self.server.archive
        assert archive == sorted(set(archive))
        assert {entry.number for entry in self.entries if entry.fate is Fate.ACKED} <= set(archive)

    def teardown(self) -> None:
        """In quiet, everything arrives, is acknowledged both ways, and nothing stays open."""
        if not hasattr(self, "entries"):
            return
        if not self.is_live:
            self.the_session_is_resumed()
        for _ in range(2):
            self.write(self.queue.take(len(self.entries)))
            self.carry_out(self.stream.request_ack())
            self.down += self.server.hear(self.up)
            self.up = b""
            self.carry_out(self.stream.receive(self.down + f"<r xmlns='{NS['sm']}'/>".encode()))
            self.down = b""
            while self.held:
                self.a_reader_is_done_with_the_oldest()
        assert self.queue.open_count == 0
        lost = {entry.number for entry in self.queue.lost}
        assert set(self.server.archive) | lost == set(range(1, len(self.entries) + 1))
        self.server.hear(self.up)
        assert self.server.released == self.server.told == self.delivered


OneFate.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOneFate = OneFate.TestCase
