"""Whose a stored stanza is: of a living process, of a guard, of a retry, or of the next one that looks."""

from contextlib import suppress
from pathlib import Path

import pytest
from outbox.journals import ACCOUNT, Begin, crash, fill, open_session

from xmppsh.errors import IoError
from xmppsh.outbox.journal import Journal
from xmppsh.outbox.owner import GUARD
from xmppsh.outbox.queue import Fate, Queue
from xmppsh.outbox.registry import held_sessions


def test_a_file_is_guarded_while_a_living_guard_has_something_in_it(begin: Begin) -> None:
    journal, asking = begin(), begin()
    assert not asking.is_guarded()
    open_session(journal)
    crash(journal)
    assert not asking.is_guarded(), "a dead process is no guard"
    guard = begin(role=GUARD)
    guard.store.claim(journal.owner.name)
    assert asking.is_guarded()
    with pytest.raises(IoError, match="is in use by another xmppsh"):
        asking.restore()
    guard.store.give_back(journal.owner.name)
    assert not asking.is_guarded()
    guard.store.claim(journal.owner.name)
    crash(guard)
    assert not asking.is_guarded(), "the guard has died as well"
    assert asking.restore().session is not None


def test_a_new_file_is_for_the_run_that_was_the_first_to_begin_it(begin: Begin) -> None:
    first, second = begin(), begin()
    assert first.restore().entries == []
    for _ in range(2):
        with pytest.raises(IoError, match="is in use by another xmppsh"):
            second.restore()
    first.close()
    assert second.restore().entries == []


def test_what_a_guard_takes_over_in_the_very_moment_is_not_ours_as_well(begin: Begin) -> None:
    journal, asking, guard = begin(), begin(), begin(role=GUARD)
    open_session(journal)
    crash(journal)
    guard.store._database.execute("PRAGMA busy_timeout = 0")
    is_alive = asking.owner.is_alive

    def meanwhile(name: str) -> bool:
        with suppress(IoError):  # it has to wait for us
            guard.store.claim(journal.owner.name)
        return is_alive(name)

    asking.owner.is_alive = meanwhile  # type: ignore[method-assign]
    assert asking.restore().session is not None
    assert {row.owner for row in asking.store.sessions(ACCOUNT)} == {asking.owner.name}


def test_a_session_is_found_whoever_has_it_by_now(begin: Begin, tmp_path: Path) -> None:
    """A guard may begin when the locks are listed already; the dead one's lock leads to its store all the same."""
    journal, guard = begin(), begin(role=GUARD)
    open_session(journal)
    crash(journal)
    guard.store.claim(journal.owner.name)
    crash(guard)
    (tmp_path / "locks" / f"{guard.owner.name}.lock").unlink()
    (held,) = held_sessions(tmp_path, ACCOUNT, pytest.fail)
    assert (held.row.owner, held.alive) == (guard.owner.name, False)


def whose(journal: Journal) -> list[tuple[str, str | None]]:
    """The unconfirmed messages, and who is settling each."""
    return [(one.stored.stanza_id, one.settled_by) for one in journal.unconfirmed()]


def test_what_a_dead_process_left_is_unconfirmed_whoever_settles_it_and_abandoned_as_long_as_nobody_does(
    begin: Begin,
) -> None:
    journal, guard, looking, queue = begin(), begin(role=GUARD), begin(), Queue()
    fill(queue, 2)
    journal.write(list(queue), [], 0)
    assert whose(looking) == [], "its own process has it"
    crash(journal)
    assert whose(looking) == [("m1", None), ("m2", None)]
    guard.store.claim(journal.owner.name)
    assert whose(looking) == [("m1", guard.owner.name), ("m2", guard.owner.name)]
    assert looking.abandoned() == []
    guard.store.give_back(journal.owner.name)
    assert [row.stanza_id for row in looking.abandoned()] == ["m1", "m2"]


def test_what_a_retry_has_taken_over_is_unconfirmed_until_it_lets_go(begin: Begin) -> None:
    journal, retry, looking, queue = begin(), begin(), begin(), Queue()
    fill(queue, 2)
    journal.write(list(queue), [], 0)
    crash(journal)
    taken = retry.take_over(retry.abandoned())
    assert [(name, (by or "").partition("-")[0]) for name, by in whose(looking)] == [("m1", "retry"), ("m2", "retry")]
    assert (looking.abandoned(), retry.abandoned()) == ([], [])
    unsure = taken[0].entry()
    unsure.fate = Fate.UNCERTAIN
    retry.change([unsure])
    retry.store.keep([unsure])
    assert [row.stanza_id for row in looking.abandoned()] == ["m1"], "nobody could tell, and nobody tries any more"
    retry.close()
    assert whose(looking) == [("m1", None), ("m2", None)]


def test_a_living_process_is_no_guard(begin: Begin) -> None:
    journal, asking = begin(), begin()
    open_session(journal)
    assert not asking.is_guarded()


def test_what_several_dead_processes_left_in_one_file_belongs_to_the_next(begin: Begin) -> None:
    first, second = begin(), begin()
    for journal in (first, second):
        queue = Queue()
        fill(queue, 1)
        open_session(journal, journal.owner.name)
        journal.write(list(queue), queue.take(1), 1)
    crash(first)
    crash(second)
    journal = begin()
    left = journal.restore()
    assert left.session is not None
    assert left.session.sm_id == second.owner.name
    assert [str(entry.fate) for entry in left.entries] == ["sent", "uncertain"]
    assert {one.owner for one in journal.store.entries(ACCOUNT)} == {journal.owner.name}
