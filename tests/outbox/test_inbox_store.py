"""The inbox on disk: what waits, whose it is, and what is known to have been read."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xmppsh.errors import IoError
from xmppsh.outbox import inbox_store
from xmppsh.outbox.inbox_store import Arrival, InboxStore
from xmppsh.outbox.store import Store

READER = "listen romeo@example.net"
Open = Callable[..., InboxStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    stores = []

    def start(owner: str = "process-1-a", reader: str = READER) -> InboxStore:
        stores.append(InboxStore(tmp_path / "folder" / "inbox.sqlite", reader, owner))
        return stores[-1]

    yield start
    for store in stores:
        store.close()


def arrivals(*numbers: int) -> list[Arrival]:
    return [Arrival(f"s{number}", f"<message id='m{number}'/>", 1000.0 + number) for number in numbers]


def waiting(store: InboxStore) -> list[str]:
    return [one.stanza_id for one in store.waiting(0, 1000)]


def test_what_is_stored_waits_in_order_until_it_is_read(opened: Open) -> None:
    store = opened()
    store.add(arrivals(1, 2, 3))
    first, *_ = store.waiting(0, 1000)
    assert (first.xml, first.arrived, store.size()) == ("<message id='m1'/>", 1001.0, (3, 3 * 18))
    store.read(first)
    assert (waiting(store), store.size()) == (["s2", "s3"], (2, 2 * 18))
    assert [one.stanza_id for one in store.waiting(first.row + 1, 1)] == ["s3"]
    assert store.stanza_ids() == {"s1", "s2", "s3"}, "what was read is still known"


def test_what_has_no_stanza_id_leaves_nothing(opened: Open) -> None:
    store = opened()
    store.add([Arrival("", "<message/>", 1.0)])
    store.note_read([Arrival("", "<message/>", 1.0), Arrival("s9", "<message/>", 1.0)])
    (one,) = store.waiting(0, 1000)
    store.read(one)
    assert store.stanza_ids() == {"s9"}


def test_what_a_dead_process_left_is_claimed_by_one_run_of_the_same_reader(opened: Open) -> None:
    dead, living = opened("process-1-a"), opened("process-2-b")
    dead.add(arrivals(1))
    living.add(arrivals(2))
    another = opened("process-3-c", "listen romeo@example.net/other")
    another.claim(lambda _: False)
    assert waiting(another) == []
    first, second = opened("process-4-d"), opened("process-5-e")
    for store in (first, second):
        store.claim(lambda name: name != "process-1-a")
    assert [waiting(first), waiting(second), waiting(living)] == [["s1"], [], ["s2"]]


def test_the_oldest_of_what_was_read_are_forgotten_and_nothing_that_waits(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_store, "MAX_IDS", 2)
    store = opened()
    store.add(arrivals(1))
    store.note_read(arrivals(2, 3, 4))
    store.prune()
    assert store.stanza_ids() == {"s1", "s3", "s4"}


def test_others_cannot_read_it_and_an_outbox_is_none(opened: Open, tmp_path: Path) -> None:
    store = opened()
    store.add(arrivals(1))
    assert {stat.S_IMODE(file.stat().st_mode) for file in store.path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    with pytest.raises(IoError, match="written by another version"):
        Store(store.path, "process-1-a")
