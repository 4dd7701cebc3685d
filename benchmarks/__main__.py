"""`python -m benchmarks`, from the folder of the project: `pipe` and `listen` on a playground (cold runs: cold.py).

The cases of a table take turns (A B C A B C). CPU time is the child's
own (wait4); peak memory is its VmHWM, because ru_maxrss starts from the parent's. Everything is on loopback.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # as pytest's `pythonpath` does

from support.program import Program
from support.servers import Account

from benchmarks.installed import XMPPSH
from xmppsh.xmlio.reader import StanzaReader

NOISE = "load average at the {}: {:.2f} {:.2f} {:.2f}; {}"
BUDGET_S = 150.0  # past it no table begins another round; its n says so
CHILD_TIMEOUT_S = 45.0
FEW, MANY = 20_000, 100_000  # stanzas
LONG_ROUNDS = 3  # of pipe and listen, at most
POLL_S = 0.01


class Run(NamedTuple):
    """What one run of a case cost: seconds, seconds of CPU, peak MB."""

    wall: float
    cpu: float
    peak: float = 0.0


Results = dict[str, list[Run]]
Cases = dict[str, Callable[[], Run]]
say = partial(print, flush=True)


def run(command: list[str], env: dict[str, str], output: Path | None = None, *, peak: bool = False) -> Run:
    """Run a child to its end; peak: ask for its memory every 10 ms. Raises RuntimeError when it fails."""
    with (output or Path(os.devnull)).open("wb") as stdout:
        started = time.perf_counter()
        child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=stdout)
        alarm = threading.Timer(CHILD_TIMEOUT_S, child.kill)
        alarm.start()
        kb = pid = 0
        while not pid:
            if peak:
                time.sleep(POLL_S)
                with contextlib.suppress(OSError, IndexError):  # it has ended
                    kb = int(Path(f"/proc/{child.pid}/status").read_text().partition("VmHWM:")[2].split()[0])
            pid, status, usage = os.wait4(child.pid, os.WNOHANG if peak else 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        alarm.cancel()
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(Path(word).name for word in command[:3])}: exit code {child.returncode}")
    return Run(wall, usage.ru_utime + usage.ru_stime, kb / 1024)


def table(title: str, results: Results, figure: Callable[[str, Run], float], digits: int = 0) -> None:
    """Print a figure of each case: median, min, max, n, and the ratio of its median to the first case's."""
    say(f"\n{title:<44}{'median':>9}{'min':>9}{'max':>9}{'n':>4}{'ratio':>7}")
    first = 0.0
    for name, runs in results.items():
        values = [figure(name, run) for run in runs]
        columns = [f"{value:9.{digits}f}" for value in (statistics.median(values), min(values), max(values))]
        first = first or statistics.median(values)
        say(f"  {name:<42}{''.join(columns)}{len(values):4}{statistics.median(values) / first:7.2f}")


class Bench:
    """One run of all tables: its folder, its rounds, its time."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder, self.rounds, self._deadline = folder, rounds, time.monotonic() + BUDGET_S

    def take_turns(self, cases: Cases, rounds: int, *, warm_up: bool = True) -> Results:
        """Run the cases one after the other, round after round."""
        results: Results = {name: [] for name in cases}
        for number in range(-1 if warm_up else 0, rounds):
            if number <= 0 or time.monotonic() < self._deadline:
                for name, case in cases.items():
                    results[name].append(case())
        return {name: runs[warm_up:] for name, runs in results.items()}  # without the first when that was to warm up

    def env(self, server: Any = None, account: Account | None = None) -> dict[str, str]:
        """A child's environment, with a home of this run; Python may keep what it compiles, as when installed."""
        env = Program(self.folder, server, account).env | {"XMPPSH_QUIET": "1"}
        return {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def streams(self) -> None:
        """`pipe` and `listen` on a playground in a process of its own."""
        rounds = min(self.rounds, LONG_ROUNDS)
        serve = subprocess.Popen([XMPPSH, "playground", "--serve"], env=self.env(), stdout=subprocess.PIPE, text=True)
        with serve, contextlib.ExitStack() as at_end:
            at_end.callback(serve.terminate)
            server = argparse.Namespace(**json.loads(next(iter(serve.stdout or ()))))
            alice, bob = (Account(f"{name}@{server.domain}", server.accounts[name]) for name in ("alice", "bob"))

            def pipe(count: int, kind: str) -> Run:
                head = f"<message to='{bob.jid}' type='{kind}'><body>message"
                path = self.folder / f"{kind}-{count}.xml"
                path.write_text("".join(f"{head} {n}</body></message>\n" for n in range(count)))
                return run([XMPPSH, "pipe", str(path)], self.env(server, alice), peak=True)

            # Nobody is there, and the server drops headlines then (RFC 6121 §8.5.2.2.1).
            sizes = {f"xmppsh pipe, {count}": count for count in (FEW, MANY)}
            cases: Cases = {name: partial(pipe, count, "headline") for name, count in sizes.items()}
            results = self.take_turns(cases, rounds, warm_up=False)
            sizes[name := f"xmppsh listen, {FEW}"] = FEW
            listen = partial(self._listen, self.env(server, bob), partial(pipe, FEW, "chat"))
            results |= self.take_turns({name: listen}, rounds, warm_up=False)
        table("pipe, listen (fed by pipe), stanzas/s", results, lambda name, run: sizes[name] / run.wall)
        table("the same, stanzas/s of its own CPU", results, lambda name, run: sizes[name] / run.cpu)
        table("the same, peak RSS MB", results, lambda _, run: run.peak, digits=1)

    def _listen(self, env: dict[str, str], feed: Callable[[], Run]) -> Run:
        """Listen to what is fed. Wall time: from the first record's stamp to the last one's."""
        ready, output = self.folder / "ready", self.folder / "records"
        ready.unlink(missing_ok=True)
        command = [XMPPSH, "listen", "--format", "json", "-C", str(FEW), "--ready-file", str(ready)]
        with ThreadPoolExecutor() as pool:
            listening = pool.submit(run, command, env, output, peak=True)
            while not ready.exists() and not listening.done():
                time.sleep(POLL_S)
            feed()
        result = listening.result()
        first, *_, last = (datetime.fromisoformat(json.loads(line)["stamp"]) for line in output.open())
        return result._replace(wall=(last - first).total_seconds())

    def splitter(self) -> None:
        """StanzaReader alone, in this process, with what `listen` was fed."""
        data = (self.folder / f"chat-{FEW}.xml").read_bytes()

        def split() -> Run:
            reader, started = StanzaReader(), time.process_time()
            assert sum(len(reader.feed(data[at : at + 65536])) for at in range(0, len(data), 65536)) == FEW
            return Run(0.0, time.process_time() - started)

        results = self.take_turns({"StanzaReader": split}, self.rounds)
        table("splitter, stanzas/s of CPU", results, lambda _, run: FEW / run.cpu)


def main() -> None:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios, measured in one run.")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="of each short case [9]")
    rounds, started = max(1, parser.parse_args().rounds), time.monotonic()
    machine = f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}"
    say(NOISE.format("start (end: last line)", *os.getloadavg(), machine))
    with tempfile.TemporaryDirectory(prefix="xmppsh-bench-") as folder:
        bench = Bench(Path(folder), rounds)
        bench.streams()
        bench.splitter()
    say("\n" + NOISE.format("end", *os.getloadavg(), f"{time.monotonic() - started:.0f} s"))


main()
