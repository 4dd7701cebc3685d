"""A row's owner is a process, and is alive as long as that process is; its lock tells where to look for its rows."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from xmppsh.errors import IoError
from xmppsh.outbox import owner as owner_module
from xmppsh.outbox.owner import GUARD, Owner, Process, forget, is_alive, processes

ROOT = Path(__file__).parents[2]
ACCOUNT = "juliet@example.org"
STORE = Path("/state/outbox/juliet.sqlite")
DEADLINE_S = 10.0
PROGRAM = """
import sys
from pathlib import Path
from xmppsh.outbox.owner import Owner
owner = Owner(Path(sys.argv[1]))
owner.take("juliet@example.org", Path("progress"))
print(owner.name, flush=True)
sys.stdin.read()
owner.close()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that has taken its lock."""
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        yield child, child.stdout.readline().strip()


def taken(folder: Path, role: str = "process") -> Owner:
    owner = Owner(folder, role)
    owner.take(ACCOUNT, STORE)
    return owner


def dead(folder: Path) -> str:
    """The name of an owner that died as a killed process does."""
    owner = taken(folder)
    assert owner._fd is not None
    os.close(owner._fd)
    return owner.name


def lock(folder: Path, name: str) -> Path:
    return folder / f"{name}.lock"


# ── The lock ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_takes_nothing_leaves_no_trace(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "locks")
    assert owner.is_alive(owner.name)
    owner.close()
    assert list(tmp_path.iterdir()) == []
    assert processes(tmp_path / "locks") == []


def test_the_lock_is_private_and_so_is_its_folder(tmp_path: Path) -> None:
    owner = taken(tmp_path / "locks")
    (file,) = (tmp_path / "locks").iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == (f"{owner.name}.lock", 0o600)
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    owner.close()
    assert list((tmp_path / "locks").iterdir()) == []
    owner.close()  # nothing more to give up


def test_a_lock_can_be_taken_again_after_it_was_given_up(tmp_path: Path) -> None:
    owner = taken(tmp_path)
    owner.close()
    assert not is_alive(tmp_path, owner.name)
    owner.take(ACCOUNT, STORE)
    assert is_alive(tmp_path, owner.name)
    owner.close()


def test_a_lock_that_is_cleared_away_before_it_is_held_is_taken_again(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    path = lock(tmp_path, owner.name)
    with path.open("w") as probe, ThreadPoolExecutor(1) as thread:
        fcntl.flock(probe, fcntl.LOCK_SH)  # somebody asks for it, and finds it dead
        took = thread.submit(owner.take, ACCOUNT, STORE)
        while os.fstat(probe.fileno()).st_nlink == 1:
            if _waits_for(path):
                path.unlink()
        fcntl.flock(probe, fcntl.LOCK_UN)
        took.result(DEADLINE_S)
    assert [(one.name, one.alive) for one in processes(tmp_path)] == [(owner.name, True)]
    owner.close()


def _waits_for(path: Path) -> bool:
    """Does somebody wait for the lock of this file?"""
    inode = f":{path.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_a_folder_that_cannot_be_made_is_an_io_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    owner = Owner(tmp_path / "file" / "locks")
    with pytest.raises(IoError) as caught:
        owner.take(ACCOUNT, STORE)
    assert caught.value.exit_code == 74
    assert str(caught.value) == f"{tmp_path / 'file'}: not a directory"
    assert "XDG_STATE_HOME" in (caught.value.hint or "")


# ── Life and death ──────────────────────────────────────────────────────────────────────────────────────────────


def test_two_owners_of_one_process_are_two(tmp_path: Path) -> None:
    first, second = taken(tmp_path), taken(tmp_path, GUARD)
    assert first.name != second.name
    assert (first.name.startswith("process-"), second.name.startswith("guard-")) == (True, True)
    assert first.is_alive(first.name)
    assert first.is_alive(second.name)
    second.close()
    assert not first.is_alive(second.name)
    first.close()


def test_another_process_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    with another_process(tmp_path) as (child, name):
        assert is_alive(tmp_path, name)
        child.send_signal(signal.SIGSTOP)  # a stopped one is alive
        assert is_alive(tmp_path, name)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not is_alive(tmp_path, name)
    assert lock(tmp_path, name).exists(), "it tells where to look for what the dead one left"


def test_another_process_that_ends_takes_its_lock_with_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as (child, name):
        child.communicate("")
    assert list(tmp_path.iterdir()) == []
    assert not is_alive(tmp_path, name)


def test_a_child_that_is_started_later_does_not_hold_the_lock(tmp_path: Path) -> None:
    held = taken(tmp_path)
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert held._fd is not None
        os.close(held._fd)  # as the process's death does it
        assert not is_alive(tmp_path, held.name)
        child.communicate(b"")


def test_who_asks_is_not_taken_for_the_owner_by_others_who_ask(tmp_path: Path) -> None:
    name = dead(tmp_path)
    with owner_module._unlocked(tmp_path, name) as is_dead:
        assert is_dead
        assert not is_alive(tmp_path, name)
        assert [one.alive for one in processes(tmp_path)] == [False]


@pytest.mark.parametrize("name", ["", "1-never", "nobody"])
def test_a_name_without_a_lock_is_dead(tmp_path: Path, name: str) -> None:
    assert not is_alive(tmp_path, name)


def test_only_a_dead_ones_lock_is_cleared_away_and_only_on_request(tmp_path: Path) -> None:
    owner, name = taken(tmp_path), dead(tmp_path)
    for _ in range(2):
        assert not owner.is_alive(name)
        assert [one.name for one in processes(tmp_path) if not one.alive] == [name]
    assert not forget(tmp_path, owner.name)
    assert lock(tmp_path, owner.name).exists()
    assert forget(tmp_path, name)
    assert forget(tmp_path, name), "somebody else did it"
    assert [one.name for one in processes(tmp_path)] == [owner.name]
    owner.close()


# ── What a lock tells ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_lock_tells_every_store_that_its_process_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = 'a "store"\nof two lines é'
    owner = taken(tmp_path / "locks")
    owner.take("romeo@example.net", Path(odd))
    owner.take(ACCOUNT, STORE)  # told already
    stores = ((ACCOUNT, STORE), ("romeo@example.net", tmp_path / odd))
    assert processes(tmp_path / "locks") == [Process(owner.name, True, stores)]
    assert len(lock(tmp_path / "locks", owner.name).read_bytes().splitlines()) == 3
    owner.close()


def test_a_killed_process_is_found_with_its_store_by_an_absolute_path(tmp_path: Path) -> None:
    with another_process(tmp_path) as (child, name):
        child.send_signal(signal.SIGKILL)
    assert processes(tmp_path) == [Process(name, False, ((ACCOUNT, ROOT / "progress"),))]


@pytest.mark.parametrize(
    "junk",
    [
        *("", "{", '{"account": "juliet@exa', "[]", "null", "7", '"x"', "\0\0\0"),
        '{"account": "x"}',
        '{"store": "/x"}',
        '{"account": "x", "store": null}',
        '{"account": "x", "store": 7}',
    ],
)
def test_a_line_that_was_written_in_half_is_left_out(tmp_path: Path, junk: str) -> None:
    whole = json.dumps({"account": ACCOUNT, "store": str(STORE)})
    lock(tmp_path, "process-1-a").write_text(f"{whole}\n{junk}")
    lock(tmp_path, "process-2-b").write_text(junk)
    found = {one.name: one.stores for one in processes(tmp_path)}
    assert found == {"process-1-a": ((ACCOUNT, STORE),), "process-2-b": ()}


def test_a_line_of_bytes_that_are_no_text_is_left_out(tmp_path: Path) -> None:
    whole = json.dumps({"account": ACCOUNT, "store": str(STORE)}).encode()
    lock(tmp_path, "process-1-a").write_bytes(whole + b"\n\xff\xfe\x80")
    assert [one.stores for one in processes(tmp_path)] == [((ACCOUNT, STORE),)]


def test_the_oldest_lock_comes_first_and_other_files_are_none(tmp_path: Path) -> None:
    for age, name in enumerate(["process-3-c", "guard-1-a", "process-2-b"]):
        lock(tmp_path, name).touch()
        os.utime(lock(tmp_path, name), (0, 1000 - age))
    (tmp_path / "notes.txt").touch()
    assert [one.name for one in processes(tmp_path)] == ["process-2-b", "guard-1-a", "process-3-c"]
