"""`python -m benchmarks.cold`: the start of the program, and one cold message to a real server, near and far away.

The cases of a table take turns (A B C A B C); the first rounds are not counted, so that xmppsh knows its servers. CPU
time is the child's own (wait4). xmppsh waits for the acknowledgement, the others for nothing; sendxmpp sleeps a second.
Far away is a relay (delay.py): the round trips are those of the distance, the kernel's part is that of loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # as pytest's `pythonpath` does

from support.contact import Contact
from support.ejabberd import EjabberdServer
from support.program import Program
from support.prosody import ProsodyServer
from support.servers import Options

from benchmarks.installed import PYTHON, XMPPSH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers import Account, Server

HERE = Path(__file__).parent
NEWEST = "go-sendxmpp, newest"
WARM_UP = 2  # rounds after the first: the server is met, tried, known
FAR_MS = 50
say = partial(print, flush=True)


class Case(NamedTuple):
    """A command line with its environment."""

    words: list[str]
    env: dict[str, str]


class Cost(NamedTuple):
    """Milliseconds of one run."""

    wall: float
    cpu: float


def run(case: Case) -> Cost:
    """Run a child to its end; raises RuntimeError when it fails."""
    started = time.perf_counter()
    quiet = subprocess.DEVNULL if case.words[0] == "sendxmpp" else None  # Perl warns of each line of its library
    child = subprocess.Popen(
        case.words, env=case.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=quiet
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall, child.returncode = time.perf_counter() - started, os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(case.words[:3])}: exit code {child.returncode}")
    return Cost(1000 * wall, 1000 * (usage.ru_utime + usage.ru_stime))


def table(title: str, cases: dict[str, Case], rounds: int, warm_up: int = 1) -> None:
    """Run the cases in turns and print them beside each other; the first one is what the others are compared with."""
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for number in range(-warm_up, rounds):
        for name, case in cases.items():
            cost = run(case)
            if number >= 0:
                costs[name].append(cost)
    say(f"\n{title}, ms, n = {rounds}, load average {os.getloadavg()[0]:.1f}")
    say(f"  {'':<28}{'wall':>8}{'least':>8}{'most':>8}{'CPU':>8}{'ratio':>8}")
    first = 0.0
    for name, found in costs.items():
        walls = [cost.wall for cost in found]
        middle = statistics.median(walls)
        first = first or middle
        cpu = statistics.median(cost.cpu for cost in found)
        say(f"  {name:<28}{middle:8.1f}{min(walls):8.1f}{max(walls):8.1f}{cpu:8.1f}{middle / first:8.2f}")


def able(cases: dict[str, Case]) -> dict[str, Case]:
    """Run each case once; a peer that cannot send to this server is told and left out."""
    found: dict[str, Case] = {}
    for name, case in cases.items():
        try:
            run(case)
        except RuntimeError as error:
            if case.words[0] == XMPPSH:
                raise
            say(f"\n{name} is left out: {error}")
        else:
            found[name] = case
    return found


def environment(folder: Path, server: Server | None = None, account: Account | None = None) -> dict[str, str]:
    """A child's, with a home of this run; Python may keep what it compiles, as when installed."""
    env = Program(folder, server, account).env | {"XMPPSH_QUIET": "1"}
    return {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}


def start(folder: Path, rounds: int) -> None:
    """The start of the program, against Python's own."""
    env = environment(folder)
    cases = {"python -c pass": Case([PYTHON, "-c", "pass"], env)}
    for words in (["--version"], ["--help"], ["send", "--help"]):
        cases[f"xmppsh {' '.join(words)}"] = Case([XMPPSH, *words], env)
    table("start", cases, rounds)


def go_trusting(ca: Path, folder: Path) -> dict[str, str]:
    """Have go-sendxmpp trust an authority alone, as the others do. The newest reads it as `nobody` where it is root."""
    folder.chmod(0o711)
    shutil.copy(ca, folder / "ca.pem")
    return {"SSL_CERT_FILE": str(folder / "ca.pem"), "SSL_CERT_DIR": str(folder / "none")}  # there is no such folder


class Senders:
    """What sends one message to a server at a port, each program in its own way."""

    def __init__(self, folder: Path, server: Server, port: int, to: str, newest: str | None) -> None:
        self._folder, self._server, self._port, self._to, self._newest = folder, server, port, to, newest
        self._sender = server.account()

    def cases(self) -> dict[str, Case]:
        """The peers that are here, and xmppsh; the body names the program."""
        found = {"go-sendxmpp": self._go("go-sendxmpp", "go-sendxmpp")} if shutil.which("go-sendxmpp") else {}
        if self._newest:
            found[NEWEST] = self._go(self._newest, NEWEST)
        if shutil.which("sendxmpp"):
            found["sendxmpp"] = self._perl()
        return {**found, "naive slixmpp": self._naive(), "xmppsh": self._ours()}

    def _go(self, program: str, name: str) -> Case:
        (secret := self._folder / "go-secret").touch(0o600)
        secret.write_text(f"username: {self._sender.jid}\npassword: {self._sender.password}\n")
        (text := self._folder / f"text of {name}").write_text(f"{name}\n")
        words = [program, "-f", str(secret), "-j", f"{self._server.host}:{self._port}", "-m", str(text), self._to]
        return Case(words, environment(self._folder) | go_trusting(self._server.ca, self._folder))

    def _perl(self) -> Case:
        user, _, domain = self._sender.jid.partition("@")
        place = ["-j", f"{self._server.host}:{self._port}", "-o", domain, "--tls-ca-path", str(self._server.ca)]
        (text := self._folder / "perl-text").write_text("sendxmpp\n")
        words = ["sendxmpp", "-t", "-u", user, "-p", self._sender.password, *place, "-m", str(text), self._to]
        return Case(words, environment(self._folder))

    def _naive(self) -> Case:
        words = [sys.executable, str(HERE / "naive_slixmpp.py"), self._server.host, str(self._port)]
        secrets = {"NAIVE_JID": self._sender.jid, "NAIVE_PASSWORD": self._sender.password}
        return Case([*words, str(self._server.ca), self._to, "naive slixmpp"], environment(self._folder) | secrets)

    def _ours(self) -> Case:
        place = {"XMPPSH_HOST": f"{self._server.host}:{self._port}"}
        return Case([XMPPSH, "send", self._to, "xmppsh"], environment(self._folder, self._server, self._sender) | place)


@contextlib.contextmanager
def far_away(server: Server, round_trip_ms: int) -> Iterator[int]:
    """The port of a relay to the server."""
    words = [sys.executable, str(HERE / "delay.py"), server.host, str(server.port), str(round_trip_ms)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as relay:
        assert relay.stdout is not None
        try:
            yield int(relay.stdout.readline())
        finally:
            relay.terminate()


async def send(folder: Path, kind: type[Server], rounds: int, newest: str | None) -> None:
    """Cold messages to a real server; the recipient is online and counts."""
    if missing := kind.missing():
        return say(f"\ncold send to {kind.name}: skipped, {missing} is not installed")
    with contextlib.closing(kind(Path(tempfile.mkdtemp(dir=folder)), Options(hashed=True))) as server:
        server.start()
        recipient = server.account()
        async with Contact(server, recipient) as contact:
            near = Senders(folder, server, server.port, recipient.jid, newest).cases()
            cases = await asyncio.to_thread(able, near)
            await asyncio.to_thread(table, f"cold send to {kind.name}", cases, rounds, WARM_UP)
            with far_away(server, FAR_MS) as port:
                far = Senders(folder, server, port, recipient.jid, newest).cases()
                far = await asyncio.to_thread(able, {name: far[name] for name in cases})
                title = f"cold send to {kind.name}, {FAR_MS} ms away"
                await asyncio.to_thread(table, title, far, rounds, WARM_UP)
            count = 2 * (rounds + WARM_UP + 1)
            with contextlib.suppress(TimeoutError):
                await contact.wait_for_messages(count * len(cases))
            bodies = [message.body.strip() for message in contact.messages]
        for name in cases:
            say(f"  {name}: {count} times exit code 0, {bodies.count(name)} delivered")
    return None


def versions(newest: str | None) -> str:
    """Of Python, of what Debian's packages brought, and of the newest go-sendxmpp."""
    told = [f"Python {sys.version.split()[0]}"]
    if newest:
        told += subprocess.run([newest, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[
            :1
        ]
    if shutil.which("dpkg-query"):
        words = ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", "go-sendxmpp", "sendxmpp", "prosody", "ejabberd"]
        told += subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    return ", ".join(told)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="of each case [9]")
    parser.add_argument("--newest", metavar="PROGRAM", help="a newer go-sendxmpp than the one that is installed")
    options = parser.parse_args()
    say(f"{os.cpu_count()} CPUs, {versions(options.newest)}")
    with tempfile.TemporaryDirectory(prefix="xmppsh-cold-") as name:
        folder = Path(name)
        start(folder, options.rounds)
        for kind in (ProsodyServer, EjabberdServer):
            asyncio.run(send(folder, kind, options.rounds, options.newest))


if __name__ == "__main__":
    main()
