"""The outbox on disk: what each method keeps, whose file it takes, and what it makes of a damaged one."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from outbox.stores import entries, opened, told
from outbox.workload import ACCOUNT, Workload, content

from xmppsh.errors import IoError
from xmppsh.outbox import store as store_module
from xmppsh.outbox.database import PAGE_BYTES
from xmppsh.outbox.queue import Entry, Fate, Queue
from xmppsh.outbox.store import Store
from xmppsh.protocol.sm import Resumption
from xmppsh.xmlio.build import Xml

STRIDE = 1 if os.environ.get("XMPPSH_SOAK") == "1" else 61


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox" / "juliet@example.org.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path, "me")
    yield store
    store.close()


def test_only_the_user_can_read_the_outbox(store: Store, path: Path) -> None:
    store.write(ACCOUNT, entries(1), None, [], 0)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name.removeprefix(path.name): stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"": 0o600, "-wal": 0o600, "-shm": 0o600}


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    Store(path, "me").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_stored_stanza_comes_back_as_it_was(store: Store) -> None:
    (entry,) = entries(1)
    store.write(ACCOUNT, [entry], None, [], 0)
    (stored,) = store.entries(ACCOUNT)
    assert stored.entry() == Entry(0, entry.xml, "message", "m1", "romeo@example.net", Fate.QUEUED, entry.row, 1)
    assert (stored.session, stored.wire, stored.owner) == (None, None, "me")


def test_what_leaves_gets_its_numbers_in_order(store: Store) -> None:
    queue = Queue()
    new = entries(4, queue)
    session = opened(store)
    store.write(ACCOUNT, new, session, queue.take(2), 41)
    assert told(store, "fate", "wire", "session") == [
        *(("sent", 41, session), ("sent", 42, session)),
        *(("queued", None, None), ("queued", None, None)),
    ]


def test_a_stanza_of_the_sessions_own_takes_a_number_and_no_row(store: Store) -> None:
    queue = Queue()
    queue.add_own(Xml("<presence/>"))
    new = entries(2, queue)
    store.write(ACCOUNT, new, None, [*queue.repeat(), *queue.take(2)], 1)
    assert told(store, "stanza_id", "wire") == [("m1", 2), ("m2", 3)]


def test_a_session_is_remembered_until_it_is_closed_and_its_stanzas_stay(store: Store) -> None:
    queue = Queue()
    new = entries(2, queue)
    session = store.open_session(ACCOUNT, f"{ACCOUNT}/x")
    (kept,) = store.sessions(ACCOUNT)
    assert (kept.id, kept.full_jid, kept.sm_id, kept.handled, kept.owner) == (session, f"{ACCOUNT}/x", None, 0, "me")
    store.note_resumption(session, Resumption("sm1", "there:5222", 60))
    store.write(ACCOUNT, new, session, queue.take(2), 1)
    store.note_handled(session, 17)
    store.finish(session, queue.acked(1), 2**32 - 1)
    (kept,) = store.sessions(ACCOUNT)
    assert (kept.id, kept.full_jid, kept.sm_id, kept.location, kept.max_s) == (
        *(session, f"{ACCOUNT}/x", "sm1", "there:5222", 60),
    )
    assert (kept.handled, kept.acked, kept.owner) == (17, 2**32 - 1, "me")
    store.close_session(session)
    assert store.sessions(ACCOUNT) == []
    assert told(store, "stanza_id", "fate", "wire", "session") == [("m2", "sent", None, None)]


def test_a_session_knows_when_a_stored_stanza_left_on_it_last(store: Store) -> None:
    queue = Queue()
    session = opened(store)
    (begun,) = store.sessions(ACCOUNT)
    assert begun.written == begun.started
    new = entries(2, queue)
    store.write(ACCOUNT, new, session, [], 0)  # stored, and still here
    assert store.sessions(ACCOUNT)[0].written == begun.written
    store.write(ACCOUNT, [], session, queue.take(1), 1)
    (later,) = store.sessions(ACCOUNT)
    assert later.started == begun.started
    assert later.written > begun.written


def test_a_final_fate_takes_the_row_away_and_moves_the_progress_only_forward(store: Store) -> None:
    store.begin(ACCOUNT)
    new = entries(3)
    store.write(ACCOUNT, new, None, [], 0)
    store.finish(None, [new[2]])
    assert store.confirmed == 3
    store.finish(None, [new[0]])
    assert (store.confirmed, told(store, "stanza_id")) == (3, [("m2",)])


def test_a_changed_fate_leaves_its_session(store: Store) -> None:
    queue = Queue()
    new = entries(1, queue)
    session = opened(store)
    store.write(ACCOUNT, new, session, queue.take(1), 1)
    queue.doubt()
    store.change(queue)
    assert told(store, "fate", "wire", "session") == [("uncertain", None, None)]


def test_accounts_do_not_see_each_other(store: Store) -> None:
    store.write("romeo@example.net", entries(1), None, [], 0)
    store.open_session("romeo@example.net", "romeo@example.net/x")
    assert (store.entries(ACCOUNT), store.sessions(ACCOUNT)) == ([], [])
    store.begin("romeo@example.net")
    assert (store.foreign_account(ACCOUNT), store.foreign_account("romeo@example.net")) == ("romeo@example.net", None)


# ── The file ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_that_are_deleted_are_gone(store: Store) -> None:
    store.write(ACCOUNT, entries(3), None, [], 0)
    first, second, _ = store.entries(ACCOUNT)
    store.delete([first.row, second.row])
    assert told(store, "stanza_id") == [("m3",)]


def test_a_full_outbox_takes_nothing_of_a_batch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_ROWS", 3)
    store.write(ACCOUNT, entries(2), None, [], 0)
    with pytest.raises(IoError, match="holds 2 stanzas and is full") as caught:
        store.write(ACCOUNT, entries(2), None, [], 0)
    assert (caught.value.exit_code, caught.value.hint) == (74, "xmppsh outbox list")
    assert len(store.entries(ACCOUNT)) == 2


def test_another_version_is_refused_and_left_alone(path: Path) -> None:
    Store(path, "me").close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(IoError) as caught:
        Store(path, "me")
    assert str(caught.value) == f"{path}: written by another version of xmppsh"
    assert (caught.value.exit_code, caught.value.hint) == (74, "move the file away")


@pytest.mark.parametrize("junk", [b"xx", b"not a database\n" * 300, b"\0" * 4096, os.urandom(10_000)])
def test_garbage_is_refused_with_a_hint_and_left_alone(path: Path, junk: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(junk)
    with pytest.raises(IoError) as caught:
        content(Store(path, "me"))
    assert caught.value.exit_code == 74
    assert caught.value.hint
    assert path.read_bytes() == junk


def test_a_folder_in_the_files_place_is_an_io_error(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(IoError, match="is not a regular file"):
        Store(path, "me")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Any]:
    """A closed file of some pages, and what it holds."""
    work = Workload(tmp_path_factory.mktemp("good") / "outbox.sqlite", 3)
    for _ in work.steps(60):
        pass
    held = content(work.store)
    work.store.close()
    assert len(held[0]) > 3
    return work.path.read_bytes(), held


def outcome(path: Path, files: dict[str, bytes]) -> Any:
    """What a store made of these files says, or its error."""
    for old in path.parent.iterdir():
        old.unlink()
    for suffix, data in files.items():
        path.with_name(path.name + suffix).write_bytes(data)
    try:
        with closing(Store(path, "me")) as store:
            return content(store)
    except IoError as error:
        return error


@pytest.mark.timeout(900 if STRIDE == 1 else 60)
def test_a_file_cut_at_any_byte_is_refused_or_whole_and_never_silently_empty(
    path: Path, good: tuple[bytes, Any]
) -> None:
    data, held = good
    path.parent.mkdir()
    near = {edge + by for edge in range(0, len(data), PAGE_BYTES) for by in (-1, 0, 1, 100)}
    for size in sorted({*range(2, len(data), STRIDE), *near} & set(range(2, len(data)))):
        told = outcome(path, {"": data[:size]})
        assert told == held or (isinstance(told, IoError) and told.exit_code == 74 and told.hint), size


@pytest.mark.parametrize("page", range(8))
def test_a_page_that_became_garbage_is_no_crash(path: Path, good: tuple[bytes, Any], page: int) -> None:
    data, held = good
    path.parent.mkdir()
    for junk in (b"\0" * PAGE_BYTES, b"\xff" * PAGE_BYTES, os.urandom(PAGE_BYTES)):
        told = outcome(path, {"": data[: page * PAGE_BYTES] + junk + data[(page + 1) * PAGE_BYTES :]})
        assert isinstance(told, IoError) or (page and len(told) == len(held))  # SQLite has no checksums of pages


@pytest.mark.parametrize("rest", [b"", b"S"])
def test_a_file_that_lost_its_bytes_beside_its_journal_is_not_silently_empty(path: Path, rest: bytes) -> None:
    with closing(Store(path, "me")) as store:
        store.write(ACCOUNT, entries(3), None, [], 0)
        journal = path.with_name(path.name + "-wal").read_bytes()
    assert isinstance(outcome(path, {"": rest, "-wal": journal}), IoError)


def test_a_file_of_one_byte_is_garbage_too(path: Path) -> None:
    path.parent.mkdir()
    assert isinstance(outcome(path, {"": b"S"}), IoError)


def test_a_stranger_in_the_same_transaction_is_waited_for_and_then_an_io_error(store: Store, path: Path) -> None:
    store._database.execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(IoError, match="another process keeps it locked") as caught:
            store.write(ACCOUNT, entries(1), None, [], 0)
        assert caught.value.exit_code == 74
    store.write(ACCOUNT, entries(1), None, [], 0)
    assert len(store.entries(ACCOUNT)) == 1


def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(store: Store) -> None:
    good, bad = entries(2)
    bad.xml = None  # type: ignore[assignment]
    with pytest.raises(IoError, match="NOT NULL"):
        store.write(ACCOUNT, [good, bad], None, [], 0)
    assert store.entries(ACCOUNT) == []
    store.write(ACCOUNT, entries(1), None, [], 0)
    assert len(store.entries(ACCOUNT)) == 1


def test_a_proof_of_what_a_former_run_never_sent_is_forgotten(store: Store) -> None:
    store.begin(ACCOUNT)
    store.prove(100, b"as before")
    store.prove(300, b"never sent, and the input was changed there since")
    store.prove(250, b"as it is now")
    assert (store.proof(400), store.proof(200)) == ((250, b"as it is now"), (100, b"as before"))
