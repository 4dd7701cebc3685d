"""Stream management against a model that counts with plain integers; the counters start near their end."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from xmppsh.protocol.sm import HandledCountTooHigh, Resumption, StreamManagement

MODULUS = 2**32
STARTS = st.sampled_from([0, 1, 2**31 - 1, 2**31, MODULUS - 3, MODULUS - 2, MODULUS - 1])


class Counters(RuleBasedStateMachine):
    """The model: how many stanzas were sent and acked, and which of those received were taken, from zero up."""

    @initialize(start=STARTS)
    def begin(self, start: int) -> None:
        self.start, self.sm = start, StreamManagement(start)
        self.sent = self.acked = self.received = 0
        self.taken: set[int] = set()
        self.answered = 0

    def wire(self, count: int) -> int:
        return (self.start + count) % MODULUS

    @property
    def handled(self) -> int:
        return next(count for count in range(self.received + 1) if count + 1 not in self.taken)

    @rule(count=st.integers(1, 4))
    def send(self, count: int) -> None:
        for _ in range(count):
            self.sm.on_sent()
        self.sent += count

    @rule(data=st.data())
    def the_server_acks(self, data: st.DataObject) -> None:
        h = data.draw(st.integers(self.acked, self.sent))
        assert self.sm.on_ack(self.wire(h)) == h - self.acked
        self.acked = h

    @rule(beyond=st.sampled_from([1, 2, 1000, 2**31]))
    def the_server_acks_what_was_never_sent(self, beyond: int) -> None:
        with pytest.raises(HandledCountTooHigh):
            self.sm.on_ack(self.wire(self.sent + beyond))

    @precondition(lambda self: self.acked > 0)
    @rule()
    def the_server_takes_an_ack_back(self) -> None:
        with pytest.raises(HandledCountTooHigh):
            self.sm.on_ack(self.wire(self.acked - 1))

    @rule(count=st.integers(1, 4))
    def receive(self, count: int) -> None:
        assert self.sm.on_received(count) == self.wire(self.received + 1)
        self.received += count

    @rule(data=st.data())
    def take_any(self, data: st.DataObject) -> None:
        waiting = sorted(set(range(1, self.received + 1)) - self.taken)
        if waiting:
            number = data.draw(st.sampled_from(waiting))
            self.taken.add(number)
            self.sm.on_taken(self.wire(number))

    @rule(data=st.data())
    def take_together(self, data: st.DataObject) -> None:
        waiting = set(range(1, self.received + 1)) - self.taken
        if waiting:
            number = data.draw(st.sampled_from(sorted(waiting)))
            most = next(at for at in range(1, 1 + len(waiting)) if number + at not in waiting)
            count = data.draw(st.integers(1, most))
            self.taken.update(range(number, number + count))
            self.sm.on_taken(self.wire(number), count)

    @rule()
    def the_server_asks(self) -> None:
        assert self.sm.answer() == self.wire(self.handled)
        self.answered = self.handled

    @invariant()
    def the_counters_agree(self) -> None:
        if hasattr(self, "sm"):
            assert (self.sm.sent, self.sm.acked) == (self.wire(self.sent), self.wire(self.acked))
            assert self.sm.unacked == self.sent - self.acked
            assert self.sm.handled == self.wire(self.handled)
            assert self.sm.owes_ack == (self.handled != self.answered)


Counters.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCounters = Counters.TestCase


@pytest.mark.parametrize("start", [0, MODULUS - 1])
def test_an_ack_beyond_what_was_sent_says_both_numbers(start: int) -> None:
    sm = StreamManagement(start)
    sm.on_sent()
    with pytest.raises(HandledCountTooHigh) as caught:
        sm.on_ack((start + 2) % MODULUS)
    assert str(caught.value) == f"the server acknowledges {(start + 2) % MODULUS} stanzas where {sm.sent} were sent"
    assert (caught.value.exit_code, caught.value.condition) == (76, "undefined-condition")
    assert sm.unacked == 1


@pytest.mark.parametrize("start", [0, MODULUS - 2])
def test_stanzas_taken_out_of_order_are_acked_only_up_to_the_first_gap(start: int) -> None:
    sm = StreamManagement(start)
    numbers = [sm.on_received() for _ in range(4)]
    for number in (numbers[2], numbers[1], numbers[3]):
        sm.on_taken(number)
        assert sm.answer() == start
    sm.on_taken(numbers[0])
    assert sm.answer() == numbers[3]


@pytest.mark.parametrize("start", [0, MODULUS - 2])
def test_an_ack_is_owed_at_once_when_the_server_asked_too_early(start: int) -> None:
    sm = StreamManagement(start)
    first, second = sm.on_received(), sm.on_received()
    assert not sm.on_taken(first)
    sm.answer()  # the server asked while the second was not taken
    assert sm.on_taken(second)
    sm.answer()
    assert not sm.on_taken(sm.on_received())


def test_a_stanza_taken_twice_counts_once() -> None:
    sm = StreamManagement()
    number = sm.on_received()
    sm.on_taken(number)
    sm.on_taken(number)
    sm.on_received()
    assert sm.handled == 1


@pytest.mark.parametrize("start", [0, MODULUS - 2])
def test_a_resumed_session_sends_the_rest_again_and_counts_it_again(start: int) -> None:
    sm = StreamManagement(start)
    for _ in range(5):
        sm.on_sent()
    sm.on_ack((start + 1) % MODULUS)
    assert sm.on_resumed((start + 3) % MODULUS) == 2
    assert sm.unacked == 0
    sm.on_sent()
    sm.on_sent()
    assert sm.on_ack((start + 5) % MODULUS) == 2


def test_a_resumed_session_receives_again_what_was_not_taken() -> None:
    sm = StreamManagement(MODULUS - 1)
    sm.on_taken(sm.on_received())
    again = sm.on_received()
    sm.on_resumed(MODULUS - 1)
    assert sm.handled == 0
    assert sm.on_received() == again


def test_a_resumed_session_never_acks_what_has_not_come_again() -> None:
    sm = StreamManagement()
    sm.on_received()
    sm.on_taken(sm.on_received())  # the second, not the first
    sm.on_resumed(0)
    sm.on_taken(sm.on_received())
    assert sm.answer() == 1 == sm.received


def test_a_restored_session_has_the_counters_it_left() -> None:
    sm = StreamManagement.restored(Resumption("sm1"), acked=MODULUS - 1, sent=1, handled=7)
    assert (sm.unacked, sm.handled, sm.received, sm.owes_ack) == (2, 7, 7, False)
    assert sm.on_ack(0) == 1
