"""What a dead program left is closed by the next start, what a living one has is not touched; on real servers."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from outbox.disks import needs_mount
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import refuse, silent_hole
from support.program import Program, finish
from support.servers import Account, Server
from support.until import DEADLINE_S, until

from xmppsh.outbox.journal import account_file

pytestmark = pytest.mark.either_server

on_one_server = pytest.mark.parametrize("server", ["prosody"], indirect=True)  # it does not depend on the server
CLOSED = "left by a process that died: resumed and closed"
NOT_CLOSED = "a session that a dead program left is not closed"


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path / "xmppsh" / "locks"


@asynccontextmanager
async def left_behind(program: Program, friend: Contact, folder: Path, *arguments: str) -> AsyncIterator[str]:
    """The full JID of a session whose program was killed and had no guard; a friend still sees it."""
    async with program.listening("--no-guard", *arguments, ready=folder / "ready") as process:
        shown = await friend.wait_for_presence(program.env["XMPPSH_JID"], "available")
        process.kill()
        await process.wait()
        await friend.settle()
        assert [one for one in friend.presence if (one.sender, one.type) == (shown.sender, "unavailable")] == []
        yield shown.sender


def owners(folder: Path, account: Account) -> list[str]:
    """Whose the sessions in the outbox are."""
    with closing(sqlite3.connect(account_file(folder / "xmppsh", account.jid))) as database:
        return [row[0] for row in database.execute("SELECT owner FROM session")]


# ── The next start ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_next_command_closes_what_a_killed_program_left_before_it_binds(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, locks: Path
) -> None:
    async with left_behind(program, friend, tmp_path) as ghost:
        outcome = await program.run("-v", "ping")
        assert outcome.code == 0
        await friend.wait_for_presence(alice.jid, "unavailable", sender=ghost)
    told = outcome.stderr.splitlines()
    closed = next(place for place, line in enumerate(told) if line == f"xmppsh: {ghost}, {CLOSED}")
    bound = next(place for place, line in enumerate(told) if line.startswith("xmppsh: session "))
    assert closed < bound
    assert ghost not in server.sessions(alice.jid)
    # A one-shot does not wait for the server's end of its own stream.
    await until(lambda: server.sessions(alice.jid) == [], "the end of the ping's own session")
    assert list(locks.iterdir()) == []
    assert CLOSED not in (await program.run("-v", "ping")).stderr


async def test_of_two_commands_at_once_one_closes_it_and_both_succeed(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, locks: Path
) -> None:
    async with left_behind(program, friend, tmp_path) as ghost:
        outcomes = await asyncio.gather(*(program.run("-v", "ping") for _ in range(2)))
        await friend.wait_for_presence(alice.jid, "unavailable", sender=ghost)
    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert sum(outcome.stderr.count(CLOSED) for outcome in outcomes) == 1
    assert [line for outcome in outcomes for line in outcome.stderr.splitlines() if NOT_CLOSED in line] == []
    await until(lambda: server.sessions(alice.jid) == [], "the end of all sessions")
    assert list(locks.iterdir()) == []


async def test_a_living_programs_session_is_not_touched(
    alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with program.listening("-C", "1", "-F", "%b", ready=tmp_path / "ready") as process:
        shown = await friend.wait_for_presence(alice.jid, "available")
        outcome = await program.run("-v", "ping")
        assert (outcome.code, outcome.stderr.count("left by a process")) == (0, 0)
        await friend.send(shown.sender, "still here")
        outcome = await finish(process)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "still here\n", "")


async def test_messages_that_nobody_had_taken_reach_the_next_client_when_the_guard_is_gone_too(
    alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with program.listening("--no-guard", ready=tmp_path / "ready") as process:
        shown = await friend.wait_for_presence(alice.jid, "available")
        process.send_signal(signal.SIGSTOP)  # it can acknowledge nothing
        bodies = [f"message {number}" for number in range(5)]
        for body in bodies:
            await friend.send(shown.sender, body)
        await friend.settle()
        process.kill()
        await process.wait()
    outcome = await program.run("listen", "-C", "5", "-W", "10", "-F", "%b")
    assert (outcome.code, outcome.stdout.splitlines()) == (0, bodies)


async def test_a_command_that_is_killed_while_it_closes_what_another_left_leaves_nothing(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, locks: Path
) -> None:
    async with (
        left_behind(program, friend, tmp_path) as ghost,
        ChaosProxy(server.host, server.port) as proxy,
    ):
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        hole = proxy.arm(silent_hole(every=True))
        process = await program.start("listen", "--connect-timeout", "4")
        await until(lambda: owners(tmp_path, alice)[0].startswith("guard-"), "its claim")
        process.kill()
        await process.wait()
        hole.release()
        await friend.wait_for_presence(alice.jid, "unavailable", sender=ghost)
    await until(lambda: list(locks.iterdir()) == [], "the end of all locks")


async def test_a_session_that_the_server_has_given_up_is_forgotten(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, locks: Path
) -> None:
    async with left_behind(program, friend, tmp_path) as ghost:
        server.kick(ghost)
        await friend.wait_for_presence(alice.jid, "unavailable", sender=ghost)
        outcome = await program.run("-v", "ping")
    assert outcome.code == 0
    assert f"{ghost}, left by a process that died: gone already" in outcome.stderr
    assert list(locks.iterdir()) == []
    assert ghost not in server.sessions(alice.jid)
    await until(lambda: server.sessions(alice.jid) == [], "the end of the ping's own session")


@on_one_server
async def test_a_program_of_another_account_leaves_the_session_alone(
    server: Server, friend: Contact, program: Program, tmp_path: Path, locks: Path
) -> None:
    async with left_behind(program, friend, tmp_path) as ghost:
        stranger = Program(tmp_path, server, server.account())
        assert (await stranger.run("ping")).code == 0
        assert len(list(locks.iterdir())) == 1
        assert ghost in server.sessions(program.env["XMPPSH_JID"])


# ── The guard and others at the same time ───────────────────────────────────────────────────────────────────────


async def test_the_guard_waits_for_a_server_that_cannot_be_reached(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        async with program.listening(ready=tmp_path / "ready") as process:
            shown = await friend.wait_for_presence(alice.jid, "available")
            injection = await proxy.inject(refuse(refuse_s=0.5))
            process.kill()
            await injection.over.wait()
            await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)


@on_one_server
async def test_a_command_that_comes_while_the_guard_cannot_reach_the_server_does_not_make_it_forget(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, locks: Path
) -> None:
    direct = Program(tmp_path, server, alice)
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        async with program.listening("--connect-timeout", "4", ready=tmp_path / "ready") as process:
            shown = await friend.wait_for_presence(alice.jid, "available")
            process.send_signal(signal.SIGSTOP)
            hole = proxy.arm(silent_hole(every=True))
            process.kill()
            await process.wait()
            await until(lambda: len(list(locks.glob("guard-*"))) == 1, "the guard at work")
            await until(lambda: proxy.connections >= 2, "its connection")
            assert (await direct.run("ping")).code == 0
            hole.release()
            await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)
            await until(lambda: list(locks.iterdir()) == [], "the guard's last act")


# ── A state folder that takes nothing ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def simple(tmp_path: Path, prosody: Server) -> Program:
    """On one server: what is tested does not depend on it."""
    return Program(tmp_path, prosody, prosody.account())


async def test_a_ping_keeps_nothing_but_what_the_server_offered(simple: Program, tmp_path: Path) -> None:
    simple.env["XDG_STATE_HOME"] = str(tmp_path / "none")
    outcome = await simple.run("ping")
    assert (outcome.code, outcome.stderr) == (0, "")
    kept = {path.name for path in (tmp_path / "none" / "xmppsh").iterdir()}
    # A token where the server gives one.
    assert kept - {"tokens.json"} == {"early.tsv", "places.json", "salts.json", "servers.json"}


@pytest.mark.parametrize("file", ["state", "state/xmppsh", "state/xmppsh/locks"])
async def test_a_ping_works_with_a_file_in_the_folders_place(simple: Program, tmp_path: Path, file: str) -> None:
    simple.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("")
    outcome = await simple.run("ping")
    assert (outcome.code, outcome.stderr) == (0, "")


async def test_a_session_that_cannot_be_written_down_is_not_begun(
    prosody: Server, simple: Program, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("")
    simple.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    outcome = await simple.run("listen", "-C", "1")
    told = f"xmppsh: {tmp_path}/state: not a directory\n"  # what is at fault, and not what would have stood in it
    assert (outcome.code, outcome.stderr.partition("  try: ")[0]) == (74, told)
    assert prosody.sessions(simple.env["XMPPSH_JID"]) == []


async def test_a_lock_whose_store_is_gone_is_cleared_away(simple: Program, tmp_path: Path, locks: Path) -> None:
    locks.mkdir(parents=True)
    line = f'{{"account": "{simple.env["XMPPSH_JID"]}", "store": "{tmp_path / "gone.sqlite"}"}}\n'
    (locks / "process-1-abc.lock").write_text(line)
    outcome = await simple.run("ping")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert list(locks.iterdir()) == []
    assert not (tmp_path / "gone.sqlite").exists()


@on_one_server
async def test_a_store_that_is_damaged_does_not_keep_the_sessions_of_others_online(
    alice: Account, friend: Contact, program: Program, tmp_path: Path, locks: Path
) -> None:
    async with left_behind(program, friend, tmp_path) as ghost:
        damaged = tmp_path / "damaged"
        damaged.write_bytes(b"junk" * 1000)
        lock = locks / "process-1-abc.lock"
        lock.write_text(f'{{"account": "{alice.jid}", "store": "{damaged}"}}\n')
        os.utime(lock, (0, 0))  # the oldest, so the first
        outcome = await program.run("ping")
        await friend.wait_for_presence(alice.jid, "unavailable", sender=ghost)
    assert outcome.code == 0
    (warning,) = outcome.stderr.splitlines()
    assert f"{NOT_CLOSED}: {damaged}: file is not a database" in warning
    assert [one.name for one in locks.iterdir()] == [lock.name]


@needs_mount
@on_one_server
async def test_a_ping_works_on_a_read_only_state_folder_with_one_warning(
    friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with left_behind(program, friend, tmp_path):
        state = tmp_path / "xmppsh"
        mounts = f"mount --bind {state} {state} && mount -o remount,ro,bind {state}"
        command = f"{mounts} && exec {sys.executable} -m xmppsh ping"
        done = await asyncio.to_thread(
            subprocess.run,
            ["unshare", "-m", "sh", "-c", command],
            env=program.env,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("pong from ")
        (warning,) = done.stderr.splitlines()
        assert NOT_CLOSED in warning
