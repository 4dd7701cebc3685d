"""`python -m benchmarks.agent`: a warm `send`, through the agent, against a cold one and a cold go-sendxmpp, and the
agent's memory after thousands of commands.

The cases take turns, after a round that is not counted. xmppsh waits for the acknowledgement; go-sendxmpp does not.
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
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # as pytest's `pythonpath` does

from support.ejabberd import EjabberdServer
from support.program import Program
from support.prosody import ProsodyServer
from support.servers import Account, Server  # noqa: TC002 - as the others

from benchmarks.cold import go_trusting

say = partial(print, flush=True)
XMPPSH = str(Path(sys.executable).with_name("xmppsh"))
ROW = "  {:<34}{:>9.1f}{:>9.1f}{:>9.1f}{:>5}{:>8.2f}"
CLIENTS = 4  # that give their commands one after the other, at the same time
# One client of many commands: what each does is what the thin client does, without the start of Python.
CLIENT = """
import sys
from xmppsh.agent.thin import hand_over
to, domain = sys.argv[2:]
lines = (["send", to, "hello"], ["ping", domain], ["iq", "get", domain, "<query xmlns='jabber:iq:version'/>"])
codes = {hand_over(lines[number % 3]) for number in range(int(sys.argv[1]))}
sys.exit(codes != {0})
"""


def environment(folder: Path, server: Server, account: Account) -> dict[str, str]:
    """A child's environment, with a home of this run; Python may keep what it compiles, as when installed."""
    env = Program(folder, server, account).env | {"XMPPSH_QUIET": "1"}
    return {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str], env: dict[str, str]) -> float:
    """How long a child takes, which has to end with 0."""
    started = time.perf_counter()  # without a time-out, for which subprocess would look every 50 ms alone
    subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def go_sendxmpp(
    program: str, folder: Path, server: Server, sender: Account, to: str, env: dict[str, str]
) -> tuple[list[str], dict]:
    """Its command line and its environment."""
    (secret := folder / "go-secret").touch(0o600)
    secret.write_text(f"username: {sender.jid}\npassword: {sender.password}\n")
    (text := folder / "go-text").write_text("hello\n")
    command = [program, "-f", str(secret), "-j", f"{server.host}:{server.port}", "-m", str(text), to]
    return command, env | go_trusting(server.ca, folder)


def compare(folder: Path, server: Server, sender: Account, to: str, rounds: int, newest: str | None) -> None:
    """The table of one server."""
    env = environment(folder, server, sender)
    cases = {"xmppsh send, cold": ([XMPPSH, "--agent", "no", "send", to, "hello"], env)}
    cases["xmppsh send, warm"] = ([XMPPSH, "send", to, "hello"], env)
    cases["python -c pass"] = ([sys.executable, "-c", "pass"], env)
    if newest:
        cases = {"the newest, cold (no ack)": go_sendxmpp(newest, folder, server, sender, to, env), **cases}
    if shutil.which("go-sendxmpp"):
        debian = go_sendxmpp("go-sendxmpp", folder, server, sender, to, env)
        cases = {"go-sendxmpp, cold (no ack)": debian, **cases}
    else:
        say("go-sendxmpp is not installed")
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds + 1):
        for name, (command, own) in cases.items():
            times[name].append(1000 * seconds(command, own))
    say(f"\n{server.name}, ms{'':<24}{'median':>13}{'min':>9}{'max':>9}{'n':>5}{'ratio':>8}")
    first = statistics.median(next(iter(times.values()))[1:])
    for name, found in times.items():
        median = statistics.median(found[1:])
        say(ROW.format(name, median, min(found[1:]), max(found[1:]), len(found) - 1, median / first))


def memory_mb(pid: int) -> float:
    """Its peak so far."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def load(server: Server, env: dict[str, str], pid: int, to: str, count: int) -> None:
    """Many commands, and the peak of the agent's memory on the way."""
    say(f"\n{'commands so far':<20}{'seconds':>9}{'commands/s':>12}{'peak MB':>9}")
    done = 0
    for size in (count // 10, count // 10, count // 10 * 8):
        started = time.perf_counter()
        command = [sys.executable, "-c", CLIENT, str(size // CLIENTS), to, server.domain]
        clients = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for _ in range(CLIENTS)]
        if any([client.wait() for client in clients]):
            raise RuntimeError("not every command ended with 0")
        done, spent = done + size, time.perf_counter() - started
        say(f"{done:<20}{spent:>9.1f}{size / spent:>12.0f}{memory_mb(pid):>9.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent", description="The agent against cold starts.")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="of each case [9]")
    parser.add_argument("--commands", type=int, default=10_000, metavar="N", help="through one agent [10000]")
    parser.add_argument("--newest", metavar="PROGRAM", help="a newer go-sendxmpp than the one that is installed")
    options = parser.parse_args()
    say(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}, load average {os.getloadavg()[0]:.1f}")
    kinds: tuple[type[Server], ...] = (ProsodyServer, EjabberdServer)
    for kind in (kind for kind in kinds if not kind.missing()):
        with tempfile.TemporaryDirectory(prefix="xmppsh-bench-") as name, ExitStack() as at_end:
            (folder := Path(name)).chmod(0o700)
            server = at_end.enter_context(closing(kind(Path(tempfile.mkdtemp(dir=folder)))))
            server.start()
            sender, to = server.account(), server.account().jid
            env = environment(folder, server, sender)
            subprocess.run([XMPPSH, "agent", "start"], env=env, check=True)
            at_end.callback(subprocess.run, [XMPPSH, "agent", "stop"], env=env, check=True)
            compare(folder, server, sender, to, options.rounds, options.newest)
            status = subprocess.run([XMPPSH, "agent", "status", "--format", "json"], env=env, capture_output=True)
            load(server, env, json.loads(status.stdout.splitlines()[0])["pid"], to, options.commands)
    say(f"\nload average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
