"""The mark that tells the next run of a command how far a dead one was."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from xmppsh.outbox.journal import Journal
from xmppsh.outbox.owner import Owner
from xmppsh.outbox.store import Store
from xmppsh.protocol.sm import Resumption

ACCOUNT, FULL = "alice@a.example", "alice@a.example/bot"


@dataclass
class Listen:
    """Who reads (outbox/mark.py: Marked)."""

    newest_kept: str = ""
    gets_messages: bool = True
    is_complete: bool = True
    reader: str = f"listen {ACCOUNT}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def reading(path: Path, marked: Listen, full_jid: str = FULL) -> Journal:
    """A run that has begun to read."""
    journal = Journal(path, Owner(path.parent / "locks"), ACCOUNT)
    journal.marked = marked
    journal.bound(full_jid)
    journal.opened(Resumption("an id"))
    return journal


def died(journal: Journal) -> None:
    """Its process is dead, and a guard has closed its session."""
    journal.close()
    guard = Store(journal.path, "guard")
    for session in guard.sessions(ACCOUNT):
        guard.close_session(session.id)
    guard.close()


def test_a_run_goes_on_where_a_dead_one_was_and_none_after_it_does(path: Path) -> None:
    marked = Listen()
    first = reading(path, marked)
    assert first.left is None
    marked.newest_kept = "the last one"
    first.note_handled(3)
    died(first)
    second = reading(path, Listen(), "alice@a.example/another")
    assert second.left is not None
    assert (second.left.newest, second.left.full_jid, second.left.gets_messages) == ("the last one", FULL, True)
    assert second.left.since < second.left.until
    second.closed()
    assert reading(path, Listen()).left is None


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (["1795950697888834", "995950697888834"], "1795950697888834"),  # a number is older when it is less
        (["99", "100", ""], "100"),
        (["1795950697888834", "b7x0", "a9k2"], "a9k2"),  # what is no number says nothing of its order
    ],
)
def test_a_mark_does_not_go_back_to_what_the_server_had_stored(path: Path, read: list[str], expected: str) -> None:
    marked = Listen()
    first = reading(path, marked)
    for number, marked.newest_kept in enumerate(read):
        first.note_handled(number)
    died(first)
    second = reading(path, Listen())
    assert second.left is not None
    assert second.left.newest == expected


def test_a_run_that_died_before_it_had_acknowledged_anything_was_given_messages_all_the_same(path: Path) -> None:
    marked = Listen(gets_messages=False)
    first = reading(path, marked)
    marked.gets_messages = True
    first.note_mark()
    died(first)
    second = reading(path, Listen())
    assert second.left is not None
    assert second.left.gets_messages


def test_a_run_that_ends_cleanly_before_it_has_what_a_dead_one_lacked_leaves_that_to_the_next(path: Path) -> None:
    first = reading(path, Listen(newest_kept="the last one"))
    first.note_handled(3)
    died(first)
    second = reading(path, Listen(gets_messages=False, is_complete=False))
    second.note_handled(1)
    second.closed()
    third = reading(path, Listen())
    assert third.left is not None
    assert (third.left.newest, third.left.gets_messages) == ("the last one", True)


def test_a_run_that_dies_before_it_has_read_anything_leaves_the_mark_as_it_was(path: Path) -> None:
    first = reading(path, Listen("the last one"))
    first.note_handled(3)
    died(first)
    second = reading(path, Listen())
    second.note_handled(1)  # of what has no stanza-id
    died(second)
    third = reading(path, Listen())
    assert third.left is not None
    assert third.left.newest == "the last one"


def test_how_far_a_clean_run_was_is_known_to_the_one_after_a_run_that_died_at_its_start(path: Path) -> None:
    clean = reading(path, Listen("the last one"))
    clean.closed()
    first = reading(path, Listen())
    assert (first.left, first.reached) == (None, "the last one")
    died(first)
    second = reading(path, Listen())
    assert second.left is not None
    assert (second.left.newest, second.reached) == ("", "the last one")
    second.closed()
    assert reading(path, Listen()).reached == "the last one", "it has read nothing"
    assert reading(path, Listen(reader=f"connect {ACCOUNT}")).reached == ""


def test_a_mark_goes_on_with_the_next_session_of_its_process(path: Path) -> None:
    first = reading(path, Listen("the last one"))
    first.note_handled(3)
    first.bound(FULL)
    died(first)
    second = reading(path, Listen())
    assert second.left is not None
    assert second.left.newest == "the last one"


def test_the_mark_of_another_command_and_that_of_a_session_that_lives_are_not_taken(path: Path) -> None:
    living = reading(path, Listen("of this one"))
    living.note_handled(3)
    assert reading(path, Listen(reader=f"connect {ACCOUNT}")).left is None
    assert reading(path, Listen()).left is None
