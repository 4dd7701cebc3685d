"""A guard that comes late, or for long: what others have taken up meanwhile is left alone, what is open is closed."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import Fault, Kind, refuse, silent_hole
from support.program import Program, finish
from support.servers import Account, Server
from support.until import DEADLINE_S, is_running, until

pytestmark = pytest.mark.either_server

on_prosody = pytest.mark.parametrize("server", ["prosody"], indirect=True)


def guard_of(process: asyncio.subprocess.Process) -> int:
    """Its process id: the program's only child."""
    (guard,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(guard)


@asynccontextmanager
async def behind_proxy(program: Program, server: Server) -> AsyncIterator[ChaosProxy]:
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        yield proxy


def messages(friend: Contact, numbers: range) -> bytes:
    to = friend.jid.partition("/")[0]
    return "".join(f"<message to='{to}' type='chat'><body>{number}</body></message>\n" for number in numbers).encode()


async def feed(process: asyncio.subprocess.Process, stanzas: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(stanzas)
    await process.stdin.drain()


async def arrived(friend: Contact, last: int) -> None:
    await friend.wait_for_message(lambda message: message.body == str(last))


# ── Somebody else has it ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_guard_leaves_the_session_alone_that_the_next_run_of_pipe_has_resumed(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    direct = Program(tmp_path, server, alice)
    arguments = ("pipe", "--checkpoint", str(tmp_path / "checkpoint"))
    async with behind_proxy(program, server) as proxy:
        killed = await program.start(*arguments)
        await feed(killed, messages(friend, range(10)))
        await arrived(friend, 9)
        guard = guard_of(killed)
        cut = await proxy.inject(refuse())
        killed.kill()
        await killed.wait()
        process = await direct.start("-v", *arguments)
        await feed(process, messages(friend, range(20)))
        await arrived(friend, 19)
        cut.release()
        await until(lambda: not is_running(guard), "the guard's end")
        await feed(process, messages(friend, range(20, 30)))
        outcome = await finish(process)
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr.count("xmppsh: resumed ") == 1
    assert "connected again" not in outcome.stderr
    await friend.settle()
    assert [message.body for message in friend.messages] == [str(number) for number in range(30)]


async def test_a_program_that_starts_again_under_the_same_address_is_not_thrown_out_by_the_guard(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with behind_proxy(program, server) as proxy:
        program.env["XMPPSH_JID"] = f"{alice.jid}/bot"
        killed = await program.start("pipe")
        await feed(killed, messages(friend, range(10)))
        await arrived(friend, 9)
        await until(lambda: unacknowledged(tmp_path) == 0, "the acks")
        guard = guard_of(killed)
        hole = await proxy.inject(silent_hole())
        passed = proxy.connections
        await feed(killed, messages(friend, range(10, 20)))
        await until(lambda: unacknowledged(tmp_path) == 10, "what vanishes is written down")
        killed.kill()
        await killed.wait()
        hole.release()
        await until(lambda: proxy.connections > passed and server.sessions(alice.jid) == [], "the guard's close")
        async with program.listening("--no-carbons", "-C", "1", "-F", "%b", ready=tmp_path / "ready") as process:
            await until(lambda: not is_running(guard), "the guard's end")
            await arrived(friend, 19)
            await friend.send(f"{alice.jid}/bot", "still here?")
            outcome = await finish(process)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "still here?\n", "")
    assert sorted(int(message.body) for message in friend.messages) == list(range(20))


async def test_reaping_does_not_throw_out_who_has_the_address_by_now(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere = Program(folder, server, alice)
    elsewhere.env["XMPPSH_JID"] = f"{alice.jid}/bot"
    async with behind_proxy(program, server) as proxy:
        program.env["XMPPSH_JID"] = f"{alice.jid}/bot"
        killed = await program.start("pipe", "--no-guard")
        await feed(killed, messages(friend, range(10)))
        await arrived(friend, 9)
        await until(lambda: unacknowledged(tmp_path) == 0, "the acks")
        await proxy.inject(silent_hole())
        await feed(killed, messages(friend, range(10, 20)))
        await until(lambda: unacknowledged(tmp_path) == 10, "what vanishes is written down")
        killed.kill()
        await killed.wait()
        async with elsewhere.listening(
            "--no-guard", "--no-carbons", "-C", "1", "-F", "%b", ready=folder / "ready"
        ) as process:
            reaped = await program.run("sessions", "reap")
            assert reaped.code == 0, reaped.stderr
            await friend.send(f"{alice.jid}/bot", "still here?")
            outcome = await finish(process)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "still here?\n", "")


def unacknowledged(home: Path) -> int:
    """How many stanzas the outbox holds that have left."""
    (store,) = (home / "xmppsh" / "outbox").glob("*.sqlite")
    with sqlite3.connect(store) as database:
        (alone,) = database.execute("SELECT count(*) FROM stanza WHERE wire IS NOT NULL").fetchone()
        (together,) = database.execute("SELECT total(count) FROM batch WHERE wire IS NOT NULL").fetchone()
    return int(alone + together)


# ── Nobody has it ───────────────────────────────────────────────────────────────────────────────────────────────


@on_prosody  # it keeps a session for longer than it is asked, and says so
async def test_the_guard_tries_for_as_long_as_the_server_keeps_the_session(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    async with (
        behind_proxy(program, server) as proxy,
        program.listening("--resume-max", "1", ready=tmp_path / "ready") as process,
    ):
        shown = await friend.wait_for_presence(alice.jid, "available")
        await proxy.inject(refuse(refuse_s=2.5))
        process.kill()
        await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)


async def test_a_session_that_another_command_could_not_close_is_closed_by_the_guard(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    """Who was faster than the guard gives back what it cannot close."""
    locks = tmp_path / "xmppsh" / "locks"
    other = Program(tmp_path, server, alice)
    async with behind_proxy(program, server) as proxy, ChaosProxy(server.host, server.port) as others:
        other.env["XMPPSH_HOST"] = f"127.0.0.1:{others.port}"
        async with program.listening(ready=tmp_path / "ready") as process:
            shown = await friend.wait_for_presence(alice.jid, "available")
            process.send_signal(signal.SIGSTOP)
            guard = guard_of(process)
            os.kill(guard, signal.SIGSTOP)
            process.kill()
            await process.wait()
            others.arm(silent_hole(every=True))
            ping = await other.start("--connect-timeout", "4", "ping")
            await until(lambda: others.connections >= 1, "the other command at the session")
            passed = proxy.connections
            os.kill(guard, signal.SIGCONT)
            await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)
            assert proxy.connections > passed
            await until(lambda: list(locks.iterdir()) == [], "the guard's last act")
            assert (await finish(ping)).code != 0


# ── A clean end in a cut ────────────────────────────────────────────────────────────────────────────────────────

CUTS: dict[str, Callable[[], Fault]] = {
    "reset": lambda: Fault(Kind.RESET_CLIENT, refuse_s=float("inf")),
    "hole": silent_hole,
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_program_that_ends_in_a_cut_leaves_the_close_to_its_guard(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, cut: str
) -> None:
    async with behind_proxy(program, server) as proxy:
        async with program.listening(ready=tmp_path / "ready") as process:
            shown = await friend.wait_for_presence(alice.jid, "available")
            guard = guard_of(process)
            injection = await proxy.inject(CUTS[cut]())
            process.terminate()
            assert await asyncio.wait_for(process.wait(), DEADLINE_S) == -signal.SIGTERM
            injection.release()
            await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)
        await until(lambda: not is_running(guard), "the guard's end")
    assert list((tmp_path / "xmppsh" / "locks").iterdir()) == []
    await until(lambda: server.sessions(alice.jid) == [], "the end of all sessions")


async def test_the_next_run_waits_for_the_guard_of_the_one_before_and_says_so(
    server: Server, alice: Account, program: Program, tmp_path: Path
) -> None:
    program.env |= {"XMPPSH_JID": f"{alice.jid}/bot", "XMPPSH_CONNECT_TIMEOUT": "6"}
    async with behind_proxy(program, server) as proxy:
        async with program.listening(ready=tmp_path / "ready") as process:
            guard = guard_of(process)
            (ghost,) = server.sessions(alice.jid)
            injection = await proxy.inject(silent_hole(every=True))
            process.kill()
            await process.wait()
        program.env["XMPPSH_HOST"] = f"{server.host}:{server.port}"
        async with program.listening("--trace", str(tmp_path / "trace"), ready=tmp_path / "again") as second:
            assert server.sessions(alice.jid) == [ghost]
            second.send_signal(signal.SIGTERM)
            outcome = await finish(second)
        injection.release()
        await until(lambda: not is_running(guard), "the guard's end")
    told = "the guard of the run before is still closing its session; that is waited for"
    assert told in outcome.stderr
