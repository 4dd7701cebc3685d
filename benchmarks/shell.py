"""`python -m benchmarks.shell`: how soon the shell's first prompt stands, and the menu of the Tab key.

The sink answers, so that the shell is what is measured, on a real pty. The prompt is compared with a Python that
imports prompt_toolkit, and the connection, as `ping -v` tells it. Promised are 1.5 times the one and the other on top,
and 50 ms for a menu.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Self

from benchmarks.installed import XMPPSH
from benchmarks.pipes import Pipes, say, versions
from benchmarks.sink import DOMAIN

IMPORT = [sys.executable, "-c", "import prompt_toolkit"]
PROMPT = b"(nobody)>"
IN_ALL = re.compile(r"in all ([\d.]+) ms")
CTRL_C, CTRL_D = b"\x03", b"\x04"
NAMES = {
    "ordinary": "{letter}{n}@example.org",
    "one letter": "a{n}@example.org",
    "not ASCII": "ж{n}é@bücher.example",
}
QUIET_S = 0.3
COUNTS = (5_000, 20_000)


class Shell:
    """The shell on a terminal of its own, up to its end."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env | {"TERM": "xterm-256color"}
        self.written = b""

    def __enter__(self) -> Self:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._child = subprocess.Popen(
            [XMPPSH, "connect"], env=self._env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        return self

    def __exit__(self, *_: object) -> None:
        self.type(CTRL_D)
        try:
            while os.read(self._master, 65536):
                pass
        except OSError:
            pass  # its end
        self._child.wait()
        os.close(self._master)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        self.written = b""
        os.write(self._master, keys)

    @property
    def cpu_ms(self) -> float:
        """What the shell has spent until now."""
        return int(Path(f"/proc/{self._child.pid}/schedstat").read_text().split()[0]) / 1e6

    def until(self, text: bytes) -> None:
        """Wait until it has been drawn."""
        while text not in self.written:
            self._read()

    def rest(self) -> None:
        """Wait until nothing more is drawn."""
        self._read()
        while select.select([self._master], [], [], QUIET_S)[0]:
            self._read()

    def _read(self) -> None:
        self.written += os.read(self._master, 65536)


def first_prompt(env: dict[str, str], rounds: int) -> None:
    """Print the table of the start; the first round is not counted."""
    costs: dict[str, list[float]] = {"import prompt_toolkit": [], "the connection": [], "the first prompt": []}
    for _ in range(rounds + 1):
        began = time.perf_counter()
        subprocess.run(IMPORT, env=env, check=True)
        costs["import prompt_toolkit"].append(1000 * (time.perf_counter() - began))
        words = [XMPPSH, "-v", "--agent", "no", "ping"]
        told = subprocess.run(words, env=env, check=True, capture_output=True, text=True)
        costs["the connection"].append(float(IN_ALL.findall(told.stderr)[0]))
        began = time.perf_counter()
        with Shell(env) as shell:
            shell.until(PROMPT)
            costs["the first prompt"].append(1000 * (time.perf_counter() - began))
    say(f"first prompt, ms, median of {rounds}; load average {os.getloadavg()[0]:.1f}")
    middle = {name: statistics.median(found[1:]) for name, found in costs.items()}
    for name, found in costs.items():
        say(f"  {name:<24}{middle[name]:8.0f}  least {min(found[1:]):.0f}, most {max(found[1:]):.0f}")
    module, connection, prompt = middle.values()
    say(f"  the prompt takes {prompt / (1.5 * module + connection):.2f} of what is promised")


def menus(folder: Path, name: str, count: int, rounds: int) -> None:
    """Print how long the Tab key takes behind `/to `, where each contact fits, and behind `/send ` and a last one."""
    jids = [NAMES[name].format(n=n, letter="abcdefghijklmnopqrstuvwxyz"[n % 26]) for n in range(count)]
    rows = "".join(f"<item jid='{jid}' name='Contact {n}' subscription='both'/>" for n, jid in enumerate(jids))
    bench = Pipes(folder, 0, roster=rows)
    env, last = bench.env("alice"), jids[-1]
    cache = folder / "xmppsh" / "roster" / f"alice@{DOMAIN}"
    cache.unlink(missing_ok=True)
    took: list[tuple[float, float]] = []
    try:
        with Shell(env) as shell:
            shell.until(PROMPT)
            while not cache.exists() or cache.read_bytes().count(b"\n") < count:
                time.sleep(0.05)
            for typed in ["/to ", f"/to {last[:3]}", "/send ", f"/send {last[:3]}"] * rounds:
                shell.type(typed.encode())
                shell.rest()  # the line is drawn; only the menu is measured
                began, cpu = time.perf_counter(), shell.cpu_ms
                shell.type(b"\t")
                shell.until(b"Contact ")
                took.append((1000 * (time.perf_counter() - began), shell.cpu_ms - cpu))
                shell.type(CTRL_C)
                shell.rest()
    finally:
        bench.sink.terminate()
        bench.sink.wait()
    (first, _), *others = took
    wall, cpu = (statistics.median(one[at] for one in others) for at in (0, 1))
    most = max(one[0] for one in others)
    say(f"  {count:6} contacts, {name:<11}{wall:8.1f}{most:8.1f}{cpu:8.1f}{first:8.1f}")


def main() -> None:
    """Measure and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shell")
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    rounds = parser.parse_args().rounds
    say(versions())
    with tempfile.TemporaryDirectory(prefix="xmppsh-shell-") as folder:
        bench = Pipes(Path(folder), 0)
        try:
            first_prompt(bench.env("alice"), rounds)
        finally:
            bench.sink.terminate()
            bench.sink.wait()
        say(f"menu of the Tab key, ms, each of {4 * rounds - 1} times; load average {os.getloadavg()[0]:.1f}")
        say(f"{'':30}{'median':>8}{'most':>8}{'CPU':>8}{'first':>8}")
        for count in COUNTS:
            for name in NAMES:
                menus(Path(folder), name, count, rounds)


if __name__ == "__main__":
    main()
