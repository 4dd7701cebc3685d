"""Rows that change hands: the claim of a dead process's rows, and a process that finds its own ones gone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from outbox.stores import entries, opened, told
from outbox.workload import ACCOUNT

from xmppsh.outbox.queue import Fate, Queue
from xmppsh.outbox.store import Store
from xmppsh.outbox.stored import StoredStanza
from xmppsh.protocol.sm import Resumption

ROOT = Path(__file__).parents[2]
CLAIMS = 40
CLAIMER = """
import sys
from pathlib import Path
from xmppsh.outbox.store import Store
from xmppsh.outbox.stored import StoredStanza
path, me, account, claims = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
store = Store(path, me)
print(flush=True)
sys.stdin.readline()
for number in range(claims):
    store.claim(f"dead{number}")
    print(*(one.full_jid for one in store.sessions(account) if one.owner == me), flush=True)
"""

READER = """
import sys
from pathlib import Path
from xmppsh.outbox.store import Store
store = Store(Path(sys.argv[1]), "other")
print(*(one.sm_id for one in store.sessions(sys.argv[2])))
store.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(path, "me")) as store:
        yield store


@pytest.fixture
def other(path: Path, store: Store) -> Iterator[Store]:
    """Another process's view of the same file."""
    with closing(Store(path, "other")) as other:
        yield other


def test_a_claim_takes_everything_of_one_owner_and_nothing_of_others(store: Store, other: Store) -> None:
    mine, theirs = entries(1), entries(1)
    session = opened(store)
    store.write(ACCOUNT, mine, session, mine, 1)
    opened(other)
    other.write(ACCOUNT, theirs, None, [], 0)
    with closing(Store(store.path, "guard")) as guard:
        guard.claim("me")
        assert told(guard, "owner", "session", "wire") == [("guard", session, 1), ("other", None, None)]
        assert [one.owner for one in guard.sessions(ACCOUNT)] == ["guard", "other"]
        guard.give_back("me")
        assert told(guard, "owner", "session", "wire") == [("me", session, 1), ("other", None, None)]
        assert [one.owner for one in guard.sessions(ACCOUNT)] == ["me", "other"]
        guard.claim("nobody")
        assert sorted({one.owner for one in guard.sessions(ACCOUNT)}) == ["me", "other"]


def test_of_two_processes_that_claim_at_the_same_time_one_gets_it(path: Path) -> None:
    for number in range(CLAIMS):
        with closing(Store(path, f"dead{number}")) as dead:
            dead.open_session(ACCOUNT, f"{ACCOUNT}/{number}")
    command = [sys.executable, "-c", CLAIMER, str(path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with (
        subprocess.Popen([*command, "a", ACCOUNT, str(CLAIMS)], **pipes) as first,
        subprocess.Popen([*command, "b", ACCOUNT, str(CLAIMS)], **pipes) as second,
    ):
        for child in (first, second):
            child.stdout.readline()  # type: ignore[union-attr]
        for child in (first, second):
            child.stdin.write("\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
        outputs = [child.communicate()[0] for child in (first, second)]
    # Whoever has seen a session as his own kept it: no line of one names what a line of the other names.
    got = [set(output.split()) for output in outputs]
    assert got[0] | got[1] == {f"{ACCOUNT}/{number}" for number in range(CLAIMS)}
    assert got[0] & got[1] == set()


def test_a_stanza_of_a_session_that_the_guard_has_closed_belongs_to_none(store: Store, other: Store) -> None:
    queue = Queue()
    new = entries(2, queue)
    session = opened(store)
    store.write(ACCOUNT, new, session, queue.take(1), 1)
    other.claim("me")
    other.close_session(session)
    store.write(ACCOUNT, [], session, queue.take(1), 2)
    assert told(store, "stanza_id", "fate", "session", "wire") == [("m1", "sent", None, None), ("m2", "sent", None, 2)]
    store.note_handled(session, 7)
    store.finish(session, queue.acked(1), 1)
    store.close_session(session)
    assert (told(store, "stanza_id"), store.sessions(ACCOUNT)) == ([("m2",)], [])


def test_the_id_of_a_session_that_is_gone_is_never_anothers(store: Store, other: Store) -> None:
    former = opened(store)
    other.claim("me")
    other.close_session(former)
    opened(other)
    store.note_resumption(former, Resumption("former"))
    store.note_handled(former, 7)
    store.finish(former, [], 9)
    store.close_session(former)
    assert [(one.sm_id, one.handled, one.acked) for one in store.sessions(ACCOUNT)] == [("sm1", 0, 0)]


def test_the_row_of_a_stanza_that_is_gone_is_never_anothers(store: Store, other: Store) -> None:
    (former,) = entries(1)
    store.write(ACCOUNT, [former], None, [], 0)
    assert former.row is not None
    other.delete([former.row])
    other.write(ACCOUNT, entries(1), None, [], 0)
    former.become(Fate.SENT)
    store.write(ACCOUNT, [], None, [former], 7)
    store.change([former])
    store.finish(None, [former])
    assert told(store, "stanza_id", "fate", "wire") == [("m1", "queued", None)]


def taken(store: Store, rows: list[StoredStanza]) -> list[str]:
    return [row.stanza_id for row in store.take(rows)]


def test_of_two_that_take_a_stanza_over_one_gets_it(store: Store, other: Store) -> None:
    dead = entries(3)
    store.write(ACCOUNT, dead, None, dead[:1], 0)
    dead[1].fate = Fate.UNCERTAIN
    store.change(dead[1:2])
    rows = store.entries(ACCOUNT)
    with closing(Store(store.path, "third")) as third:
        assert taken(other, rows[:2]) == ["m1", "m2"]
        assert taken(third, rows) == ["m3"]
    assert taken(store, rows) == [], "neither does its former owner"
    # Under way, and of an unknown fate if nothing else is written down; what never left is known not to have arrived.
    assert told(store, "stanza_id", "owner", "fate", "session", "wire") == [
        ("m1", "other", "sent", None, None), ("m2", "other", "sent", None, None), ("m3", "third", "queued", None, None),
    ]  # fmt: skip


def test_a_stanza_that_was_sent_since_it_was_read_is_not_taken_over(store: Store, other: Store) -> None:
    queue = Queue()
    new = entries(2, queue)
    session = opened(store)
    store.write(ACCOUNT, new, session, queue.take(1), 1)
    rows = store.entries(ACCOUNT)
    store.write(ACCOUNT, [], session, [new[0], *queue.take(1)], 2)  # both, the first one again
    assert taken(other, rows) == []
    store.finish(session, queue.acked(1), 2)
    assert taken(other, rows) == []
    assert taken(other, store.entries(ACCOUNT)) == ["m2"]


def test_who_looks_into_an_open_file_once_more_keeps_what_is_written_afterwards(path: Path) -> None:
    reader = [sys.executable, "-c", READER, str(path), ACCOUNT]
    with closing(Store(path, "me")) as store:
        session = store.open_session(ACCOUNT, f"{ACCOUNT}/x")
        Store(path, "me too").close()  # as /outbox list does in a shell
        subprocess.run(reader, cwd=ROOT, check=True)
        store.note_resumption(session, Resumption("sm1", "there:5222", 60))
        assert subprocess.run(reader, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "sm1\n"
