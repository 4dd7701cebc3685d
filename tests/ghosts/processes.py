"""The processes of a program and of everything that it started, found by a mark in their environment."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from ghosts.waiting import until

MARK = "GHOSTS_MARK"
GUARD = "xmppsh-guard"  # the name that the guard gives itself


@dataclass(frozen=True)
class Process:
    """One process; `name` is its /proc/PID/comm."""

    pid: int
    name: str

    @property
    def private_bytes(self) -> int:
        """The memory that it shares with nobody: what it costs."""
        fields = dict(line.split(":") for line in self._read("smaps_rollup").splitlines()[1:])
        return sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) * 1024

    @property
    def cpu_ticks(self) -> int:
        """What it has worked so far."""
        fields = self._read("stat").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # utime, stime: proc(5) numbers from 1, and two are cut off

    def _read(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text()


def marked(mark: str) -> list[Process]:
    """Every living process with this mark; one that is dead and not waited for has no environment any more."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it ended, or is another user's
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(Process(int(folder.name), (folder / "comm").read_text().strip()))
    return found


def guards(mark: str) -> list[Process]:
    """Those that are guards."""
    return [process for process in marked(mark) if process.name == GUARD]


def kill_all(mark: str) -> list[int]:
    """SIGKILL to all of them: the guards first, so that none of them sees another process end."""
    killed = []
    for process in sorted(marked(mark), key=lambda one: one.name != GUARD):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
            killed.append(process.pid)
    return killed


async def until_none(mark: str, within_s: float) -> list[Process]:
    """Wait until all of them have ended; those that still run at the deadline."""
    await until(lambda: not marked(mark), within_s)
    return marked(mark)


async def stop(pid: int, within_s: float = 5.0) -> None:
    """SIGSTOP, and wait until every thread stands still."""
    os.kill(pid, signal.SIGSTOP)
    if not await until(lambda: _is_stopped(pid), within_s):
        raise TimeoutError(f"process {pid} did not stop")


def _is_stopped(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)
