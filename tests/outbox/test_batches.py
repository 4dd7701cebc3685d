"""A batch is, to the server, to whoever counts and to whoever takes over, what its messages would be one by one."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from outbox.journals import ACCOUNT, Begin, crash, fill, open_session

from xmppsh.outbox.entry import Batch, Entry, opened
from xmppsh.outbox.journal import Journal
from xmppsh.outbox.queue import Fate, Queue
from xmppsh.outbox.store import Store
from xmppsh.protocol.sm import MODULUS
from xmppsh.xmlio.build import Xml


def message(number: int) -> bytes:
    return (
        f"\n<message to='romeo@example.net' id=\"i{number}\"><body>\u00e9 {number}</body>"
        f'<origin-id xmlns="urn:xmpp:sid:0" id="m{number}"/></message>'
    ).encode()


def add(queue: Queue, count: int, *, together: bool) -> None:
    """Messages at the end of the queue, by the batch or one by one."""
    first = queue.last_number + 1
    messages = [message(number) for number in range(first, first + count)]
    if together:
        queue.add_batch(messages, first)
        return
    for number, xml in enumerate(messages, first):
        queue.add(Xml(xml.decode().lstrip()), "message", f"m{number}", "romeo@example.net", number)


def facts(entry: Entry) -> tuple[Any, ...]:
    return entry.number, entry.xml, entry.kind, entry.stanza_id, entry.to, entry.fate, entry.row, entry.position


@pytest.mark.parametrize(("room", "in_flight"), [(0, 0), (1, 2), (3, 2), (4, 4), (9, 9)])
def test_a_batch_leaves_whole_and_past_the_room_only_where_nothing_is_on_its_way(room: int, in_flight: int) -> None:
    queue = Queue()
    for count in (2, 2, 5):
        add(queue, count, together=True)
    queue.take(room)
    assert (queue.in_flight, queue.waiting_count, queue.open_count) == (in_flight, 9 - in_flight, 9)


def test_an_ack_within_a_batch_settles_so_many_of_it() -> None:
    queue = Queue()
    add(queue, 3, together=True)
    queue.add_own(Xml("<iq/>"))
    add(queue, 2, together=True)
    queue.take(9)
    assert [item.count for item in queue.acked(2)] == [1, 1], "what the session sent by itself had left before"
    assert (queue.acked_count, queue.settled_up_to, queue.in_flight, queue.recent) == (1, 1, 4, ["m1"])
    assert [item.count for item in queue.acked(3)] == [2, 1]
    assert (queue.acked_count, queue.settled_up_to, queue.recent) == (4, 4, ["m1", "m2", "m3", "m4"])
    assert [facts(entry)[0] for entry in queue.doubt()] == [5]
    assert (queue.open_count, queue.unproven_count, queue.in_flight) == (1, 1, 0)


def live(journal: Journal, start: int, acked: int, *, together: bool) -> None:
    """A process sends, hears of `acked`, sends more, has more waiting, and is killed."""
    queue = Queue()
    open_session(journal)
    journal.finish([], start)
    seen: list[Entry | Batch] = []

    def write(room: int) -> None:
        new = [item for item in queue if item not in seen]
        seen.extend(new)
        wire = (start + 1 + queue.acked_count + queue.in_flight) % MODULUS
        journal.write(new, queue.peek(room), wire)
        queue.take(room)

    add(queue, 3, together=together)
    write(9)
    fill(queue, 1)
    add(queue, 4, together=together)
    write(9)
    journal.finish(queue.acked(acked), (start + acked) % MODULUS)
    add(queue, 2, together=together)
    write(9)
    add(queue, 2, together=together)
    fill(queue, 1)
    add(queue, 1, together=together)
    write(0)
    crash(journal)


@pytest.mark.parametrize("start", [0, MODULUS - 4])
@pytest.mark.parametrize("acked", [0, 2, 3, 5, 8])
def test_what_a_killed_process_had_in_batches_is_found_stanza_by_stanza(begin: Begin, start: int, acked: int) -> None:
    found = []
    for together in (False, True):
        file = f"together-{together}"
        live(begin(file=file), start, acked, together=together)
        left = begin(file=file).restore()
        assert left.session is not None
        found.append(([facts(entry) for entry in left.entries], left.session.acked, left.position))
        assert left.recent == [f"m{acked}"][:acked], "what was acknowledged last proves that an archive still stores"
    assert found[0] == found[1]
    assert [one[3] for one in found[1][0]] == [f"m{number}" for number in range(acked + 1, 15)]


def test_a_message_of_a_dead_ones_batch_is_listed_and_taken_over_for_itself(begin: Begin) -> None:
    journal, looking, queue = begin(), begin(), Queue()
    add(queue, 3, together=True)
    open_session(journal)
    journal.write(list(queue), queue.take(9), 1)
    assert looking.unconfirmed() == [], "its own process has it"
    crash(journal)
    (_, second, _) = looking.abandoned()
    assert (second.stanza_id, second.xml) == ("m2", message(2).decode().strip())
    assert [row.stanza_id for row in looking.take_over([second])] == ["m2"]
    assert [row.stanza_id for row in looking.abandoned()] == ["m1", "m3"]


def test_what_a_guard_takes_over_while_the_outbox_is_read_is_found_all_the_same(begin: Begin) -> None:
    journal, looking, guard, queue = begin(), begin(), begin(), Queue()
    add(queue, 3, together=True)
    open_session(journal)
    journal.write(list(queue), queue.take(9), 1)
    crash(journal)
    dead = [journal.owner.name]

    def meanwhile(statement: str) -> None:
        if "FROM batch" in statement and dead:
            guard.store.claim(dead.pop())

    looking.store._database.set_trace_callback(meanwhile)
    assert [row.stanza_id for row in looking.store.entries(ACCOUNT)] == ["m1", "m2", "m3"]
    assert dead == [], "nobody has taken over"


def test_a_batch_whose_session_is_lost_is_stored_stanza_by_stanza_from_then_on(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    add(queue, 4, together=True)
    open_session(journal)
    journal.write(list(queue), queue.take(9), 1)
    journal.finish(queue.acked(1), 1)
    journal.open_batches()
    doubted = queue.doubt()
    final = queue.settle([Fate.ACKED, Fate.UNCERTAIN, Fate.QUEUED])
    journal.finish(final)
    journal.change([entry for entry in doubted if entry not in final])
    stored = journal.store.entries(ACCOUNT)
    assert [(row.stanza_id, row.fate, row.position) for row in stored] == [("m3", "uncertain", 3), ("m4", "queued", 4)]


def test_what_is_acknowledged_of_a_batch_is_not_forgotten_by_a_write_of_what_does_not_leave_yet(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    journal.restore()
    open_session(journal)
    add(queue, 3, together=True)
    journal.write(list(queue), queue.take(9), 1)
    journal.finish(queue.acked(2), 2)
    add(queue, 2, together=True)
    journal.write([*queue][-1:], [], 4)
    open_session(journal)  # another one
    assert [row.stanza_id for row in journal.store.entries(ACCOUNT)] == ["m3", "m4", "m5"]


def test_a_batch_that_waited_while_a_session_was_lost_leaves_nothing_when_it_is_acknowledged(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    open_session(journal)
    add(queue, 2, together=True)
    journal.write(list(queue), queue.take(9), 1)
    add(queue, 3, together=True)
    journal.write([*queue][-1:], [], 3)
    journal.open_batches()
    queue.doubt()
    journal.finish(queue.settle([Fate.ACKED, Fate.ACKED]))
    open_session(journal)
    journal.write([], queue.take(9), 1)
    assert [(row.stanza_id, row.wire) for row in journal.store.entries(ACCOUNT)] == [("m3", 1), ("m4", 2), ("m5", 3)]
    journal.open_batches()
    queue.doubt()
    journal.finish(queue.settle([Fate.ACKED] * 3))
    assert journal.store.entries(ACCOUNT) == []


def test_acks_of_batches_are_written_down_by_the_next_write_or_when_it_is_asked_for(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    journal.restore()
    open_session(journal)
    add(queue, 2, together=True)
    journal.write(list(queue), queue.take(9), 1)
    journal.finish(queue.acked(2), 2)
    assert (journal.owes, journal.store.confirmed) == (True, 0)
    add(queue, 2, together=True)
    journal.write(list(queue), queue.take(9), 3)
    assert (journal.owes, journal.store.confirmed) == (False, 2)
    journal.finish(queue.acked(1), 3)
    journal.flush()
    assert (journal.owes, journal.store.confirmed) == (False, 3)
    assert [row.stanza_id for row in journal.store.entries(ACCOUNT)] == ["m4"]


def test_a_file_of_the_version_without_batches_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    Store(path, "me").close()
    with closing(sqlite3.connect(path)) as database:
        database.executescript("DROP TABLE batch; PRAGMA user_version = 2;")
    with closing(Store(path, "me")) as store:
        queue = Queue()
        add(queue, 2, together=True)
        store.write(ACCOUNT, list(queue), None, [], 0)
        assert [row.stanza_id for row in store.entries(ACCOUNT)] == ["m1", "m2"]


def test_a_batch_opens_up_into_what_was_handed_in() -> None:
    one, many = Queue(), Queue()
    add(one, 3, together=False)
    add(many, 3, together=True)
    assert isinstance(next(iter(many)), Batch)
    assert [facts(entry) for entry in opened(many)] == [facts(entry) for entry in opened(one)]
