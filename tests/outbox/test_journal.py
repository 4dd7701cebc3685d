"""What one session writes down, and what the next process finds of it."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from outbox.journals import ACCOUNT, FULL, Begin, crash, fill, open_session

from xmppsh.errors import IoError
from xmppsh.outbox.journal import MAX_UNKNOWN, account_file
from xmppsh.outbox.owner import GUARD
from xmppsh.outbox.queue import Fate, Queue
from xmppsh.protocol.sm import MODULUS, Resumption

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from xmppsh.outbox.journal import Journal
from xmppsh.outbox.owner import Owner
from xmppsh.outbox.queue import Queue
from xmppsh.protocol.sm import Resumption
from xmppsh.xmlio.build import Xml
journal = Journal(Path(sys.argv[1]), Owner(Path(sys.argv[2])), "juliet@example.org", everything=True)
journal.restore()
journal.bound("juliet@example.org/balcony")
journal.opened(Resumption("sm1", "there:5222", 60))
queue = Queue()
new = [queue.add(Xml(f"<message id='m{n}'/>"), "message", f"m{n}", "romeo@example.net", n) for n in range(1, 6)]
journal.write(new, queue.take(4), 1)
journal.finish(queue.acked(1), 1)
journal.note_handled(7)
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("account", "name"),
    [
        (ACCOUNT, "juliet@example.org.sqlite"),
        ("a/b@example.org", "a%2Fb@example.org.sqlite"),
        ("../x@example.org", "..%2Fx@example.org.sqlite"),
        ("é@example.org", "%C3%A9@example.org.sqlite"),
    ],
)
def test_an_account_has_a_file_of_its_own_that_no_name_can_lead_elsewhere(account: str, name: str) -> None:
    assert account_file(Path("/state"), account) == Path("/state/outbox") / name


def test_nothing_is_created_before_there_is_something_to_write(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    journal.opened(None)
    journal.closed()
    journal.note_handled(3)
    journal.finish([], 3)
    journal.change([])
    journal.write([], [], 1)
    assert list(tmp_path.iterdir()) == []


def test_only_messages_are_stored_unless_there_is_a_checkpoint(begin: Begin) -> None:
    for everything, kinds in ((False, ["message"]), (True, ["message", "message", "iq", "presence"])):
        journal, queue = begin(everything=everything), Queue()
        for kind in ("message", "iq", "presence"):
            fill(queue, 1, kind)
        journal.write(list(queue), [], 1)
        stored = [one.kind for one in journal.store.entries(ACCOUNT)]
        assert stored == kinds
        journal.close()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_what_is_written_and_leaves_at_once_is_stored_once(begin: Begin, taken: int) -> None:
    journal, queue = begin(), Queue()
    open_session(journal)
    fill(queue, 3)
    new = list(queue)
    journal.write(new, queue.take(taken), 1)
    stored = [(one.stanza_id, one.fate, one.wire) for one in journal.store.entries(ACCOUNT)]
    assert stored == [
        (f"m{n}", "sent" if n <= taken else "queued", n if n <= taken else None) for n in (1, 2, 3)
    ]  # fmt: skip


def test_a_killed_process_leaves_its_session_and_every_stanza_in_order(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "progress"), str(tmp_path / "locks")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(IoError, match="is in use by another xmppsh") as caught:
            journal.restore()
        assert (caught.value.exit_code, caught.value.hint) == (74, "wait for its end")
        child.send_signal(signal.SIGKILL)
    left = journal.restore()
    assert left.session is not None
    assert (left.session.full_jid, left.session.sm_id, left.position) == (FULL, "sm1", 5)
    shown = [(entry.stanza_id, str(entry.fate), entry.position) for entry in left.entries]
    assert shown == [*((f"m{n}", "sent", n) for n in (2, 3, 4)), ("m5", "queued", 5)]
    sm = left.management()
    assert sm is not None
    assert (sm.acked, sm.handled, sm.resumption) == (1, 7, Resumption("sm1", "there:5222", 60))
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("progress*")} == {0o600}
    assert {one.owner for one in journal.store.entries(ACCOUNT)} == {journal.owner.name}


@pytest.mark.parametrize("start", [0, MODULUS - 3, MODULUS - 1, 2**31 - 2])
def test_stanzas_that_nobody_stored_keep_their_place_in_the_count(begin: Begin, start: int) -> None:
    journal, queue = begin(everything=False), Queue()
    open_session(journal)
    assert journal._session is not None
    journal.store.finish(journal._session, [], start)  # the session's h
    wire = start
    for kinds in (["iq", "message"], ["presence", "presence", "message", "iq"]):
        for kind in kinds:
            fill(queue, 1, kind)
        new = list(queue)[-len(kinds) :]
        journal.write(new, queue.take(9), (wire + 1) % MODULUS)
        wire += len(kinds)
    crash(journal)
    left = begin(everything=False).restore()
    assert [entry.stanza_id for entry in left.entries] == ["", "m2", "", "", "m5"]
    assert all(entry.fate is Fate.SENT for entry in left.entries)
    sm, again = left.management(), Queue()
    assert sm is not None
    again.restore(left.entries)
    released = again.acked(sm.on_resumed((start + 2) % MODULUS))
    assert [entry.stanza_id for entry in released] == ["", "m2"]
    assert [entry.stanza_id for entry in again.repeat()] == ["m5"]


def test_an_ack_of_what_nobody_stored_is_written_down_with_the_next_stanza(begin: Begin) -> None:
    journal, queue = begin(everything=False), Queue()
    open_session(journal)
    fill(queue, 40, "iq")
    journal.write(list(queue), queue.take(40), 1)
    journal.finish(queue.acked(40), 40)
    fill(queue, 1)
    journal.write(list(queue), queue.take(1), 41)
    journal.finish(queue.acked(0))  # a final fate without an ack
    crash(journal)
    left = begin(everything=False).restore()
    assert left.session is not None
    assert (left.session.acked, [entry.stanza_id for entry in left.entries]) == (40, ["m41"])


def test_the_acks_of_a_former_session_are_not_the_next_one_s(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    open_session(journal)
    fill(queue, 2)
    journal.write(list(queue), queue.take(1), 1)
    journal.finish(queue.acked(1), 1)
    open_session(journal, "sm2")
    journal.write([], queue.take(1), 1)
    assert [one.acked for one in journal.store.sessions(ACCOUNT)] == [0]


def test_a_stanza_that_the_count_covers_already_shifts_no_other_ones_place(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    open_session(journal)
    fill(queue, 3)
    journal.write(list(queue), queue.take(3), 1)
    assert journal._session is not None
    journal.store.finish(journal._session, [], 1)  # yet the row of the first one is there
    crash(journal)
    assert [str(entry.fate) for entry in begin().restore().entries] == ["uncertain"] * 3


def test_a_server_that_has_handled_more_than_was_stored_is_believed(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    open_session(journal)
    fill(queue, 1)
    journal.write(list(queue), queue.take(1), 1)
    crash(journal)
    for h in (5, 1_000_000):  # weeks of answers to pings, which nobody stores
        again = begin()
        sm = again.restore().management()
        assert sm is not None
        assert sm.on_resumed(h) == h
        assert sm.unacked == 0
        crash(again)


@pytest.mark.parametrize("before", [MAX_UNKNOWN - 1, MAX_UNKNOWN, 3 * MAX_UNKNOWN])
def test_no_count_covers_a_stanza_that_came_after_it_however_many_were_never_stored(begin: Begin, before: int) -> None:
    journal, queue = begin(), Queue()
    open_session(journal)
    fill(queue, 1)
    journal.write(list(queue), queue.take(1), before + 1)
    crash(journal)
    left = begin().restore()
    sm, again = left.management(), Queue()
    assert sm is not None
    again.restore(left.entries)
    released = again.acked(min(sm.on_resumed(before), again.in_flight))  # the server has handled all but the last one
    assert "m1" not in [entry.stanza_id for entry in released]
    assert [(entry.stanza_id, str(entry.fate)) for entry in again if entry.stanza_id] == [
        ("m1", "sent" if before <= MAX_UNKNOWN else "uncertain")  # too far from what is known to be counted
    ]


def test_a_session_whose_grant_was_never_seen_is_found_and_cannot_be_resumed(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    journal.bound(FULL)
    fill(queue, 1)
    journal.write(list(queue), [], 1)
    crash(journal)
    left = begin().restore()
    assert left.session is not None
    assert (left.session.full_jid, left.session.sm_id, left.management()) == (FULL, None, None)
    assert [(entry.stanza_id, str(entry.fate)) for entry in left.entries] == [("m1", "queued")]


def test_a_session_that_turns_out_not_to_be_resumable_is_not_kept(begin: Begin) -> None:
    journal = begin()
    journal.bound(FULL)
    assert [one.sm_id for one in journal.store.sessions(ACCOUNT)] == [None]
    journal.opened(None)
    assert journal.store.sessions(ACCOUNT) == []


def test_a_stanza_that_leaves_on_a_session_that_the_guard_has_closed_is_stored_under_none(begin: Begin) -> None:
    journal, guard, queue = begin(), begin(role=GUARD), Queue()
    open_session(journal)
    fill(queue, 2)
    journal.write(list(queue), queue.take(1), 1)
    guard.store.claim(journal.owner.name)
    (session,) = guard.store.sessions(ACCOUNT)
    guard.store.close_session(session.id)
    journal.write([], queue.take(1), 2)
    journal.note_handled(3)
    journal.finish(queue.acked(1), 1)
    journal.bound(FULL)  # and the next session begins
    assert [(one.stanza_id, one.session) for one in journal.store.entries(ACCOUNT)] == [("m2", None)]
    assert len(journal.store.sessions(ACCOUNT)) == 1


def test_what_a_lost_session_had_sent_is_uncertain_for_the_next_process(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    open_session(journal)
    fill(queue, 3)
    journal.write(list(queue), queue.take(2), 1)
    journal.closed()
    crash(journal)
    left = begin().restore()
    assert (left.session, left.management(), left.position) == (None, None, 3)
    assert [str(entry.fate) for entry in left.entries] == ["uncertain", "uncertain", "queued"]


def test_a_new_session_ends_the_former_one(begin: Begin) -> None:
    journal = begin()
    open_session(journal)
    open_session(journal, "sm2")
    assert [one.sm_id for one in journal.store.sessions(ACCOUNT)] == ["sm2"]
    journal.bound(FULL)
    journal.opened(None)
    assert journal.store.sessions(ACCOUNT) == []


def test_progress_goes_up_to_the_last_stanza_that_was_taken_in(begin: Begin) -> None:
    journal, queue = begin(), Queue()
    assert journal.restore().position == 0
    open_session(journal)
    fill(queue, 3)
    journal.write(list(queue), queue.take(3), 1)
    journal.finish(queue.acked(3), 3)
    crash(journal)
    left = begin().restore()
    assert (left.position, left.entries) == (3, [])


def test_a_file_of_another_account_is_refused(begin: Begin, tmp_path: Path) -> None:
    journal = begin("romeo@example.net")
    journal.restore()
    crash(journal)
    with pytest.raises(IoError) as caught:
        begin().restore()
    assert str(caught.value) == f"{tmp_path / 'progress'} belongs to romeo@example.net"
    assert (caught.value.exit_code, caught.value.hint) == (74, "give another file")
