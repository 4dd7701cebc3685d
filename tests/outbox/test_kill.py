"""kill -9 at a random moment: the store is behind the last step that was over, or behind the one in progress."""

import os
import random
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from outbox.workload import EMPTY, Content, Workload, content

from xmppsh.outbox.store import Store

ROOT = Path(__file__).parents[2]
SOAK = os.environ.get("XMPPSH_SOAK") == "1"
ROUNDS = 200 if SOAK else 20
SEED = int(os.environ.get("XMPPSH_SEED", random.randrange(10**6) if SOAK else 1))
STEPS = 400
MAX_SPIN = 20_000


@cache
def expected(seed: int) -> list[Content]:
    """The content behind each step, from a run that nobody kills."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        work = Workload(Path(folder) / "outbox.sqlite", seed)
        contents = [content(work.store) for _ in work.steps(STEPS)]
        work.store.close()
    return contents


@pytest.mark.parametrize("number", range(ROUNDS))
def test_after_a_kill_nothing_is_lost_and_nothing_that_was_finished_is_back(number: int, tmp_path: Path) -> None:
    chance = random.Random(f"{SEED}/{number}")
    print(f"seed {SEED}/{number}")
    path, seed = tmp_path / "outbox.sqlite", SEED + number % 3
    child = subprocess.Popen(
        [sys.executable, "-m", "outbox.workload", str(path), str(seed), str(STEPS)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )
    assert child.stdout is not None
    with child:
        lines = [child.stdout.readline() for _ in range(chance.randrange(1, 150))]
        for _ in range(chance.randrange(MAX_SPIN)):  # somewhere inside a later step
            pass
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL, "it was over too early"
    done = sum(1 for line in lines if line.endswith(b"\n"))

    store = Store(path, "again")
    found = content(store)
    store.close()
    contents = expected(seed)
    assert found in (contents[done - 1] if done else EMPTY, contents[done])
