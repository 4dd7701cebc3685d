"""`python -m benchmarks.agent`: a warm `send`, through the agent, against a cold one and a cold go-sendxmpp, and the
agent's memory after thousands of commands.

The cases take turns, after a round that is not counted. xmppsh waits for the acknowledgement; go-sendxmpp does not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # as pytest's `pythonpath` does

from support.ejabberd import EjabberdServer
from support.prosody import ProsodyServer
from support.servers import Server  # noqa: TC002 - as the others

from benchmarks.cold import Case, Senders, able, environment, table
from benchmarks.installed import PYTHON, XMPPSH

say = partial(print, flush=True)
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


def compare(senders: Senders, env: dict[str, str], to: str, title: str, rounds: int) -> None:
    """The table of one server."""
    cases = {name: case for name, case in senders.cases().items() if name.startswith("go-sendxmpp")}
    cases["xmppsh send, cold"] = Case([XMPPSH, "--agent", "no", "send", to, "hello"], env)
    cases["xmppsh send, warm"] = Case([XMPPSH, "send", to, "hello"], env)
    cases["python -c pass"] = Case([PYTHON, "-c", "pass"], env)
    table(title, able(cases), rounds)


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
            compare(Senders(folder, server, server.port, to, options.newest), env, to, server.name, options.rounds)
            status = subprocess.run([XMPPSH, "agent", "status", "--format", "json"], env=env, capture_output=True)
            load(server, env, json.loads(status.stdout.splitlines()[0])["pid"], to, options.commands)
    say(f"\nload average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
