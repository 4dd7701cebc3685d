"""`python -m benchmarks.tab`: what the Tab key costs beside `--help`, of which 1.5 times as much is promised.

A config file names the account, and its roster's cache has 5,000 contacts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.installed import XMPPSH
from benchmarks.pipes import say
from xmppsh.registry.known import write_contacts

ACCOUNT, CONTACTS = "romeo@example.net", 5_000
LINES = {
    "commands": "p",
    "options": "send --",
    "choices": "ping --format ",
    "files": "pipe x",
    "accounts": "-j ro",
    "contacts": "send c1",
    "contacts of a profile": "-P default send c12",
    "topics of help": "help ro",
    "spans": "listen -W 5",
}


def _home(folder: Path) -> dict[str, str]:
    config = folder / ".config/xmppsh/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[profile.default]\njid = "{ACCOUNT}"\n')
    config.chmod(0o600)
    contacts = [(f"c{number}@example.org", f"Contact {number}") for number in range(CONTACTS)]
    write_contacts(folder / ".local/state/xmppsh", ACCOUNT, contacts)
    return {"HOME": str(folder), "PATH": os.environ["PATH"]}


def _took_ms(arguments: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run([XMPPSH, *arguments], env=env, capture_output=True, check=True)
    took_ms = 1000 * (time.perf_counter() - began)
    if not done.stdout:
        raise SystemExit(f"nothing completes: {env}")
    return took_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="xmppsh-bench-") as folder:
        env = _home(Path(folder))
        asked = env | {"_XMPPSH_COMPLETE": "fish_complete"}
        cases = {"--help": (["--help"], env)}
        for name, line in LINES.items():
            words = f"xmppsh {line}"
            cases[name] = ([], asked | {"COMP_WORDS": words, "COMP_CWORD": words.split(" ")[-1]})
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, case in cases.items():
                taken[name].append(_took_ms(*case))
    base_ms = statistics.median(taken["--help"])
    say(f"Tab, wall ms, medians of {rounds} in turns; load average {os.getloadavg()[0]:.2f}")
    for name, times in taken.items():
        median_ms = statistics.median(times)
        say(f"  {name:24} {median_ms:6.1f} ({min(times):.1f})  {median_ms / base_ms:.2f} x")


if __name__ == "__main__":
    main()
