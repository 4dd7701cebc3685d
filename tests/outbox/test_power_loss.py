"""The power goes at any moment: what was promised to be on disk is there, and nothing acked is sent again.

A workload runs under a recorder of SQLite's own disk calls (recorder.py), and the disk after a cut is built from them:
everything before a file's last sync is there; of the writes behind it any subset, torn at sectors of 512 bytes, and
any of its truncations. The -shm file is missing or garbage.
Covered: each prefix of the calls in order, creation and checkpoints and reopening included, and random subsets.
Not covered: a disk that lies about a sync, a bit that flips later, the folder's entries (a deletion counts as done).
The test is stricter than its promise: the file must equal the content behind one step, not older than the last durable.

`XMPPSH_SOAK=1` takes every prefix and 10,000 subsets, and another seed each time.
"""

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from outbox.recorder import Call, Recording
from outbox.workload import EMPTY, content

from xmppsh.outbox.store import Store

ROOT = Path(__file__).parents[2]
SOAK = os.environ.get("XMPPSH_SOAK") == "1"
SEED = int(os.environ.get("XMPPSH_SEED", random.randrange(10**6) if SOAK else 1))
STEPS = 250 if SOAK else 120
SUBSETS = 10_000 if SOAK else 500
PREFIX_STRIDE = 1 if SOAK else 5
SECTOR = 512
Images = dict[str, bytes]


class File:
    """One file: what is on the disk for certain, and what is on its way."""

    def __init__(self) -> None:
        self.synced: bytes | None = None
        self.pending: list[Call] = []

    def image(self, keeps: Any) -> bytes | None:
        """The file after a cut; keeps() says whether the next piece of what is pending got through."""
        data = None if self.synced is None else bytearray(self.synced)
        for call in self.pending:
            for offset, piece in _pieces(call):
                if not keeps():
                    continue
                data = bytearray() if data is None else data
                if call.what == "truncate":
                    data = data[:offset].ljust(offset, b"\0")
                else:
                    data = data.ljust(offset, b"\0")
                    data[offset : offset + len(piece)] = piece
        return None if data is None else bytes(data)

    def sync(self) -> None:
        self.synced, self.pending = self.image(lambda: True) or b"", []


def _pieces(call: Call) -> Iterator[tuple[int, bytes]]:
    if call.what == "truncate":
        yield call.offset, b""
    position = 0
    while position < len(call.data):
        size = min(SECTOR - (call.offset + position) % SECTOR, len(call.data) - position)
        yield call.offset + position, call.data[position : position + size]
        position += size


class Disk:
    """The files while the calls are played; `done`: how many steps of the workload are over."""

    def __init__(self, recording: Recording) -> None:
        self.files: dict[str, File] = {}
        self.done, self.recording = 0, recording

    def play(self) -> Iterator[int]:
        """Carry out one call after the other; gives the number of those done."""
        for position, call in enumerate(self.recording.calls):
            file = self.files.setdefault(call.file, File())
            match call.what:
                case "step":
                    self.done += 1
                case "sync":
                    file.sync()
                case "delete":
                    del self.files[call.file]
                case _:
                    file.pending.append(call)
            yield position

    def images(self, keeps: Any) -> Images:
        made = {suffix: file.image(keeps) for suffix, file in self.files.items()}
        return {suffix: data for suffix, data in made.items() if data is not None}

    def check(self, images: Images) -> None:
        """Start again from these files."""
        with TemporaryDirectory(dir=_fast_folder()) as folder:
            path = Path(folder) / "outbox.sqlite"
            for suffix, data in images.items():
                path.with_name(path.name + suffix).write_bytes(data)
            store = Store(path, "again")
            found = content(store)
            store.close()
        seen = self.recording
        durable = max((step for step in range(self.done) if seen.durable[step]), default=-1)
        allowed = seen.contents[max(durable, 0) : self.done + 1] + ([EMPTY] if durable < 0 else [])
        assert found in allowed, f"step {self.done}, durable up to {durable}"
        finished = seen.finished[self.done - 1] if self.done else frozenset()
        again = [stanza for stanza in found[0] if stanza[4] in finished]
        assert all(stanza[6] == "sent" for stanza in again), "a finished stanza would be sent without proof"


def _fast_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@cache
def recorded() -> Recording:
    with TemporaryDirectory(dir=_fast_folder()) as folder:
        log = Path(folder) / "log"
        arguments = [str(Path(folder) / "outbox.sqlite"), str(SEED), str(STEPS), str(log)]
        path = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
        subprocess.run(
            [sys.executable, "-m", "outbox.recorder", *arguments],
            check=True,
            cwd=os.environ.get("XMPPSH_PLANTED", ROOT),  # a copy with a fault, to see that it is found
            env={**os.environ, "PYTHONPATH": path},
        )
        plain = pickle.loads(log.read_bytes())
    return Recording(**{**plain, "calls": [Call(*call) for call in plain["calls"]]})


def test_the_recording_holds_what_the_model_needs() -> None:
    recording = recorded()
    kinds = {(call.what, call.file) for call in recording.calls}
    assert {("write", ""), ("write", "-wal"), ("sync", ""), ("sync", "-wal"), ("delete", "-journal")} <= kinds
    assert recording.calls.count(Call("sync", "")) > 3, "too few checkpoints"
    assert len(recording.contents) > STEPS // 2


@pytest.mark.timeout(900 if SOAK else 60)
def test_after_a_cut_between_any_two_writes_the_store_is_as_it_was() -> None:
    print(f"seed {SEED}")
    disk = Disk(recorded())
    for position in disk.play():
        if position % PREFIX_STRIDE == 0:
            disk.check(disk.images(lambda: True))


@pytest.mark.timeout(3600 if SOAK else 60)
def test_after_a_cut_that_loses_any_unsynced_sectors_the_store_is_as_it_was() -> None:
    chance = random.Random(SEED)
    print(f"seed {SEED}, {SUBSETS} subsets")
    recording = recorded()
    disk = Disk(recording)
    wanted = sorted(chance.choices(range(len(recording.calls)), k=SUBSETS))
    for position in disk.play():
        while wanted and wanted[0] == position:
            wanted.pop(0)
            share = chance.choice([0.0, 0.1, 0.5, 0.9, 0.99])
            images = disk.images(lambda share=share: chance.random() < share)
            if chance.random() < 0.3:
                images["-shm"] = chance.randbytes(32768)
            disk.check(images)
