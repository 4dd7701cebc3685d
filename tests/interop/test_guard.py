"""The guard of the real `listen` on real servers: what it closes, and what it costs."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish
from support.servers import Account, Server
from support.until import DEADLINE_S, is_running, until

MAX_BYTES = 25_000_000 if sys.version_info < (3, 14) else 28_000_000  # where asyncio loads inspect and ast
MAX_IDLE_NS = 5_000_000  # while another program starts, logs in and ends


@pytest.fixture
def program(tmp_path: Path, server: Server, alice: Account) -> Program:
    """With the password in a file, so that neither its environment nor its command line holds it."""
    program = Program(tmp_path, server, alice)
    file = tmp_path / "password"
    file.write_text(program.env.pop("XMPPSH_PASSWORD"))
    file.chmod(0o600)
    program.env["XMPPSH_PASSWORD_FILE"] = str(file)
    return program


def guard_of(process: asyncio.subprocess.Process) -> int:
    """Its process id: the program's only child."""
    (guard,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(guard)


def worked_ns(pid: int) -> int:
    """The processor time of a process so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


async def test_the_guard_is_small_idle_and_holds_the_password_in_memory_alone(
    server: Server, alice: Account, program: Program, tmp_path: Path
) -> None:
    async with program.listening(ready=tmp_path / "ready") as process:
        guard = guard_of(process)
        folder = Path(f"/proc/{guard}")
        assert (folder / "comm").read_text() == "xmppsh-guard\n"
        resident = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("VmRSS"))
        print(resident)
        assert int(resident.split()[1]) * 1024 <= MAX_BYTES
        before = worked_ns(guard)
        assert (await program.run("ping")).code == 0
        assert worked_ns(guard) - before <= MAX_IDLE_NS

        files = {int(link.name): str(link.readlink()) for link in (folder / "fd").iterdir()}
        assert [files.pop(stream) for stream in (0, 1, 2)] == ["/dev/null"] * 3
        assert len(files) == 1
        kept = [*(tmp_path / "xmppsh").rglob("*"), folder / "cmdline", folder / "environ"]
        assert len([file for file in kept if file.is_file()]) >= 4
        for file in (file for file in kept if file.is_file()):
            assert alice.password.encode() not in file.read_bytes(), file
        for name in ("cmdline", "environ"):
            assert (folder / name).read_bytes() == Path(f"/proc/{process.pid}/{name}").read_bytes()
        process.terminate()
        outcome = await finish(process)
        assert not folder.exists(), "not even a zombie"
        assert outcome.code == 128 + signal.SIGTERM


async def test_after_a_kill_a_friend_sees_the_end_at_once_and_nothing_stays(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with program.listening(ready=tmp_path / "ready") as process:
        guard = guard_of(process)
        shown = await friend.wait_for_presence(alice.jid, "available")
        process.kill()
        await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)
        await until(lambda: not is_running(guard), "the guard's end")
    assert server.sessions(alice.jid) == []
    assert list((tmp_path / "xmppsh" / "locks").iterdir()) == []
    for file in (file for file in (tmp_path / "xmppsh").rglob("*") if file.is_file()):
        assert alice.password.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("loss", ["deleted", "damaged"])
async def test_a_guard_whose_store_is_gone_closes_the_session_all_the_same(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, loss: str
) -> None:
    async with program.listening(ready=tmp_path / "ready") as process:
        shown = await friend.wait_for_presence(alice.jid, "available")
        (store,) = (tmp_path / "xmppsh" / "outbox").glob("*.sqlite")
        if loss == "deleted":
            shutil.rmtree(tmp_path / "xmppsh")
        else:
            store.write_bytes(b"no database any more" * 100)
        process.kill()
        await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)
    # On Prosody, which ends a session that is resumed with an old h, the guard finds that out on one more session.
    await until(lambda: server.sessions(alice.jid) == [], "the end of the guard's own session")


async def test_messages_that_a_killed_program_had_not_taken_reach_the_next_client(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with program.listening(ready=tmp_path / "ready") as process:
        shown = await friend.wait_for_presence(alice.jid, "available")
        process.send_signal(signal.SIGSTOP)  # it can acknowledge nothing
        bodies = [f"message {number}" for number in range(5)]
        for body in bodies:
            await friend.send(shown.sender, body)
        await friend.settle()
        process.kill()
        await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)
    outcome = await program.run("--no-guard", "listen", "-C", "5", "-W", "10", "-F", "%b")
    assert outcome.stdout.splitlines() == bodies
    assert outcome.code == 0


async def test_a_guard_that_dies_is_told_of_and_the_program_goes_on(
    friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with program.listening("-C", "1", "-F", "%b", ready=tmp_path / "ready") as process:
        shown = await friend.wait_for_presence(program.env["XMPPSH_JID"], "available")
        os.kill(guard_of(process), signal.SIGKILL)
        assert process.stderr is not None
        told = await asyncio.wait_for(process.stderr.readline(), DEADLINE_S)
        assert told.decode().startswith("xmppsh: the guard has ended: ")
        await friend.send(shown.sender, "still here")
        outcome = await finish(process)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "still here\n", "")


@pytest.mark.parametrize("server", ["prosody"], indirect=True)  # it does not depend on the server
@pytest.mark.parametrize("arguments", [("--no-guard",), ("--no-sm",), ("--resume-max", "0")], ids=" ".join)
async def test_without_anything_to_guard_there_is_no_guard(
    program: Program, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    async with program.listening(*arguments, ready=tmp_path / "ready") as process:
        assert Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == ""
