"""`python -m benchmarks.archive`: `history export` of 20,000 messages and `roster import` of 2,000 contacts.

The export is killed (SIGKILL) while it runs and started again until it ends: every message must stand in the file once,
in order. The import is killed once and run again, twice; both rosters must be the same. Beside it, a naive slixmpp
script reads the same archive: by pages of 10, as slixmpp's own example does, and by pages of 100.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # as pytest's `pythonpath` does

from support.ejabberd import EjabberdServer
from support.program import COMMAND, Program
from support.prosody import ProsodyServer
from support.servers import Options

if TYPE_CHECKING:
    from support.servers import Account, Server

say = partial(print, flush=True)
NAIVE = str(Path(__file__).with_name("naive_archive.py"))
SERVERS: dict[str, type[Server]] = {"prosody": ProsodyServer, "ejabberd": EjabberdServer}
NAIVE_PAGES = (10, 100)  # slixmpp's default, and what the servers like better
KILLS = 5
# Prosody's own storage reads the whole archive again for each page of 50: its time grows with the square.
COUNTS = {"prosody": 1_000, "ejabberd": 20_000}


class Bench:
    """One server, one account with a full archive."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder, self._server = folder, server
        self.account = server.account()

    def env(self, account: Account | None = None) -> dict[str, str]:
        """A child's environment, with a home of its own for each account."""
        account = account or self.account
        home = self._folder / account.jid.partition("@")[0]
        home.mkdir(exist_ok=True)
        naive = {"NAIVE_JID": account.jid, "NAIVE_PASSWORD": account.password, "XMPPSH_QUIET": "1"}
        return Program(home, self._server, account).env | naive

    def run(self, *words: str, text: bytes = b"", account: Account | None = None) -> bytes:
        """The output of a command that must succeed."""
        return subprocess.run(
            [*COMMAND, *words], env=self.env(account), input=text, check=True, stdout=subprocess.PIPE
        ).stdout

    def fill(self, count: int) -> None:
        """Send so many messages to somebody who is away."""
        to = self._server.account().jid
        lines = (json.dumps({"to": to, "body": f"message {number}"}) for number in range(count))
        self.run("pipe", "--timeout", "300", text="\n".join(lines).encode())

    def timed(self, command: list[str]) -> tuple[float, float, float, bytes]:
        """Seconds, seconds of CPU, peak MB, and what was printed."""
        with tempfile.TemporaryFile() as out:
            started = time.perf_counter()
            child = subprocess.Popen(command, env=self.env(), stdout=out, stdin=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - started
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0:
                raise RuntimeError(f"{command}: exit code {child.returncode}")
            out.seek(0)
            return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read()

    def export(self, count: int) -> None:
        """All exports in one piece, and ours in pieces."""
        wanted = [f"message {number}" for number in range(count)]
        naive = [sys.executable, NAIVE, self._server.host, str(self._server.port), str(self._server.ca)]
        commands = {f"slixmpp, pages of {page}": [*naive, str(page)] for page in NAIVE_PAGES}
        rates = {}
        for name, command in {"xmppsh": [*COMMAND, "history", "export"], **commands}.items():
            wall, cpu, peak, printed = self.timed(command)
            complete = [json.loads(line)["body"] for line in printed.splitlines()] == wanted
            rates[name] = count / wall
            say(f"  export by {name:21} {rates[name]:7.0f}/s  CPU {cpu:6.2f} s  peak {peak:6.1f} MB")
            say(f"    complete {complete}")
        for name in commands:
            say(f"  xmppsh is {rates['xmppsh'] / rates[name]:.2f} x {name}")
        kills = self._in_pieces(count / rates["xmppsh"] / (KILLS + 1), wanted)
        say(f"  killed {kills} times and resumed: {count} messages, none missing, none doubled, in order")

    def _in_pieces(self, after_s: float, wanted: list[str]) -> int:
        out, mark, kills = self._folder / "out", self._folder / "mark", 0
        while True:
            with out.open("ab") as file:
                child = subprocess.Popen(
                    [*COMMAND, "history", "export", "--checkpoint", str(mark)], env=self.env(), stdout=file
                )
                try:
                    if child.wait(after_s + 1) == 0:
                        break
                    raise RuntimeError(f"the export ended with {child.returncode}")
                except subprocess.TimeoutExpired:
                    child.send_signal(signal.SIGKILL)
                    child.wait()
                    kills += 1
        if [json.loads(line)["body"] for line in out.read_text().splitlines()] != wanted:
            raise RuntimeError("messages are missing, doubled or out of order")
        return kills

    def roster(self, count: int) -> None:
        """An import that is killed, one that ends, one that has nothing to do; the same roster elsewhere."""
        contacts = [
            {"jid": f"c{number}@example.org", "name": f"Contact {number}", "groups": [f"G{number % 7}", "All"]}
            for number in range(count)
        ]
        text = "\n".join(map(json.dumps, contacts)).encode()
        killed = subprocess.Popen([*COMMAND, "roster", "import"], env=self.env(), stdin=subprocess.PIPE)
        assert killed.stdin is not None
        killed.stdin.write(text)
        killed.stdin.close()
        time.sleep(2)  # SIGKILL somewhere in its midst; where does not matter
        killed.kill()
        killed.wait()
        there = len(self.run("roster", "export").splitlines())
        started = time.perf_counter()
        self.run("roster", "import", "--timeout", "300", text=text)
        first_s, started = time.perf_counter() - started, time.perf_counter()
        self.run("roster", "import", "--timeout", "300", text=text)
        again_s = time.perf_counter() - started
        ours = self.run("roster", "export")
        other = self._server.account()
        self.run("roster", "import", "--timeout", "300", text=ours, account=other)
        same = sorted(ours.splitlines()) == sorted(self.run("roster", "export", account=other).splitlines())
        if not same or len(ours.splitlines()) != count:
            raise RuntimeError(f"{len(ours.splitlines())} of {count} contacts; the same elsewhere: {same}")
        say(
            f"  roster import: killed at {there}, then the rest of {count} in {first_s:.1f} s, again in {again_s:.1f} s"
        )


def main() -> None:
    """Measure each server."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive")
    parser.add_argument("--count", type=int, metavar="N", help=f"messages {COUNTS}")
    parser.add_argument("--contacts", type=int, default=2_000, metavar="N", help="contacts [2000]")
    parser.add_argument("--sql", action="store_true", help="Prosody keeps its archive in SQLite (lua-dbi-sqlite3)")
    parser.add_argument("--server", choices=SERVERS, action="append", help="one of them alone")
    arguments = parser.parse_args()
    for name in arguments.server or SERVERS:
        with tempfile.TemporaryDirectory(prefix="xmppsh-archive-") as folder:
            (Path(folder) / "server").mkdir()
            server = SERVERS[name](Path(folder) / "server", Options(sql=arguments.sql))
            try:
                server.start()
                bench, count = Bench(Path(folder), server), arguments.count or COUNTS[name]
                bench.fill(count)
                say(f"{name}, {count} messages; load average {os.getloadavg()[0]:.1f}")
                bench.export(count)
                bench.roster(arguments.contacts)
            finally:
                server.close()


if __name__ == "__main__":
    main()
