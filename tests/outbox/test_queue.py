"""One ordered log, one fate each: what may follow what, and what every count says."""

from collections.abc import Sequence
from itertools import product

import pytest

from xmppsh.outbox.queue import ALLOWED, MAX_RECENT, Entry, Fate, Queue
from xmppsh.xmlio.build import Xml

PATHS = {
    "queued": {"sent"},
    "sent": {"sent", "acked", "uncertain"},
    "uncertain": {"acked", "queued", "failed"},
    "acked": set(),
    "failed": set(),
}

OUTCOMES = [Fate.ACKED, Fate.QUEUED, Fate.FAILED, Fate.UNCERTAIN]


def filled(count: int, kind: str = "message") -> Queue:
    queue = Queue()
    for number in range(1, count + 1):
        queue.add(Xml(f"<{kind}/>"), kind, f"m{number}", "romeo@example.net", number)
    return queue


def numbers(entries: Sequence[Entry] | Queue) -> list[int]:
    return [entry.number for entry in entries]


@pytest.mark.parametrize(("before", "after"), list(product(Fate, Fate)))
def test_a_fate_changes_only_as_the_design_draws_it(before: Fate, after: Fate) -> None:
    entry = Entry(1, Xml("<message/>"), "message", "m1", "", before)
    assert ((before, after) in ALLOWED) == (str(after) in PATHS[str(before)])
    if after in PATHS[before]:
        entry.become(after)
        assert entry.fate is after
    else:
        with pytest.raises(AssertionError):
            entry.become(after)


@pytest.mark.parametrize("room", [0, 1, 3, 5, 9])
def test_what_is_taken_is_the_oldest_and_no_more_than_there_is_room(room: int) -> None:
    queue = filled(5)
    assert numbers(queue.take(room)) == list(range(1, min(room, 5) + 1))
    assert (queue.in_flight, queue.open_count) == (min(room, 5), 5)
    assert numbers(queue) == [1, 2, 3, 4, 5]


def test_an_ack_releases_the_oldest_and_counts_them() -> None:
    queue = filled(4)
    queue.take(3)
    assert numbers(queue.acked(2)) == [1, 2]
    assert (queue.acked_count, queue.in_flight, queue.open_count, queue.settled_up_to) == (2, 1, 2, 2)
    assert list(queue.recent) == ["m1", "m2"]


def test_only_messages_are_remembered_as_recent_and_not_more_than_a_bound() -> None:
    queue = filled(MAX_RECENT + 5)
    queue.add(Xml("<iq/>"), "iq", "q1", "")
    queue.acked(len(queue.take(1000)))
    assert (len(queue.recent), queue.recent[-1]) == (MAX_RECENT, f"m{MAX_RECENT + 5}")


def test_the_sessions_own_stanzas_go_first_are_acked_in_order_and_never_counted() -> None:
    queue = filled(2)
    queue.take(1)
    own = queue.add_own(Xml("<presence/>"))
    assert (queue.in_flight, queue.open_count, queue.last_number, queue.unproven_count) == (2, 2, 2, 1)
    assert queue.acked(2)[1] is own
    assert (queue.acked_count, queue.settled_up_to) == (1, 1)


def test_a_resumed_stream_repeats_what_is_in_flight_in_order_before_anything_new() -> None:
    queue = filled(5)
    queue.take(3)
    queue.acked(1)
    assert numbers(queue.repeat()) == [2, 3]
    assert numbers(queue.take(9)) == [4, 5]
    assert numbers(queue) == [2, 3, 4, 5]


def test_a_stanza_of_a_former_process_that_nobody_remembers_is_acked_but_not_repeated() -> None:
    queue = Queue()
    unknown = Entry(0, Xml(""), "", "", "", Fate.SENT)
    known = Entry(0, Xml("<message/>"), "message", "m1", "", Fate.SENT, row=7)
    queue.restore([unknown, known])
    assert (known.number, unknown.number, queue.in_flight) == (1, 0, 2)
    assert queue.repeat() == [known]


def test_what_a_former_process_left_comes_before_anything_new() -> None:
    queue = Queue()
    fates = [Fate.SENT, Fate.UNCERTAIN, Fate.QUEUED]
    left = [Entry(0, Xml(f"<m{place}/>"), "message", "", "", fate) for place, fate in enumerate(fates)]
    queue.restore(left)
    new = queue.add(Xml("<new/>"), "message", "", "")
    assert (new.number, queue.in_flight, queue.in_doubt, queue.open_count) == (4, 1, True, 4)
    assert queue.take(9) == [left[2], new]


def test_a_lost_session_leaves_everything_sent_in_doubt_and_what_is_queued_alone() -> None:
    queue = filled(4)
    queue.take(3)
    queue.acked(1)
    assert numbers(queue.doubt()) == [2, 3]
    assert (queue.in_doubt, queue.in_flight, queue.unproven_count, queue.settled_up_to) == (True, 0, 2, 1)
    assert [entry.fate for entry in queue] == [Fate.UNCERTAIN, Fate.UNCERTAIN, Fate.QUEUED]


def test_doubt_about_two_sessions_adds_up_in_order() -> None:
    queue = filled(4)
    queue.take(2)
    queue.doubt()
    queue.take(1)
    assert numbers(queue.doubt()) == [1, 2, 3]


@pytest.mark.parametrize("fates", list(product(OUTCOMES, repeat=3)))
def test_settling_gives_each_doubted_stanza_the_one_fate_that_was_proved(fates: tuple[Fate, ...]) -> None:
    queue = filled(4)
    queue.take(3)
    doubted = queue.doubt()
    final = queue.settle(fates)
    assert [entry.fate for entry in doubted] == list(fates)
    assert final == [entry for entry in doubted if entry.fate in (Fate.ACKED, Fate.FAILED)]
    assert (queue.acked_count, queue.failed_count) == (fates.count(Fate.ACKED), fates.count(Fate.FAILED))
    assert queue.lost == [entry for entry in doubted if entry.fate is Fate.UNCERTAIN]
    assert not queue.in_doubt
    again = [entry.number for entry in doubted if entry.fate is Fate.QUEUED]
    assert numbers(queue.take(9)) == [*again, 4]
    assert queue.unproven_count == len(queue.lost) + len(again) + 1


def test_settling_needs_a_fate_for_each() -> None:
    queue = filled(2)
    queue.take(2)
    queue.doubt()
    with pytest.raises(ValueError, match="zip"):
        queue.settle([Fate.ACKED])


def test_the_sessions_own_stanzas_end_with_it_and_are_not_counted() -> None:
    queue = Queue()
    own = queue.add_own(Xml("<iq/>"))
    queue.doubt()
    assert queue.settle([Fate.FAILED]) == [own]
    assert (queue.failed_count, queue.open_count) == (0, 0)


@pytest.mark.parametrize(("acked", "settled"), [(0, 0), (1, 1), (3, 3)])
def test_everything_is_settled_up_to_the_first_that_is_not(acked: int, settled: int) -> None:
    queue = filled(3)
    queue.take(3)
    queue.acked(acked)
    assert queue.settled_up_to == settled
