"""The short form of each soak run; `make soak` runs the same with larger numbers. Seeds are random and printed."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.servers import Server

from soak.delivery import chaos, kills
from soak.endings import black_hole, gone, handshake, server_killed
from soak.handlers import handlers
from soak.load import LOADS, loaded
from soak.reading import flood, stopped_reader
from soak.restarts import WAYS, Way, restarts
from soak.result import Result
from soak.withheld import withheld_acks

pytestmark = [pytest.mark.timeout(300), pytest.mark.either_server]

MESSAGES, FAULTS, KILLS = 400, 5, 3
LOAD_QUIET_S = 3.0
WINDOW = 20  # so that the faults fall into the traffic and not behind it
LONG_LOADS = [("ejabberd", "load"), ("prosody", "busy"), ("ejabberd", "late")]


@pytest.fixture
def seed() -> int:
    return random.randrange(2**32)


def assert_kept(*results: Result) -> None:
    """Every promise of these runs was kept."""
    for result in results:
        print(result.line)
    broken = [result.details for result in results if result.broken]
    assert not broken, "\n\n".join(broken)


@pytest.mark.long
async def test_without_faults_everything_arrives_once(server: Server, tmp_path: Path, seed: int) -> None:
    assert_kept(await chaos(server, tmp_path / "run", seed=seed, messages=MESSAGES, faults=0))


async def test_faults_lose_double_and_reorder_nothing(server: Server, tmp_path: Path, seed: int) -> None:
    assert_kept(await chaos(server, tmp_path / "run", seed=seed, messages=MESSAGES, faults=FAULTS, window=WINDOW))


@pytest.mark.long
async def test_nor_does_a_session_that_a_third_party_ended(server: Server, tmp_path: Path, seed: int) -> None:
    result = await chaos(server, tmp_path / "run", seed=seed, messages=MESSAGES, faults=FAULTS, kicks=2, window=WINDOW)
    assert_kept(result)


@pytest.mark.long
@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_without_an_archive_the_exit_code_is_honest(
    start_server: Callable[..., Server], tmp_path: Path, seed: int, name: str
) -> None:
    server = start_server(name, archive=False)
    result = await chaos(server, tmp_path / "run", seed=seed, messages=MESSAGES, faults=FAULTS, kicks=2, window=WINDOW)
    assert_kept(result)


# `make soak` has each load on both.
@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("prosody", "load"),
        ("ejabberd", "in-flight"),
        *(pytest.param(*case, marks=pytest.mark.long) for case in LONG_LOADS),
    ],
)
async def test_load_neither_loses_nor_doubles(
    request: pytest.FixtureRequest, tmp_path: Path, seed: int, name: str, load: str
) -> None:
    server: Server = request.getfixturevalue(name)
    size = {"messages": MESSAGES, "faults": 2, "quiet_s": LOAD_QUIET_S}
    assert_kept(await loaded(server, tmp_path / "run", LOADS[load], seed=seed, **size))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_without_an_archive_nothing_is_sent_twice(
    start_server: Callable[..., Server], tmp_path: Path, seed: int, name: str
) -> None:
    server = start_server(name, archive=False)
    size = {"messages": MESSAGES, "faults": 2, "quiet_s": LOAD_QUIET_S}
    assert_kept(await loaded(server, tmp_path / "run", LOADS["load"], seed=seed, **size))  # type: ignore[arg-type]


@pytest.mark.parametrize("pauses", [False, pytest.param(True, marks=pytest.mark.long)], ids=["at-once", "pauses"])
async def test_a_checkpoint_survives_kill_9(server: Server, tmp_path: Path, seed: int, pauses: bool) -> None:
    assert_kept(await kills(server, tmp_path / "run", seed=seed, messages=2 * MESSAGES, kills=KILLS, pauses=pauses))


@pytest.mark.long
@pytest.mark.parametrize("ending", [black_hole, gone], ids=lambda ending: ending.__name__)
async def test_a_dead_link_is_never_a_success(
    server: Server, tmp_path: Path, seed: int, ending: Callable[..., object]
) -> None:
    assert_kept(await ending(server, tmp_path / "run", seed=seed))  # type: ignore[misc]


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_a_killed_server_is_never_a_success(
    start_server: Callable[..., Server], tmp_path: Path, seed: int, name: str
) -> None:
    assert_kept(await server_killed(start_server(name), tmp_path / "run", seed=seed))


async def test_a_link_cut_within_every_handshake_is_given_up(server: Server, tmp_path: Path, seed: int) -> None:
    chunks = [1, *random.Random(seed).sample(range(2, 16), 2)]
    print(f"seed {seed}: chunks {chunks}")
    assert_kept(*await handshake(server, tmp_path, chunks, every=True, seed=seed))


async def test_a_link_cut_within_the_first_handshake_is_tried_again(server: Server, tmp_path: Path, seed: int) -> None:
    chunks = random.Random(seed).sample(range(1, 16), 3)
    print(f"seed {seed}: chunks {chunks}")
    assert_kept(*await handshake(server, tmp_path, chunks, every=False, seed=seed))


@pytest.mark.long
async def test_withheld_acks_bound_the_window_and_the_memory(tmp_path: Path, seed: int) -> None:
    assert_kept(await withheld_acks(tmp_path / "run", seed=seed, messages=20_000))


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
async def test_a_listen_that_is_ended_again_and_again_loses_nothing(
    server: Server, tmp_path: Path, seed: int, way: Way
) -> None:
    assert_kept(await restarts(server, tmp_path / "run", seed=seed, way=way, runs=2))


@pytest.mark.long
@pytest.mark.parametrize("kill", [False, True], ids=["stops", "kill -9"])
async def test_a_reader_that_stops_is_given_each_message_once(
    server: Server, tmp_path: Path, seed: int, kill: bool
) -> None:
    assert_kept(await stopped_reader(server, tmp_path / "run", seed=seed, first=1_000, pause_s=3, kill=kill))


@pytest.mark.long
async def test_a_flood_is_printed_within_the_memory(tmp_path: Path, seed: int) -> None:
    assert_kept(await flood(tmp_path / "run", seed=seed, messages=10_000))


@pytest.mark.long
@pytest.mark.parametrize("live", [False, True], ids=["stored", "live"])
async def test_a_handler_that_is_killed_is_given_each_message_again_at_most_once(
    server: Server, tmp_path: Path, seed: int, live: bool
) -> None:
    assert_kept(await handlers(server, tmp_path / "run", seed=seed, live=live, messages=MESSAGES))
