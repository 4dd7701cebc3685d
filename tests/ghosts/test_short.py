"""The short form of what `make ghosts` measures: once each, with room for a busy machine. Seeds are printed."""

import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support.namespaces import Network
from support.servers import Server

from ghosts.kills import both_killed, killed
from ghosts.result import Round
from ghosts.storm import storm
from ghosts.subjects import PROGRAMS, Subject

ROOT = Path(__file__).resolve().parents[2]
STARTS = 5
MESSAGES = 150
GONE_WITHIN_S = 6.0  # without a guard it takes two minutes
WITNESSED_WITHIN_S = 20.0


@pytest.fixture
def seed() -> int:
    return random.randrange(2**31)


def assert_kept(shown: Round, within_s: float | None = None) -> None:
    """Every promise of this round was kept."""
    print(shown.line)
    assert not shown.broken, f"{shown.line}\n{shown.report}"
    if within_s is not None:
        assert shown.seconds is not None
        assert shown.seconds < within_s


@pytest.mark.parametrize("kind", PROGRAMS, ids=lambda kind: kind.__name__.lower())
async def test_the_guard_closes_the_session_of_a_killed_program(
    server: Server, tmp_path: Path, seed: int, kind: type[Subject]
) -> None:
    assert_kept(await killed(server, tmp_path / "round", kind, seed=seed, messages=MESSAGES), GONE_WITHIN_S)


async def test_the_next_command_closes_what_a_killed_guard_left(server: Server, tmp_path: Path) -> None:
    assert_kept(await both_killed(server, tmp_path / "round", "sessions reap"), GONE_WITHIN_S)


async def test_starts_and_kills_at_random_moments_leave_nothing(server: Server, tmp_path: Path, seed: int) -> None:
    assert_kept(await storm(server, tmp_path / "round", seed=seed, starts=STARTS))


def test_the_witness_closes_the_session_behind_a_pulled_cable(tmp_path: Path) -> None:
    if missing := Network.missing():
        pytest.skip(missing)
    results = tmp_path / "results"
    command = [sys.executable, "-m", "tests.ghosts", "--only", "cable", "--server", "prosody", "--runs", "1"]
    ran = subprocess.run([*command, "--results", str(results)], cwd=ROOT, capture_output=True, text=True, check=False)
    print(ran.stdout, ran.stderr)
    (shown,) = pickle.loads(results.read_bytes())
    assert_kept(shown, WITNESSED_WITHIN_S)
