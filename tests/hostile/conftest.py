"""The scenarios of all selected tests run a few at a time, in the order of the tests; each test waits for its own."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from hostile.certificates import Certificates
from hostile.scenario import Outcome, Scenario, play

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = 4  # most of their time some of them wait for a deadline; more would slow each other down at their start
Plays = dict[str, "Future[Outcome]"]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificates of this run."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def plays(
    request: pytest.FixtureRequest, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plays]:
    """The outcomes to come, by the name of the scenario."""
    selected = [item.callspec.params.get("scenario") for item in request.session.items if hasattr(item, "callspec")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started: Plays = {}
        for scenario in selected:
            if isinstance(scenario, Scenario):
                assert scenario.name not in started, f"two scenarios are called {scenario.name}"
                started[scenario.name] = pool.submit(play, scenario, certificates, tmp_path_factory.mktemp("play"))
        yield started
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def outcome(scenario: Scenario, plays: Plays) -> Outcome:
    """What came of this test's scenario."""
    return plays[scenario.name].result()
