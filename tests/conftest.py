"""Fixtures every test may use: real servers, started once for a run or fresh for one test."""

import os
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.ejabberd import EjabberdServer
from support.figures import figures
from support.program import Program
from support.prosody import ProsodyServer
from support.servers import Options, Server
from support.signals import hand_on_defaults

hand_on_defaults()
# How long an example takes says something of the machine alone.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("busy")

ALL = os.environ.get("XMPPSH_ALL") == "1"  # every test on every server: make test-all
SERVERS: dict[str, type[Server]] = {"prosody": ProsodyServer, "ejabberd": EjabberdServer}
LOG_TAIL_CHARACTERS = 6_000


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, unless XMPPSH_ALL=1, what is `long`, and one of the two servers for what is `either_server`."""
    if ALL:
        return
    there = {item.nodeid for item in items}
    left_out = [item for item in items if item.get_closest_marker("long") or _is_of_the_other_server(item, there)]
    config.hook.pytest_deselected(items=left_out)
    names = {item.nodeid for item in left_out}
    items[:] = [item for item in items if item.nodeid not in names]


def _is_of_the_other_server(item: pytest.Item, there: set[str]) -> bool:
    parameters = dict(item.callspec.params) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    name = parameters.pop("server", None) or parameters.pop("name", None)
    if not isinstance(name, str) or name not in SERVERS or item.get_closest_marker("either_server") is None:
        return False
    (other,) = set(SERVERS) - {name}
    if item.nodeid.replace(name, other) not in there:
        return False  # it is for this server alone
    # Of the test's id alone, so that every worker and every run chooses the same.
    label = item.nodeid.replace(name, "")
    return name != list(SERVERS)[zlib.crc32(label.encode()) % len(SERVERS)]


def _create(name: str, folder: Path, **options: Any) -> Server:
    """A started server. Fails the test when it is not installed; skips where XMPPSH_TEST_OFFLINE=1 says so."""
    kind = SERVERS[name]
    missing = kind.missing()
    if missing:
        if os.environ.get("XMPPSH_TEST_OFFLINE") == "1":
            pytest.skip(f"{missing} is not installed and XMPPSH_TEST_OFFLINE=1")
        pytest.fail(
            f"{missing} is not installed: apt-get install -y --no-install-recommends {kind.packages} "
            "(or set XMPPSH_TEST_OFFLINE=1 to skip the tests that need it)",
            pytrace=False,
        )
    server = kind(folder, Options(**options))
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


def _serve(name: str, factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = _create(name, factory.mktemp(name))
    yield server
    server.close()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program in a home of its own, without server and account; rooms with servers have another one."""
    return Program(tmp_path)


@pytest.fixture(scope="session")
def prosody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The run's Prosody. A test that kills, suspends or reconfigures it takes one from `start_server` instead."""
    yield from _serve("prosody", tmp_path_factory)


@pytest.fixture(scope="session")
def ejabberd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The run's ejabberd. A test that kills, suspends or reconfigures it takes one from `start_server` instead."""
    yield from _serve("ejabberd", tmp_path_factory)


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the run's servers in turn."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers of the test's own: `start_server("prosody", certificate="expired", archive=False)`.

    The options are those of `support.servers.Options`.
    """
    started: list[Server] = []

    def start(name: str, **options: Any) -> Server:
        server = _create(name, tmp_path_factory.mktemp(name), **options)
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the servers wrote last to the report of a test that failed."""
    report = yield
    if report.failed:
        values = getattr(item, "funcargs", {}).values()
        for server in {id(value): value for value in values if isinstance(value, Server)}.values():
            report.sections.append((f"{server.name} log", server.log()[-LOG_TAIL_CHARACTERS:]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of the suites."""
    done = ((how, report) for how in ("passed", "failed", "error") for report in terminalreporter.getreports(how))
    for line in figures((report.nodeid, how == "passed") for how, report in done):
        terminalreporter.write_line(line)
