"""A run whose parent ignores signals starts programs that do not, and goes on ignoring them itself."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
RUN = """
import os, signal, subprocess
from support.signals import hand_on_defaults
hand_on_defaults()
os.kill(os.getpid(), signal.{name})
os.kill(os.getpid(), signal.SIGUSR1)
child = subprocess.run(["sh", "-c", "kill -s {short} $$"])
print(-child.returncode == signal.{name})
"""


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT"])
def test_children_of_a_run_whose_parent_ignores_signals_have_the_defaults(name: str) -> None:
    short = name.removeprefix("SIG")
    shell = f'trap "" {short} USR1; exec "$0" -c "$1"'
    command = ["sh", "-c", shell, sys.executable, RUN.format(name=name, short=short)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
