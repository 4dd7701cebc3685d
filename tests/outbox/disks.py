"""Disks that take nothing: a full one and read-only ones, in a mount namespace of a child's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def may_mount() -> bool:
    """Can this user mount a file system where nobody else sees it?"""
    if os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(not may_mount(), reason="only root can mount a small file system")


def run(program: str, *arguments: str, before: str = "true") -> str:
    """Run Python in a mount namespace of its own, behind shell commands; gives what it prints."""
    command = f'set -e; {before}; exec "$@"'
    shell = ["sh", "-c", command, "sh", sys.executable, "-c", program, *arguments]
    prefix = ["unshare", "-m"] if before != "true" else []
    done = subprocess.run([*prefix, *shell], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
