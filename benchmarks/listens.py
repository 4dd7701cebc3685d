"""`python -m benchmarks.listens`: `listen` against go-sendxmpp -l and naive slixmpp, of messages that come all at once.

The sink sends them behind the ack of the first presence. The cases take turns; from the first byte that a program
prints to its last line. What a peer does not do: go-sendxmpp prints a text and acknowledges nothing; slixmpp stores
nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.installed import XMPPSH
from benchmarks.pipes import Pipes, say, versions
from benchmarks.sink import DOMAIN

CHUNK_BYTES = 256 * 1024
FLOOD = 50_000
NAIVE = str(Path(__file__).with_name("naive_slixmpp_listen.py"))


def run(pipes: Pipes, command: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, peak MB; raises RuntimeError when it ends before everything came."""
    env = pipes.env("flood") | {"NAIVE_JID": f"flood@{DOMAIN}", "NAIVE_PASSWORD": "x"}
    child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert child.stdout is not None
    lines, started = 0, 0.0
    while lines < FLOOD:
        data = os.read(child.stdout.fileno(), CHUNK_BYTES)
        started = started or time.perf_counter()
        if not data:
            raise RuntimeError(f"{command[0]}: {lines} of {FLOOD} came")
        lines += data.count(b"\n")
    wall = time.perf_counter() - started
    child.terminate()
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    pipes.told()  # the client has gone
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def cases(pipes: Pipes) -> dict[str, list[str]]:
    """Each program's command line."""
    found = {"xmppsh listen": [XMPPSH, "-q", "listen", "--format", "json"]}
    found["slixmpp, naive"] = [sys.executable, NAIVE, "127.0.0.1", str(pipes.port), str(pipes.ca)]
    if shutil.which("go-sendxmpp"):
        (pipes.folder / "flood.conf").touch(0o600)
        (pipes.folder / "flood.conf").write_text(f"username: flood@{DOMAIN}\npassword: x\n")
        found["go-sendxmpp -l"] = [
            "go-sendxmpp", "-f", str(pipes.folder / "flood.conf"), "-j", f"127.0.0.1:{pipes.port}", "-l"
        ]  # fmt: skip
    return found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listens")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="xmppsh-listens-") as folder:
        pipes = Pipes(Path(folder), 0)
        try:
            commands = cases(pipes)
            runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
            for _ in range(rounds):
                for name, command in commands.items():
                    runs[name].append(run(pipes, command))
        finally:
            pipes.sink.terminate()
            pipes.sink.wait()
    say(versions())
    rates = {name: FLOOD / statistics.median(wall for wall, _, _ in found) for name, found in runs.items()}
    say(f"{FLOOD} messages at once, medians of {rounds}; load average {os.getloadavg()[0]:.1f}")
    for name, found in runs.items():
        cpu, peak = statistics.median(one[1] for one in found), max(one[2] for one in found)
        ratio = rates["xmppsh listen"] / rates[name]
        say(f"  {name:<18}{rates[name]:9.0f}/s  CPU {cpu:6.2f} s  peak {peak:6.1f} MB  xmppsh is {ratio:.2f} x")


if __name__ == "__main__":
    main()
