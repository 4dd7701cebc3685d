"""`python -m benchmarks.pipes`: `pipe` against go-sendxmpp -i and sendxmpp --raw, to a sink that acknowledges all.

The cases take turns; every run must have delivered every message to the sink. What a peer does not do: go-sendxmpp and
sendxmpp wait for no acknowledgement, store nothing and check nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.installed import XMPPSH
from benchmarks.sink import DOMAIN
from xmppsh import __version__

say = partial(print, flush=True)
OPENSSL = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out ca.pem -subj /CN={0} -addext"


class Pipes:
    """One run of the table: its folder, its sink, its input.

    flood: what the sink sends to an account of that name; roster: the items of everybody's.
    """

    def __init__(self, folder: Path, count: int, flood: int = 50_000, roster: str = "") -> None:
        self.folder, self.count = folder, count
        words = [*OPENSSL.format(DOMAIN).split(), f"subjectAltName=DNS:{DOMAIN}"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        self.ca = folder / "ca.pem"
        (folder / "both.pem").write_text((folder / "key.pem").read_text() + self.ca.read_text())
        (folder / "go.conf").touch(0o600)
        (folder / "go.conf").write_text(f"username: alice@{DOMAIN}\npassword: x\n")
        body = "message number {} with a body of a usual length"
        head = f"<message to='bob@{DOMAIN}' type='chat' id='i"
        rest = "<x xmlns='urn:t'><y/></x></message>\n"
        lines = (f"{head}{n}'><body>{body.format(n)}</body>{rest}" for n in range(count))
        with (folder / "stanzas.xml").open("w") as stanzas:
            stanzas.writelines(lines)
        with (folder / "lines.txt").open("w") as texts:
            texts.writelines(f"{body.format(n)}\n" for n in range(count))
        (folder / "roster.xml").write_text(roster)
        with (folder / "objects.json").open("w") as objects:
            objects.writelines(json.dumps({"to": f"bob@{DOMAIN}", "body": body.format(n)}) + "\n" for n in range(count))
        command = [sys.executable, "-m", "benchmarks.sink", str(folder / "both.pem"), "--flood", str(flood)]
        command += ["--roster", str(folder / "roster.xml")]
        self.sink = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = self.told()["port"]

    def told(self) -> dict[str, int]:
        """The next line of the sink."""
        assert self.sink.stdout is not None
        told: dict[str, int] = json.loads(self.sink.stdout.readline())
        return told

    def cases(self) -> dict[str, tuple[list[str], str]]:
        """Each program's command line, and its input."""
        host = f"127.0.0.1:{self.port}"
        go = ["go-sendxmpp", "-f", str(self.folder / "go.conf"), "-j", host, "-i", f"bob@{DOMAIN}"]
        perl = ["sendxmpp", "-t", "-u", "alice", "-p", "x", "-j", host, "-o", DOMAIN, "--tls-ca-path", str(self.ca)]
        pipe = [XMPPSH, "-q", "pipe"]
        cases = {"xmppsh pipe": (pipe, "stanzas.xml")}
        cases["  of lines"] = ([*pipe, "--input", "lines", "--to", f"bob@{DOMAIN}"], "lines.txt")
        cases["  of JSON"] = ([*pipe, "--input", "json"], "objects.json")
        if shutil.which("go-sendxmpp"):
            cases["go-sendxmpp -i"] = (go, "lines.txt")
        if shutil.which("sendxmpp"):
            cases["sendxmpp --raw"] = ([*perl, "--raw"], "stanzas.xml")
        return cases

    def env(self, user: str) -> dict[str, str]:
        """A child's environment: the sink, its authority, an account, and a home of this run."""
        home = dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"), str(self.folder))
        trust = {"SSL_CERT_FILE": str(self.ca), "SSL_CERT_DIR": str(self.folder / "none")}
        ours = {"XMPPSH_HOST": f"127.0.0.1:{self.port}", "XMPPSH_CA": str(self.ca)}
        account = {"XMPPSH_JID": f"{user}@{DOMAIN}", "XMPPSH_PASSWORD": "x"}
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return env | home | trust | ours | account

    def run(self, command: list[str], text: str) -> tuple[float, float, float]:
        """Seconds, seconds of CPU, peak MB; raises RuntimeError when not all of it came."""
        env = self.env("alice")
        with (self.folder / text).open() as stdin:
            started = time.perf_counter()
            child = subprocess.Popen(command, stdin=stdin, env=env, stderr=subprocess.DEVNULL)
            # A child's ru_maxrss begins with its parent's: the input is written a line at a time to keep that small.
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - started
            child.returncode = os.waitstatus_to_exitcode(status)
        came = self.told()["messages"]
        if came != self.count:
            raise RuntimeError(f"{command[0]}: {came} of {self.count} came, exit code {child.returncode}")
        return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def versions() -> str:
    """What is compared, as the system's package manager and Python's know it."""
    told = [f"xmppsh {__version__}", f"Python {sys.version.split()[0]}"]
    for name in ("go-sendxmpp", "sendxmpp"):
        asked = subprocess.run(["dpkg-query", "-W", name], capture_output=True, text=True, check=False)
        told.append(" ".join(asked.stdout.split()) or f"{name}: not installed")
    return ", ".join([*told, f"slixmpp {version('slixmpp')}"])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipes")
    parser.add_argument("--count", type=int, default=200_000, metavar="N", help="stanzas [200000]")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xmppsh-pipes-") as folder:
        pipes = Pipes(Path(folder), arguments.count)
        try:
            cases = pipes.cases()
            runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in cases}
            for _ in range(arguments.rounds):
                for name, case in cases.items():
                    runs[name].append(pipes.run(*case))
        finally:
            pipes.sink.terminate()
            pipes.sink.wait()
    rates = {name: arguments.count / statistics.median(wall for wall, _, _ in found) for name, found in runs.items()}
    say(versions())
    say(f"{arguments.count} stanzas, medians of {arguments.rounds}; load average {os.getloadavg()[0]:.1f}")
    for name, found in runs.items():
        cpu, peak = statistics.median(run[1] for run in found), max(run[2] for run in found)
        ratio = rates["xmppsh pipe"] / rates[name]
        say(f"  {name:<18}{rates[name]:9.0f}/s  CPU {cpu:6.2f} s  peak {peak:6.1f} MB  xmppsh is {ratio:.2f} x")


if __name__ == "__main__":
    main()
