"""Whatever ends the program, its stream is closed cleanly: a contact sees `unavailable` at once, no traceback."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from support.contact import Contact
from support.program import COMMAND, Program, finish
from support.servers import Server

pytestmark = pytest.mark.either_server

GONE_WITHIN_S = 5.0  # on a busy machine; a server alone takes more than a minute. `make ghosts` measures the promise
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


class Stage:
    """A program that is online, and a contact of its account that watches."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process, contact: Contact, jid: str) -> None:
        self.program, self.process, self.contact, self.jid = program, process, contact, jid

    async def assert_gone_since(self, moment: float) -> None:
        """The contact sees `unavailable` right after `moment` (monotonic)."""
        presence = await self.contact.wait_for_presence(self.jid, "unavailable", since=moment)
        assert presence.at - moment < GONE_WITHIN_S


@asynccontextmanager
async def online(server: Server, tmp_path: Path, *arguments: str, stdin: bytes = b"") -> AsyncIterator[Stage]:
    """Start a program and wait until its contact sees it."""
    account, friend = server.account(), server.account()
    server.befriend(account, friend)
    program = Program(tmp_path, server, account)
    async with Contact(server, friend) as contact:
        process = await program.start(*arguments)
        assert process.stdin is not None
        process.stdin.write(stdin)
        await process.stdin.drain()
        try:
            await contact.wait_for_presence(account.jid, "available")
            yield Stage(program, process, contact, account.jid)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


COMMANDS = {
    "listen": (["listen"], b""),
    "pipe": (["pipe"], b"<presence/>\n"),
    "connect-script": (["connect"], b"<presence/>\n"),
}


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=lambda value: getattr(value, "name", None))
@pytest.mark.parametrize("command", COMMANDS)
async def test_a_signal_closes_the_stream_and_gives_its_exit_code(
    server: Server, tmp_path: Path, command: str, number: signal.Signals, code: int
) -> None:
    arguments, stdin = COMMANDS[command]
    async with online(server, tmp_path, *arguments, stdin=stdin) as stage:
        moment = time.monotonic()
        stage.process.send_signal(number)
        await stage.assert_gone_since(moment)
        outcome = await finish(stage.process)
        assert outcome.code == code
        assert stage.process.returncode == -number  # it died of it: a shell's loop ends at Ctrl-C, too
        assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("command", ["pipe", "connect-script"])
async def test_the_end_of_stdin_closes_the_stream_and_is_a_success(
    server: Server, tmp_path: Path, command: str
) -> None:
    arguments, stdin = COMMANDS[command]
    async with online(server, tmp_path, *arguments, stdin=stdin) as stage:
        assert stage.process.stdin is not None
        moment = time.monotonic()
        stage.process.stdin.close()
        await stage.assert_gone_since(moment)
        outcome = await finish(stage.process)
        assert outcome.code == 0, outcome.stderr


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_closed_stdout_closes_the_stream_quietly(server: Server, tmp_path: Path, command: str) -> None:
    arguments, stdin = COMMANDS[command]
    account, friend = server.account(), server.account()
    server.befriend(account, friend)
    program = Program(tmp_path, server, account)
    reading_end, writing_end = os.pipe()
    async with Contact(server, friend) as contact:
        process = await program.start("-q", *arguments, stdout=writing_end)
        os.close(writing_end)
        assert process.stdin is not None
        process.stdin.write(stdin)
        await contact.wait_for_presence(account.jid, "available")
        moment = time.monotonic()
        os.close(reading_end)
        gone = await contact.wait_for_presence(account.jid, "unavailable", since=moment)
        assert gone.at - moment < GONE_WITHIN_S
        _, stderr = await process.communicate(b"")
        assert (process.returncode, stderr) == (0, b"")


async def test_a_send_into_a_closed_pipe_still_sends(server: Server, tmp_path: Path) -> None:
    account, friend = server.account(), server.account()
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    async with Contact(server, friend) as contact:
        process = await Program(tmp_path, server, account).start("send", friend.jid, "on", stdout=writing_end)
        os.close(writing_end)
        await contact.wait_for_message(lambda message: message.body == "on")
        assert await process.wait() == 0


async def test_a_reader_that_leaves_after_one_record_ends_listen(server: Server, tmp_path: Path) -> None:
    """As in `xmppsh listen | head -1`."""
    async with online(server, tmp_path, "listen") as stage:
        await stage.contact.send(stage.jid, "one")
        assert stage.process.stdout is not None
        await stage.process.stdout.readline()
        moment = time.monotonic()
        stage.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # the pipe's reader
        await stage.assert_gone_since(moment)
        assert (await finish(stage.process)).code == 0


async def test_an_inherited_ignore_of_sighup_is_kept(server: Server, tmp_path: Path) -> None:
    """nohup xmppsh listen goes on when its terminal hangs up."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        async with online(server, tmp_path, "listen") as stage:
            stage.process.send_signal(signal.SIGHUP)
            await stage.contact.send(stage.jid, "still there?")
            assert stage.process.stdout is not None
            assert b"still there?" in await asyncio.wait_for(stage.process.stdout.readline(), 10)
    finally:
        signal.signal(signal.SIGHUP, previous)


async def test_a_second_signal_does_not_wait_for_acks(server: Server, tmp_path: Path) -> None:
    async with online(server, tmp_path, "pipe", stdin=b"<presence/>\n") as stage:
        moment = time.monotonic()
        stage.process.send_signal(signal.SIGINT)
        stage.process.send_signal(signal.SIGTERM)
        await stage.assert_gone_since(moment)
        assert (await finish(stage.process)).code in (130, 143)  # the first that the kernel delivered


@pytest.mark.parametrize(("where", "says"), [("&-", "stdout is closed"), ("/dev/full", "stdout: no space left")])
async def test_a_stdout_that_takes_nothing_takes_no_message(
    server: Server, tmp_path: Path, where: str, says: str
) -> None:
    account = server.account()
    program = Program(tmp_path, server, account)
    async with Contact(server, server.account()) as contact:
        await contact.send(account.jid, "for a reader")
    script = f'exec "$@" >{where}'
    useless = await asyncio.create_subprocess_exec(
        *("sh", "-c", script, "sh", *COMMAND, "listen", "--drain"), env=program.env, stderr=asyncio.subprocess.PIPE
    )
    outcome = await finish(useless)
    assert outcome.code == 74
    assert outcome.stderr.startswith(f"xmppsh: {says}")
    outcome = await program.run("listen", "-C", "1", "-W", "10", "-F", "%b")
    assert outcome.stdout == "for a reader\n"


async def test_a_stderr_that_nobody_reads_stops_nothing(server: Server, tmp_path: Path) -> None:
    reading_end, writing_end = os.pipe()
    os.set_blocking(writing_end, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing_end, b"full " * 1000)
    os.set_blocking(writing_end, True)
    async with Contact(server, (friend := server.account())) as contact:
        account = server.account()
        server.befriend(account, friend)
        process = await Program(tmp_path, server, account).start("-vvv", "listen", stderr=writing_end)
        os.close(writing_end)
        await contact.wait_for_presence(account.jid, "available")
        await contact.send(account.jid, "still there?")
        assert process.stdout is not None
        assert b"still there?" in await asyncio.wait_for(process.stdout.readline(), 10)
        process.terminate()
        assert (await finish(process)).code == 143
    os.close(reading_end)


def full_disk() -> BinaryIO:
    """A file that takes nothing."""
    return Path("/dev/full").open("wb")


async def test_a_full_disk_is_74_after_a_clean_close(server: Server, tmp_path: Path) -> None:
    account, friend = server.account(), server.account()
    server.befriend(account, friend)
    with full_disk() as full:
        async with Contact(server, friend) as contact:
            process = await Program(tmp_path, server, account).start("listen", stdout=full)
            await contact.wait_for_presence(account.jid, "available")
            moment = time.monotonic()
            await contact.send(account.jid, "too much")
            gone = await contact.wait_for_presence(account.jid, "unavailable", since=moment)
            assert gone.at - moment < GONE_WITHIN_S
            _, stderr = await process.communicate(b"")
            assert process.returncode == 74
            assert stderr.startswith(b"xmppsh: stdout: no space left on device")
    # What could not be printed was not acknowledged: the next client gets it.
    outcome = await Program(tmp_path, server, account).run("listen", "-C", "1", "-W", "10", "-F", "%b")
    assert outcome.stdout == "too much\n"


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_listen_survives_a_restart_of_the_server(
    tmp_path: Path, start_server: Callable[..., Server], name: str
) -> None:
    server = start_server(name)
    async with online(server, tmp_path, "listen") as stage:
        server.stop()
        server.start()
        async with Contact(server, server.account()) as contact:
            await contact.send(stage.jid, "still there?")
            assert stage.process.stdout is not None
            # The longer the server was away, the longer the pause between two tries: at most 30 s (backoff.py).
            assert b"still there?" in await asyncio.wait_for(stage.process.stdout.readline(), 60)
        stage.process.terminate()
        assert (await finish(stage.process)).code == 143


async def test_listen_is_69_when_its_time_ends_without_a_server(
    tmp_path: Path, start_server: Callable[..., Server]
) -> None:
    server = start_server("prosody")
    async with online(server, tmp_path, "listen", "-W", "3") as stage:
        server.kill()
        outcome = await finish(stage.process)
        assert outcome.code == 69
        assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("files", [4, 6, 10, 14])
async def test_too_few_files_are_told_before_anything_is_begun(program: Program, files: int) -> None:
    # Without -S Python itself needs more than four, where a folder of its packages has a .pth file.
    program.env["PYTHONPATH"] = os.pathsep.join(sys.path)
    words = [sys.executable, "-S", "-m", "xmppsh", "-j", "alice@example.net", "--host", "127.0.0.1:1", "listen"]
    shell = ("/bin/sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *words)
    process = await asyncio.create_subprocess_exec(
        *shell, env=program.env | {"XMPPSH_PASSWORD": "x"}, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    told = f"xmppsh: no more than {files} files may be open at once\n  try: allow more open files (ulimit -n)\n"
    assert (process.returncode, out, err.decode()) == (74, b"", told)
