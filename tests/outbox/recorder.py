"""Writes down what SQLite does to the disk: every write, truncation, sync and deletion, in order.

The functions of SQLite's own VFS are replaced, in this process, by ones that note the call and pass it on. To be run
as a program, `python -m outbox.recorder FILE SEED STEPS LOG`, which records a workload and pickles what it saw.
"""

import ctypes
import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

POINTER = ctypes.c_void_p
OPEN = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, ctypes.c_int, POINTER)
DELETE = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, ctypes.c_int)
WRITE = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, ctypes.c_int, ctypes.c_int64)
TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, ctypes.c_int64)
SYNC = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, ctypes.c_int)
SUFFIXES = ("-wal", "-journal", "-shm")
CHECKPOINT_PAGES = 40  # instead of 1000: more checkpoints, smaller images


class Vfs(ctypes.Structure):
    """sqlite3_vfs, as far as it is needed."""

    _fields_ = [
        *(("version", ctypes.c_int), ("os_file", ctypes.c_int), ("max_path", ctypes.c_int), ("next", POINTER)),
        *(("name", POINTER), ("data", POINTER), ("open", POINTER), ("delete", POINTER)),
    ]


class Methods(ctypes.Structure):
    """sqlite3_io_methods, version 3."""

    _fields_ = [
        *(("version", ctypes.c_int), ("close", POINTER), ("read", POINTER), ("write", POINTER)),
        *(("truncate", POINTER), ("sync", POINTER), ("rest", POINTER * 13)),
    ]


class Call(NamedTuple):
    """One thing SQLite did: `write`, `truncate`, `sync`, `delete`; `step` when a step of the workload was over."""

    what: str
    file: str = ""
    offset: int = 0
    data: bytes = b""


@dataclass
class Recording:
    """The calls in order; contents: what the store held behind each step, and whether that step was durable."""

    calls: list[Call] = field(default_factory=list)
    contents: list[Any] = field(default_factory=list)
    durable: list[bool] = field(default_factory=list)
    finished: list[frozenset[str]] = field(default_factory=list)


class Recorder:
    """Sits in SQLite's VFS for the rest of the process."""

    def __init__(self, recording: Recording) -> None:
        self._calls = recording.calls
        self._keep: list[Any] = []  # what C points to
        self._files: dict[int, str] = {}
        self._tables: dict[int, Methods] = {}
        library = ctypes.CDLL("libsqlite3.so.0")
        library.sqlite3_vfs_find.restype = ctypes.POINTER(Vfs)
        vfs = library.sqlite3_vfs_find(None).contents
        self._open, self._delete = OPEN(vfs.open), DELETE(vfs.delete)
        vfs.open, vfs.delete = self._pointer(OPEN(self._on_open)), self._pointer(DELETE(self._on_delete))

    def _pointer(self, function: Any) -> int | None:
        self._keep.append(function)
        return ctypes.cast(function, POINTER).value

    @staticmethod
    def _suffix(name: int) -> str:
        text = ctypes.string_at(name).decode()
        return next((suffix for suffix in SUFFIXES if text.endswith(suffix)), "")

    def _on_open(self, vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        code: int = self._open(vfs, name, file, flags, out)
        place = POINTER.from_address(file)
        if code == 0 and name is not None and place.value:
            self._files[file] = self._suffix(name)
            if place.value not in self._tables:
                self._tables[place.value] = self._wrapped(place.value)
            place.value = ctypes.addressof(self._tables[place.value])
        return code

    def _wrapped(self, address: int) -> Methods:
        table = Methods.from_buffer_copy(ctypes.string_at(address, ctypes.sizeof(Methods)))
        write, truncate = WRITE(table.write), TRUNCATE(table.truncate)
        sync = SYNC(table.sync)

        def on_write(file: int, data: int, size: int, offset: int) -> int:
            self._calls.append(Call("write", self._files[file], offset, ctypes.string_at(data, size)))
            return write(file, data, size, offset)

        def on_truncate(file: int, size: int) -> int:
            self._calls.append(Call("truncate", self._files[file], size))
            return truncate(file, size)

        def on_sync(file: int, flags: int) -> int:
            code: int = sync(file, flags)
            self._calls.append(Call("sync", self._files[file]))
            return code

        table.write, table.truncate = self._pointer(WRITE(on_write)), self._pointer(TRUNCATE(on_truncate))
        table.sync = self._pointer(SYNC(on_sync))
        return table

    def _on_delete(self, vfs: int, name: int, sync: int) -> int:
        self._calls.append(Call("delete", self._suffix(name)))
        return self._delete(vfs, name, sync)


KEPT: list[Recorder] = []  # SQLite calls it to the end of the process


def record(path: Path, seed: int, steps: int) -> Recording:
    """Run a workload under the recorder."""
    recording = Recording()
    KEPT.append(Recorder(recording))
    # Behind the recorder: sqlite3 must not have opened anything before.
    from outbox.workload import Workload, content

    work = Workload(path, seed)
    for name, durable in work.steps(steps):
        if name in ("begin", "reopen"):
            work.store._database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        recording.calls.append(Call("step"))
        before, after = recording.contents[-1:], content(work.store)
        recording.contents.append(after)
        recording.durable.append(durable and before != [after])  # what changes nothing writes and syncs nothing
        recording.finished.append(frozenset(work.finished))
    return recording


if __name__ == "__main__":
    seen = record(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    plain = {"calls": [tuple(call) for call in seen.calls], "contents": seen.contents}
    plain |= {"durable": seen.durable, "finished": seen.finished}
    Path(sys.argv[4]).write_bytes(pickle.dumps(plain))
