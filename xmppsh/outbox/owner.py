"""Who owns a row: a process, known by a lock that dies with it.

The lock file also tells which stores the process writes to, so that whoever comes after its death finds what it left.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.brief_json import loads, quoted
from xmppsh.config.ours import make_folder, open_private, read_private, write_all
from xmppsh.config.paths import STATE_HINT
from xmppsh.errors import IoError, translate
from xmppsh.plain import dataclass
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GUARD = "guard"  # the role that closes a dead process's sessions, and is gone soon
RETRY = "retry"  # the role of `outbox retry`, for the messages that it has taken over from dead processes
SUFFIX = ".lock"


class StoreInUse(IoError):
    """A living process has something in this file."""

    default_hint = "wait for its end"


class Owner:
    """This process's lock file in a folder; its name is written into the rows that belong to it.

    The file is made by `take`: a process that stores nothing leaves no trace.
    """

    def __init__(self, folder: Path, role: str = "process") -> None:
        self._folder = folder
        self.name = f"{role}-{os.getpid()}-{os.urandom(6).hex()}"
        self._fd: int | None = None

    def with_role(self, role: str) -> Owner:
        """Another name of this process, with a lock of its own."""
        return Owner(self._folder, role)

    def take(self, account: str, store: Path) -> None:
        """Take the lock, before anything is written to this account's store; raises IoError (74)."""
        line = f'{{"account": {quoted(account)}, "store": {quoted(str(store.absolute()))}}}\n'
        if self._fd is None:
            try:
                make_folder(self._folder)
                self._fd = self._locked()
            except OSError as error:
                raise IoError(f"{error.filename or self._folder}: {os_reason(error)}", hint=STATE_HINT) from error
        with translate(OSError, lambda reason: IoError(f"{self._folder}: {reason.lower()}")):
            write_all(self._fd, line.encode())

    def _locked(self) -> int:
        path = _path(self._folder, self.name)
        while True:
            fd = open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_at(path, fd):
                return fd
            os.close(fd)  # somebody cleared it away, before the lock was ours

    def is_alive(self, name: str) -> bool:
        """Does the process of that name still run?"""
        return name == self.name or is_alive(self._folder, name)

    def forget_dead(self) -> None:
        """Clear the locks of dead processes away, where nothing is found by them."""
        for process in processes(self._folder):
            if not process.alive:
                forget(self._folder, process.name)

    def close(self, *, leaves: bool = False) -> None:
        """Give the lock up. leaves: something stays behind, as after a death, and is to be found by the file."""
        if self._fd is not None:
            if not leaves:
                _path(self._folder, self.name).unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None


def only_run(path: Path) -> int | None:
    """Lock a checkpoint file for this run, as long as the descriptor stays open: two that begin one in the same moment,
    with nothing in it, would both send everything. None where the file system has no locks; raises StoreInUse.

    The descriptor is closed after SQLite's, since that takes SQLite's own locks on the file away.
    """
    try:
        fd = open_private(os.path.realpath(path), os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreInUse(f"{path} is in use by another xmppsh") from None
    except OSError:
        return None
    return fd


def is_settling(name: str) -> bool:
    """Does a process of that name hold what others left, to find out its fate? Any other holds what is its own."""
    return name.startswith((f"{GUARD}-", f"{RETRY}-"))


def for_people(name: str) -> str:
    """The role and the process id, as in `guard 4711`."""
    return " ".join(name.split("-")[:2])


@dataclass(frozen=True)
class Process:
    """A process by its lock; stores: the account and the file of each."""

    name: str
    alive: bool
    stores: tuple[tuple[str, Path], ...]


def processes(folder: Path, on_closed: Callable[[IoError], None] = lambda _: None) -> list[Process]:
    """All that have a lock in this folder, dead ones too; the oldest lock first.

    on_closed: is told of each lock that we cannot open, as one that root left is; its process is neither known to be
    alive nor to be dead, and left out.
    """
    found: list[Process] = []
    with translate(OSError, lambda reason: IoError(f"{folder}: {reason.lower()}", hint=STATE_HINT)):
        paths = sorted(folder.glob("*" + SUFFIX), key=_age) if folder.is_dir() else []
        for path in paths:
            try:
                found.append(Process(path.stem, is_alive(folder, path.stem), _stores(path)))
            except IoError as error:
                on_closed(error)
    return found


def is_alive(folder: Path, name: str) -> bool:
    """Does the process of that name hold its lock?"""
    with _unlocked(folder, name) as dead:
        return not dead


def forget(folder: Path, name: str) -> bool:
    """Clear a dead process's lock away, once nothing is left to find by it; False when it is alive."""
    with _unlocked(folder, name) as dead:
        if dead:
            _path(folder, name).unlink(missing_ok=True)
        return dead


@contextmanager
def _unlocked(folder: Path, name: str) -> Iterator[bool]:
    """Whether nobody holds this lock. A shared lock asks, so that two who ask do not take each other for its owner."""
    path = _path(folder, name)
    try:
        fd = open_private(path, os.O_RDWR)
    except FileNotFoundError:
        yield True
        return
    except OSError as error:
        # Taking a living process's stanzas would send them twice.
        raise IoError(f"{path}: {os_reason(error)}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            dead = False
        else:
            dead = True
        yield dead
    finally:
        os.close(fd)


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}{SUFFIX}"


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # it ended meanwhile


def _stores(path: Path) -> tuple[tuple[str, Path], ...]:
    try:
        lines = read_private(path).splitlines()
    except FileNotFoundError:
        return ()
    entries = [entry for line in lines if (entry := _entry(line)) is not None]
    return tuple(dict.fromkeys(entries))


def _entry(line: bytes) -> tuple[str, Path] | None:
    """A line of a lock file; None for one that a full disk or a power cut left in half."""
    try:
        entry = loads(line.decode())
        return str(entry["account"]), Path(entry["store"])
    except (ValueError, KeyError, TypeError):
        return None
