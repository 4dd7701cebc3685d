"""`python -m benchmarks.draws`: the shell on a terminal while messages come in at once, and a line is typed meanwhile.

The same sink as for `listen`. The last message must be drawn in the end, and the line acknowledged.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import statistics
import struct
import subprocess
import tempfile
import termios
import time
from pathlib import Path

from benchmarks.installed import XMPPSH
from benchmarks.pipes import Pipes, say, versions
from benchmarks.sink import DOMAIN

COUNT = 10_000
LINE = "typed key by key while thousands of messages come in"
KEY_S = 0.05
LAST = f"message number {COUNT - 1}".encode()
ACKED = re.compile(f"✓[^\n]*{LINE}".encode())  # our line, as it is drawn once the server has it
LEFT = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def run(bench: Pipes) -> tuple[float, float, float]:
    """Seconds from the first message to the last, seconds of CPU of the whole run, peak MB."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = bench.env("flood") | {"TERM": "xterm-256color"}
    child = subprocess.Popen(
        [XMPPSH, "connect"], env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    os.write(master, f"/to alice@{DOMAIN}\r".encode())
    tail, started, keys, next_key_s, is_acked = b"", 0.0, [*LINE, "\r"], 0.0, False
    while not (is_acked and LAST in LEFT.sub(b"", tail)):
        tail = (tail + os.read(master, 65536))[-10_000:]
        is_acked = is_acked or ACKED.search(tail) is not None
        now = time.perf_counter()
        started = started or (now if b"message number " in tail else 0.0)
        if started and keys and now >= next_key_s:
            os.write(master, keys.pop(0).encode())
            next_key_s = now + KEY_S
    wall = time.perf_counter() - started
    os.write(master, b"\x04")
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    os.close(master)
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.draws")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="xmppsh-draws-") as folder:
        bench = Pipes(Path(folder), 0, COUNT)
        try:
            found = [run(bench) for _ in range(rounds)]
        finally:
            bench.sink.terminate()
            bench.sink.wait()
    say(versions())
    wall, cpu = (statistics.median(one[at] for one in found) for at in (0, 1))
    peak = max(one[2] for one in found)
    say(f"the shell drew {COUNT} messages, median of {rounds}; load average {os.getloadavg()[0]:.1f}")
    say(f"  {COUNT / wall:.0f}/s  CPU {cpu:.2f} s  peak {peak:.1f} MB")


if __name__ == "__main__":
    main()
