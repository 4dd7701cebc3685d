"""The long runs: every scenario on every server, one line each, then a table. Exit 1 when a promise was broken."""

import argparse
import asyncio
import itertools
import random
import tempfile
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from support.ejabberd import EjabberdServer
from support.prosody import ProsodyServer
from support.servers import Options, Server

from soak.delivery import chaos, kills
from soak.endings import black_hole, gone, handshake, server_killed
from soak.handlers import handlers
from soak.load import LOADS, QUIET_S, SLOW, series
from soak.reading import MANY, backlog, flood, stopped_reader
from soak.restarts import WAYS, restarts
from soak.result import Count, Result, table
from soak.withheld import withheld_acks

SERVERS: dict[str, type[Server]] = {"prosody": ProsodyServer, "ejabberd": EjabberdServer}
READING = ("restarts", "backlog", "pauses", "handlers")
SCENARIOS = (
    "chaos",
    "kicks",
    "no-archive",
    "kills",
    "endings",
    "handshake",
    "withheld",
    *LOADS,
    "slow",
    *READING,
    "flood",
)
MESSAGES, FAULTS, SEEDS = 10_000, 20, 3
LOAD_MESSAGES, LOAD_FAULTS, LOAD_SEEDS = 1_200, 10, 10
HANDLER_SEEDS = 6  # half of them while the messages wait, half while they come
MESSAGE_DELAY_MS = 8
HANDSHAKE_CHUNKS = range(1, 16)
KILLED_SHARE = 2  # the runs that are killed have half of the messages: enough for so many kills

Run = Callable[[Path], Awaitable[Result | list[Result]]]


@dataclass(frozen=True)
class Plan:
    """What was asked for on the command line."""

    servers: list[str]
    archives: list[bool]
    messages: int | None
    faults: int | None
    seeds: list[int]
    load_seeds: list[int]
    handler_seeds: list[int]
    quiet_s: float
    at_once: int
    kills: int
    only: list[str]
    verbose: bool

    @property
    def kicks(self) -> int:
        """How many of the faults come with a third party."""
        return max(1, (self.faults or FAULTS) // 4)

    def of(self, server: Server) -> Iterator[tuple[str, Run]]:
        """The runs that are for a server with these options."""
        if server.options.message_delay_ms:
            yield from self._loads(server, SLOW, "slow")
            return
        if server.options.max_unacked > MANY:
            yield from self._reading(server)
            return
        yield from self._loads(server, LOADS)
        yield from self._with_archive(server) if server.options.archive else self._without_archive(server)

    def _loads(self, server: Server, names: Iterable[str], scenario: str = "") -> Iterator[tuple[str, Run]]:
        size = {"messages": self.messages or LOAD_MESSAGES, "faults": self.faults or LOAD_FAULTS}
        for name in names:
            more = {"seeds": self.load_seeds, "quiet_s": self.quiet_s, "at_once": self.at_once, **size}
            yield scenario or name, partial(series, server, load=LOADS[name], **more)

    def _reading(self, server: Server) -> Iterator[tuple[str, Run]]:
        """A reader takes what it is given, and the server gives it more than it keeps by default."""
        for way in WAYS:
            yield "restarts", partial(restarts, server, seed=self.seeds[0], way=way)
        yield "backlog", partial(backlog, server, seed=self.seeds[0])
        for kill in (False, True):
            yield "pauses", partial(stopped_reader, server, seed=self.seeds[0], kill=kill)
        for number, seed in enumerate(self.handler_seeds):
            yield "handlers", partial(handlers, server, seed=seed, live=bool(number % 2))

    def _with_archive(self, server: Server) -> Iterator[tuple[str, Run]]:
        """The last one kills the server."""
        messages = self.messages or MESSAGES
        many = partial(chaos, server, messages=messages, faults=self.faults or FAULTS)
        some = partial(kills, server, messages=max(100, messages // KILLED_SHARE), kills=self.kills)
        for seed in self.seeds:
            yield "chaos", partial(many, seed=seed)
        for seed in self.seeds:
            yield "kicks", partial(many, seed=seed, kicks=self.kicks)
        for pauses in (False, True):
            yield "kills", partial(some, seed=self.seeds[0], pauses=pauses)
        for every in (False, True):
            yield "handshake", partial(handshake, server, chunks=HANDSHAKE_CHUNKS, every=every)
        for ending in (black_hole, gone, server_killed):
            yield "endings", partial(ending, server, seed=self.seeds[0])

    def _without_archive(self, server: Server) -> Iterator[tuple[str, Run]]:
        many = partial(chaos, server, messages=self.messages or MESSAGES, faults=self.faults or FAULTS)
        for seed in self.seeds:
            yield "no-archive", partial(many, seed=seed, kicks=self.kicks)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    plan = _parse(arguments)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="xmppsh-soak-") as folder:
        asyncio.run(_everything(plan, Path(folder), results))
    broken = [result for result in results if result.broken]
    print(f"\n{table(results)}\n")
    for result in results if plan.verbose else []:
        print(result.details, end="\n\n")
    print(f"{len(results)} runs, {len(broken)} broken; first seed {plan.seeds[0]}")
    return 1 if broken or not results else 0


def _parse(arguments: list[str] | None) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--servers", default=",".join(SERVERS), metavar="NAMES")
    parser.add_argument("--messages", type=int, metavar="N", help=f"[{MESSAGES}; under load {LOAD_MESSAGES}]")
    parser.add_argument("--faults", type=int, metavar="N", help=f"[{FAULTS}; under load {LOAD_FAULTS}]")
    parser.add_argument("--seeds", type=int, metavar="N", help=f"how many [{SEEDS}; under load {LOAD_SEEDS}]")
    parser.add_argument("--seed", type=int, metavar="SEED", help="the first seed; the others follow it")
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--only", default=",".join(SCENARIOS), metavar="NAMES", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--archive", choices=["with", "without", "both"], default="both")
    parser.add_argument("--quiet", type=float, default=QUIET_S, metavar="S", help="silence after a load [30]")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="loads beside each other [1]")
    parser.add_argument("-v", "--verbose", action="store_true", help="details of every run at the end")
    options = parser.parse_args(arguments)
    servers, only = options.servers.split(","), options.only.split(",")
    for name in [*(set(servers) - set(SERVERS)), *(set(only) - set(SCENARIOS))]:
        parser.error(f"unknown: {name}")
    first = random.randrange(2**31) if options.seed is None else options.seed
    seeds, load_seeds, handler_seeds = (
        list(range(first, first + (options.seeds or some))) for some in (SEEDS, LOAD_SEEDS, HANDLER_SEEDS)
    )
    archives = {"with": [True], "without": [False], "both": [True, False]}[options.archive]
    return Plan(
        servers,
        archives,
        options.messages,
        options.faults,
        seeds,
        load_seeds,
        handler_seeds,
        options.quiet,
        options.at_once,
        options.kills,
        only,
        options.verbose,
    )


async def _everything(plan: Plan, folder: Path, results: list[Result]) -> None:
    for name, archive in itertools.product(plan.servers, plan.archives):
        for delay_ms in (0, MESSAGE_DELAY_MS) if name == "ejabberd" else (0,):
            options = Options(archive=archive, message_delay_ms=delay_ms)
            async for result in _on_server(plan, name, options, folder):
                _add(result, results)
    for name in plan.servers:
        async for result in _on_server(plan, name, Options(max_unacked=2 * MANY), folder):
            _add(result, results)
    for name, alone in (("withheld", withheld_acks), ("flood", flood)):
        if name in plan.only:
            for result in await _guarded("hostile", name, partial(alone, seed=plan.seeds[0]), folder / name):
                _add(result, results)


def _add(result: Result, results: list[Result]) -> None:
    results.append(result)
    print(result.line, flush=True)
    if result.broken:
        print(result.details, end="\n\n", flush=True)


async def _on_server(plan: Plan, name: str, options: Options, folder: Path) -> AsyncIterator[Result]:
    variant = "" if options.archive else "-without-archive"
    place = folder / f"{name}{variant}-{options.message_delay_ms}-{options.max_unacked}"
    with _server(name, place, options) as server:
        # Nothing is started for nothing.
        runs = [run for run in plan.of(server) if run[0] in plan.only]
        if runs:
            server.start()
        for number, (scenario, run) in enumerate(runs):
            for result in await _guarded(name, scenario, run, folder / f"{place.name}-{number}"):
                yield result


@contextmanager
def _server(name: str, place: Path, options: Options) -> Iterator[Server]:
    place.mkdir()
    if missing := SERVERS[name].missing():
        raise SystemExit(f"{missing} is not installed: apt-get install {SERVERS[name].packages}")
    server = SERVERS[name](place, options)
    try:
        yield server
    finally:
        server.close()


async def _guarded(server: str, scenario: str, run: Run, folder: Path) -> list[Result]:
    """The results of one run; a harness that fails is no reason to skip the others."""
    try:
        results = await run(folder)
        return results if isinstance(results, list) else [results]
    except Exception as error:
        nothing = Result(server, scenario, 0, 0, Count([], [], []), 0.0, 0, None, report=traceback.format_exc())
        nothing.demand(False, f"harness: {error!r}")
        return [nothing]
