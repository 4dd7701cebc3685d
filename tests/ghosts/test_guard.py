"""The guard of a real process: when it closes the sessions, when not, and what it keeps of the program it guards."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from support.until import DEADLINE_S, is_running, until

from xmppsh.ghosts.guard import is_held_up

ROOT = Path(__file__).parents[2]
HEARTBEAT_S = 0.15  # three of them missed by a loaded machine would look like a stuck loop
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class Guarded:
    """A running `ghosts.guarded`; guard: the guard's process id."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, guard: int) -> None:
        self.process, self.folder, self.guard = process, folder, guard

    async def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    async def hears(self, line: str) -> None:
        """The next thing that the program says."""
        assert self.process.stdout is not None
        assert (await asyncio.wait_for(self.process.stdout.readline(), DEADLINE_S)).decode() == f"{line}\n"

    def noted(self, kind: str) -> list[str]:
        """What the guard wrote down of this kind."""
        file = self.folder / "guard"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(kind)]

    async def closes(self, times: int = 1) -> None:
        await until(lambda: len(self.noted("close")) >= times, f"{times} times to close the sessions")

    async def guard_ends(self) -> None:
        await until(lambda: not is_running(self.guard), "the guard's end")

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def guarded(folder: Path, *outcomes: str, heartbeat_s: float = 60.0) -> AsyncIterator[Guarded]:
    """A program whose guard watches over `one` and `two`; behind the block both are gone."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ghosts.guarded", str(folder), str(heartbeat_s), *outcomes),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])},
        start_new_session=True,
    )
    assert process.stdout is not None
    guard = int(await asyncio.wait_for(process.stdout.readline(), DEADLINE_S))
    try:
        await until(lambda: Path(f"/proc/{guard}/comm").read_text() == "xmppsh-guard\n", "the guard's name")
        yield Guarded(process, folder, guard)
    finally:
        for pid in (process.pid, guard):
            if is_running(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        await process.wait()


# ── Death and goodbye ───────────────────────────────────────────────────────────────────────────────────────────


async def test_when_the_program_is_killed_its_sessions_are_closed_once_and_the_guard_ends(tmp_path: Path) -> None:
    async with guarded(tmp_path) as program:
        await program.tell("watch three")
        await program.hears("watched")
        assert program.noted("close") == []
        await program.kill()
        await program.guard_ends()
        assert program.noted("close") == ["close one three two"]


async def test_after_a_goodbye_nothing_is_closed_and_no_process_stays_not_even_a_zombie(tmp_path: Path) -> None:
    async with guarded(tmp_path) as program:
        await program.tell("end")
        await program.hears("released")
        assert not Path(f"/proc/{program.guard}").exists()
        await program.tell("")
        assert await asyncio.wait_for(program.process.wait(), DEADLINE_S) == 0
        assert program.noted("close") == []


async def test_a_program_that_ends_in_a_cut_does_not_wait_for_its_guard_which_closes_what_is_open(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path, "waits") as program:
        await program.tell("end in a cut")
        await program.hears("released")
        await program.closes()
        await program.tell("")
        assert await asyncio.wait_for(program.process.wait(), DEADLINE_S) == 0
        assert is_running(program.guard)
        (tmp_path / "go").touch()
        await program.guard_ends()
        assert program.noted("close") == ["close one two"]


async def test_a_program_that_dies_before_its_loop_runs_is_dead(tmp_path: Path) -> None:
    async with guarded(tmp_path) as program:
        await program.kill()
        await program.guard_ends()
        assert program.noted("close") == ["close one two"]


async def test_the_program_learns_that_its_guard_has_died(tmp_path: Path) -> None:
    async with guarded(tmp_path) as program:
        os.kill(program.guard, signal.SIGKILL)
        await program.hears("guard dead")
        await program.tell("end")  # and nobody waits for it
        await program.hears("released")


async def test_a_guard_that_dies_with_something_unread_is_dead_like_any_other(tmp_path: Path) -> None:
    async with guarded(tmp_path) as program:
        os.kill(program.guard, signal.SIGSTOP)
        await program.tell("watch three")
        await program.hears("watched")
        os.kill(program.guard, signal.SIGKILL)
        await program.hears("guard dead")


@pytest.mark.parametrize("number", IGNORED, ids=lambda number: number.name)
async def test_a_signal_for_the_terminals_processes_does_not_end_the_guard(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with guarded(tmp_path) as program:
        os.kill(program.guard, number)
        await program.kill()
        await program.guard_ends()
        assert program.noted("close") == ["close one two"]


# ── Silence ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_program_that_is_stopped_for_many_heartbeats_is_left_alone(tmp_path: Path) -> None:
    async with guarded(tmp_path, heartbeat_s=HEARTBEAT_S) as program:
        await program.tell("watch three")
        await program.hears("watched")  # its loop runs
        program.process.send_signal(signal.SIGSTOP)
        await until(lambda: len(program.noted("silence")) >= 6, "6 heartbeats that stay out")
        assert program.noted("close") == []
        program.process.send_signal(signal.SIGCONT)
        await program.tell("watch four")
        await program.hears("watched")
        assert program.noted("close") == []
        await program.kill()  # it is guarded as before
        await program.guard_ends()
        assert program.noted("close") == ["close four one three two"]


async def test_a_program_that_waits_for_the_system_is_held_up_and_one_that_sleeps_is_not() -> None:
    """vfork() leaves the parent in the state of one that waits for a disk, until the child has ended."""
    for wait, expected in (("ctypes.PyDLL(None).vfork()", True), ("None", False)):
        code = f"import ctypes, signal; print(flush=True); {wait}; signal.pause()"
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        try:
            assert program.stdout is not None
            await program.stdout.readline()
            await until(lambda pid=program.pid, wanted=expected: is_held_up(pid) is wanted, "its state")
        finally:
            os.killpg(program.pid, signal.SIGKILL)
            await program.wait()


async def test_the_sessions_of_a_stuck_loop_are_closed_the_program_is_told_and_a_later_death_counts(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path, heartbeat_s=HEARTBEAT_S) as program:
        await program.tell("ended conflict")
        await program.hears("False")
        await program.tell("hang back")
        await program.hears("hangs")
        await program.closes()
        assert len(program.noted("silence")) == 3
        (tmp_path / "back").touch()
        await program.hears("goes on")
        await program.tell("ended conflict")
        await program.hears("True")
        await program.tell("ended policy-violation")
        await program.hears("False")
        assert is_running(program.guard)
        assert program.noted("close") == ["close one two"]
        await program.kill()
        await program.guard_ends()
        assert program.noted("close") == ["close one two"] * 2


async def test_what_hangs_is_closed_once_and_its_death_is_noticed_too(tmp_path: Path) -> None:
    async with guarded(tmp_path, heartbeat_s=HEARTBEAT_S) as program:
        await program.tell("hang for-ever")
        await program.hears("hangs")
        await program.closes()
        assert is_running(program.guard)
        await program.kill()
        await program.guard_ends()
        assert program.noted("close") == ["close one two"] * 2


async def test_a_stuck_loop_is_closed_again_when_it_gets_stuck_again(tmp_path: Path) -> None:
    async with guarded(tmp_path, heartbeat_s=HEARTBEAT_S) as program:
        for times in (1, 2):
            await program.tell(f"hang back{times}")
            await program.hears("hangs")
            await program.closes(times)
            (tmp_path / f"back{times}").touch()
            await program.hears("goes on")
            await program.tell("watch two")
            await program.hears("watched")  # its loop has run, and shown that it lives
        await program.tell("end")
        await program.hears("released")
        assert program.noted("close") == ["close one two"] * 2


# ── Closing ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_tries_again_while_the_server_cannot_be_reached(tmp_path: Path) -> None:
    async with guarded(tmp_path, *["unreachable"] * 4) as program:
        await program.kill()
        await program.guard_ends()
        assert program.noted("close") == ["close one two"] * 5


async def test_it_gives_up_when_the_server_has_given_the_session_up(tmp_path: Path) -> None:
    async with guarded(tmp_path, "for ever") as program:
        await program.kill()
        await program.guard_ends()
        assert 1 <= len(program.noted("close")) <= 60  # in 0.5 s, with 0.01 s between two


async def test_it_tries_for_as_long_as_the_server_has_granted(tmp_path: Path) -> None:
    async with guarded(tmp_path, "short", *["unreachable"] * 30) as program:
        await program.tell("granted 60")
        await program.hears("told")
        await program.kill()
        await program.guard_ends()
        assert len(program.noted("close")) == 31  # in 0.05 s it would be 5


@pytest.mark.parametrize("outcome", ["refused", "bug"])
async def test_it_does_not_repeat_what_would_fail_again(tmp_path: Path, outcome: str) -> None:
    async with guarded(tmp_path, outcome) as program:
        await program.kill()
        await program.guard_ends()
        assert len(program.noted("close")) == 1


async def test_who_reads_the_programs_output_sees_its_end_though_the_guard_works_on(tmp_path: Path) -> None:
    async with guarded(tmp_path, "waits") as program:
        await program.kill()
        await program.closes()
        assert program.process.stdout is not None
        assert await asyncio.wait_for(program.process.stdout.read(), DEADLINE_S) == b""
        assert is_running(program.guard)
        (tmp_path / "go").touch()
        await program.guard_ends()


# ── What it is ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_is_a_process_of_its_own_session_that_holds_nothing_but_its_channel(tmp_path: Path) -> None:
    async with guarded(tmp_path) as program:
        assert (os.getsid(program.guard), os.getpgid(program.guard)) == (program.guard, program.guard)
        process = Path(f"/proc/{program.guard}")
        files = {int(link.name): str(link.readlink()) for link in (process / "fd").iterdir()}
        assert [files.pop(stream) for stream in (0, 1, 2)] == ["/dev/null"] * 3
        (channel,) = files.values()
        assert channel.startswith("socket:")
        limits = (process / "limits").read_text()
        assert [line.split()[-3:-1] for line in limits.splitlines() if "core file" in line] == [["0", "0"]]


async def test_the_program_that_it_guards_does_not_leak_its_channel_to_what_it_starts(tmp_path: Path) -> None:
    async with guarded(tmp_path) as program:
        channels = [
            link
            for link in Path(f"/proc/{program.process.pid}/fd").iterdir()
            if str(link.readlink()).startswith("socket:")
        ]
        assert channels
        for link in channels:
            flags = Path(f"/proc/{program.process.pid}/fdinfo/{link.name}").read_text().split("flags:")[1].split()[0]
            assert int(flags, 8) & os.O_CLOEXEC
