"""How long a session stays online after its program ended: every fault on every server, one line each, then tables.

Exit 1 when a goal was missed or a promise was broken. The faults of the network need root and `ip`.
"""

import argparse
import asyncio
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from support.ejabberd import EjabberdServer
from support.namespaces import ADDRESSES, Network
from support.prosody import ProsodyServer
from support.servers import Options, Server

from ghosts import cable, peers
from ghosts.docs import written_into
from ghosts.ends import WAYS, clean_end
from ghosts.kills import COMMANDS, both_killed, killed, memory_line
from ghosts.pauses import stopped, stuck
from ghosts.result import Round, counts_table, missed_goals, times_table
from ghosts.storm import storm
from ghosts.subjects import PEERS, PROGRAMS, Child, GoSendxmpp, Listen, Pipe

SERVERS: dict[str, type[Server]] = {"prosody": ProsodyServer, "ejabberd": EjabberdServer}
LOCAL = ("ends", "kills", "reaps", "storm", "pauses", "peers")
NETWORKED = ("cable", "cable-listen", "loss", "peers")
SCENARIOS = tuple(dict.fromkeys((*LOCAL, *NETWORKED)))
STARTS_A_RUN = 20
KEPT_S = 300  # the servers' time-out: a ghost that lives so long cannot be mistaken
KEPT_FOR_PEERS_S = 10  # so that theirs can be watched to their end
FRAMES = 3  # of a harness that failed: the innermost

Run = Callable[[Path], Awaitable[Round | list[Round]]]
Runs = Iterator[tuple[str, Run]]


@dataclass(frozen=True)
class Plan:
    """What was asked for on the command line."""

    servers: list[str]
    only: list[str]
    runs: int
    seed: int
    watch_s: float
    docs: Path | None = None
    inside: str | None = None  # the name of the namespaces that we run in
    results: Path | None = None  # where the rounds go, pickled
    arguments: list[str] = field(default_factory=list)

    def of(self, server: Server) -> Runs:
        """The rounds on one machine."""
        numbers = range(self.runs)
        for way in WAYS:
            yield from (("ends", partial(clean_end, server, way=way)) for _ in numbers)
        for kind in PROGRAMS:
            yield from (("kills", partial(killed, server, kind=kind, seed=self.seed + one)) for one in numbers)
        for one in numbers:
            yield "kills", partial(killed, server, kind=Pipe, seed=self.seed + one, stopped=False)
        for command in COMMANDS:
            yield from (("reaps", partial(both_killed, server, command=command)) for _ in numbers)
        yield "storm", partial(storm, server, seed=self.seed, starts=STARTS_A_RUN * self.runs)
        for pause in (stopped, stuck):
            yield "pauses", partial(_at_once, partial(pause, server), self.runs)

    def of_peers(self, server: Server) -> Runs:
        """Programs without a guard on one machine."""
        for fault in peers.FAULTS:
            for kind in _peers():
                rounds = partial(peers.ended, server, kind=kind, fault=fault)
                yield "peers", partial(rounds, rounds=self.runs, watch_s=self.watch_s)

    def of_network(self, server: Server, network: Network) -> Runs:
        """The rounds on three machines."""
        for scenario, kind in (("cable", Pipe), ("cable-listen", Listen)):
            for one in range(self.runs):
                pulled = partial(cable.pulled, server, network=network, kind=kind)
                yield scenario, partial(pulled, seed=self.seed + one, witness_first=one % 2 == 0)
        yield "loss", partial(cable.lossy, server, network=network, rounds=self.runs)

    def of_network_peers(self, server: Server, network: Network) -> Runs:
        """Programs that nobody watches, on another machine than the server."""
        pulled = partial(peers.pulled, server, network=network, kinds=_peers())
        yield "peers", partial(pulled, rounds=self.runs, watch_s=self.watch_s)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    plan = _parse(sys.argv[1:] if arguments is None else arguments)
    # Started in the background we would hand an ignored SIGINT or SIGHUP down to every program.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    rounds: list[Round] = []
    skipped = [] if GoSendxmpp in _peers() else ["go-sendxmpp: it is not installed"]
    with tempfile.TemporaryDirectory(prefix="xmppsh-ghosts-") as folder:
        if plan.inside is not None:
            asyncio.run(_on_network(plan, Path(folder), Network(plan.inside), rounds))
        else:
            print(f"seed {plan.seed}", flush=True)
            asyncio.run(_on_one_machine(plan, Path(folder), rounds))
            skipped += _in_namespaces(plan, Path(folder), rounds)
    if plan.results is not None:
        plan.results.write_bytes(pickle.dumps(rounds))
    return 0 if plan.inside is not None else _report(plan, rounds, skipped)


def _parse(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m tests.ghosts", description=__doc__)
    parser.add_argument("--server", default=",".join(SERVERS), metavar="NAMES")
    parser.add_argument("--only", default=",".join(SCENARIOS), metavar="NAMES", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds of each kind [5]")
    parser.add_argument("--seed", type=int, metavar="SEED")
    parser.add_argument("--watch", type=float, default=60.0, metavar="S", help="how long other programs are watched")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="write the tables into this page, too")
    parser.add_argument("--inside", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, metavar="FILE", help="pickle the rounds into this file")
    options = parser.parse_args(arguments)
    servers, only = options.server.split(","), options.only.split(",")
    for name in [*(set(servers) - set(SERVERS)), *(set(only) - set(SCENARIOS))]:
        parser.error(f"unknown: {name}")
    seed = random.randrange(2**31) if options.seed is None else options.seed
    return Plan(
        servers, only, options.runs, seed, options.watch, options.docs, options.inside, options.results, arguments
    )


async def _on_one_machine(plan: Plan, folder: Path, rounds: list[Round]) -> None:
    for name in plan.servers:
        await _on_server(plan, name, folder / name, Options(resume_timeout_s=KEPT_S), plan.of, rounds)
        options = Options(resume_timeout_s=KEPT_FOR_PEERS_S)
        await _on_server(plan, name, folder / f"{name}-peers", options, plan.of_peers, rounds)


async def _on_network(plan: Plan, folder: Path, network: Network, rounds: list[Round]) -> None:
    options = Options(resume_timeout_s=KEPT_S, host=ADDRESSES["server"])
    short = replace(options, resume_timeout_s=KEPT_FOR_PEERS_S)
    for name in plan.servers:
        await _on_server(plan, name, folder / name, options, partial(plan.of_network, network=network), rounds)
        runs = partial(plan.of_network_peers, network=network)
        await _on_server(plan, name, folder / f"{name}-peers", short, runs, rounds)


def _in_namespaces(plan: Plan, folder: Path, rounds: list[Round]) -> list[str]:
    """Run this program again on the server's machine of a network of its own; what cannot be run, and why."""
    wanted = [name for name in NETWORKED if name in plan.only]
    if not wanted:
        return []
    if missing := Network.missing():
        return [f"{', '.join(wanted)} on three machines: {missing}"]
    results = folder / "results"
    with Network() as network:
        again = [sys.executable, "-m", "tests.ghosts", *plan.arguments, "--seed", str(plan.seed)]
        inside = network.command("server", *again, "--inside", network.name, "--results", str(results))
        code = subprocess.run(inside, check=False).returncode
    if code != 0:
        rounds.append(_failed("network", "cable pulled", f"it ended with {code}"))
    else:
        rounds += pickle.loads(results.read_bytes())
    return []


def _peers() -> list[type[Child]]:
    """Those that are installed."""
    return [kind for kind in PEERS if kind is not GoSendxmpp or shutil.which("go-sendxmpp")]


async def _on_server(
    plan: Plan, name: str, folder: Path, options: Options, runs_of: Callable[[Server], Runs], rounds: list[Round]
) -> None:
    if missing := SERVERS[name].missing():
        raise SystemExit(f"{missing} is not installed: apt-get install {SERVERS[name].packages}")
    folder.mkdir()
    server = SERVERS[name](folder, options)
    try:
        runs = [run for run in runs_of(server) if run[0] in plan.only]
        if runs:  # nothing is started for nothing
            server.start()
        for number, (scenario, run) in enumerate(runs):
            for shown in await _guarded(name, scenario, run, folder / f"round-{number}"):
                rounds.append(shown)
                print(shown.line, flush=True)
    finally:
        server.close()


async def _guarded(server: str, scenario: str, run: Run, folder: Path) -> list[Round]:
    """The rounds of one run; a harness that fails is no reason to skip the others."""
    try:
        rounds = await run(folder)
        return rounds if isinstance(rounds, list) else [rounds]
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        return [_failed(server, scenario, f"{type(error).__name__}: {reason}", traceback.format_exc(-FRAMES))]


async def _at_once(run: Callable[[Path], Awaitable[Round]], rounds: int, folder: Path) -> list[Round]:
    """Rounds that take long and do little."""
    return await asyncio.gather(*(run(folder / str(number)) for number in range(rounds)))


def _failed(server: str, scenario: str, reason: str, report: str = "") -> Round:
    nothing = Round(server, scenario, "harness", report=report)
    nothing.demand(False, f"harness: {reason}")
    return nothing


def _report(plan: Plan, rounds: list[Round], skipped: list[str]) -> int:
    broken, missed = [one for one in rounds if one.broken], missed_goals(rounds)
    for one in broken:
        print(f"\n{one.line}\n{one.report}")
    tables = "\n\n".join([times_table(rounds), counts_table(rounds), memory_line(rounds)])
    print(f"\n{tables}\n")
    for sentence in missed:
        print(f"goal missed: {sentence}")
    for sentence in skipped:
        print(f"SKIPPED: {sentence}")
    print(f"{len(rounds)} rounds, {len(broken)} broken, {len(missed)} goals missed; seed {plan.seed}")
    if plan.docs is not None:
        stamp = time.strftime("%Y-%m-%d")
        plan.docs.write_text(written_into(plan.docs.read_text(), f"Measured on {stamp}.\n\n{tables}"))
    return 1 if broken or missed or not rounds else 0
