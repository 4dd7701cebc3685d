"""A row's owner is a process, and is alive as long as that process is."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xmppsh.errors import IoError
from xmppsh.outbox.owner import Owner

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from xmppsh.outbox.owner import Owner
owner = Owner(Path(sys.argv[1]))
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


def test_the_lock_is_private_and_so_is_its_folder(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "locks")
    (lock,) = (tmp_path / "locks").iterdir()
    assert (lock.name, stat.S_IMODE(lock.stat().st_mode)) == (f"{owner.name}.lock", 0o600)
    assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700
    owner.close()
    assert list((tmp_path / "locks").iterdir()) == []


def test_two_owners_of_one_process_are_two(tmp_path: Path) -> None:
    first, second = Owner(tmp_path), Owner(tmp_path)
    assert first.name != second.name
    assert first.is_alive(first.name)
    assert first.is_alive(second.name)
    second.close()
    assert not first.is_alive(second.name)
    first.close()


def test_another_process_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    with another_process(tmp_path) as (child, name):
        assert owner.is_alive(name)
        child.send_signal(signal.SIGSTOP)  # a stopped one is alive
        assert owner.is_alive(name)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert (tmp_path / f"{name}.lock").exists()
    assert not owner.is_alive(name)
    assert not (tmp_path / f"{name}.lock").exists(), "a dead one's lock is cleared away"
    assert not owner.is_alive(name)
    owner.close()


def test_another_process_that_ends_takes_its_lock_with_it(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    with another_process(tmp_path) as (child, name):
        child.communicate("")
    assert list(tmp_path.iterdir()) == [tmp_path / f"{owner.name}.lock"]
    assert not owner.is_alive(name)
    owner.close()


def test_a_child_that_is_started_later_does_not_hold_the_lock(tmp_path: Path) -> None:
    held, asking = Owner(tmp_path), Owner(tmp_path)
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.close(held._fd)  # as the process's death does it
        assert not asking.is_alive(held.name)
        child.communicate(b"")
    asking.close()


@pytest.mark.parametrize("name", ["", "1-never", "nobody"])
def test_a_name_without_a_lock_is_dead(tmp_path: Path, name: str) -> None:
    owner = Owner(tmp_path)
    assert not owner.is_alive(name)
    owner.close()


def test_a_folder_that_cannot_be_made_is_an_io_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IoError) as caught:
        Owner(tmp_path / "file" / "locks")
    assert caught.value.exit_code == 74
    assert str(caught.value) == f"{tmp_path / 'file' / 'locks'}: not a directory"
