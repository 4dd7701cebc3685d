"""Runs of `listen`: after a long absence, in a flood, with a reader that stops. Each message comes once."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from hostile.scenario import MEASURE
from support.contact import Contact
from support.ejabberd import DATABASE
from support.flood import DOMAIN, FloodServer
from support.program import COMMAND, Program, as_a_shell_sees_it
from support.servers import Account, Server

from soak.fire import PADDING, SETTLE_S, Fire, numbers
from soak.result import DELIVERED, Result, count
from soak.stage import message

READY_S, END_S = 60.0, 60.0
MANY, FLOOD = 15_000, 50_000
MAX_KIB = 64 * 1024
READ_FIRST, PAUSE_S = 8_000, 60.0
STORE_BATCH = 500
PIPE_BYTES = 4096  # so that a reader that stops is noticed at once
BODY_ONLY = ("-F", "%b")


async def _ready(file: Path, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(READY_S):
        while not file.exists() and process.returncode is None:  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)


async def backlog(server: Server, folder: Path, *, seed: int, messages: int = MANY) -> Result:
    """So many messages that were sent while nobody was online."""
    folder.mkdir(parents=True)
    account = server.account()
    await _store(server, account, messages)
    way = {**Program(folder, server, account).env}
    return await _measured(server.name, "offline messages", folder, way, seed, messages)


async def flood(folder: Path, *, seed: int, messages: int = FLOOD) -> Result:
    """So many messages at once, right behind the presence, from a server of the tests."""
    folder.mkdir(parents=True)
    stanzas = [
        f"<message from='romeo@example.net/x' type='chat'><body>{n} some words</body></message>"
        for n in range(messages)
    ]
    async with FloodServer(stanzas) as server:
        way = {**Program(folder).env, "XMPPSH_JID": DOMAIN, "XMPPSH_HOST": f"127.0.0.1:{server.port}"}
        result = await _measured("flood", "at once", folder, way, seed, messages, "--anonymous", "--tls", "off")
        result.demand(server.acked == messages, f"{server.acked} acknowledged")
    return result


async def _measured(
    server: str, scenario: str, folder: Path, env: dict[str, str], seed: int, messages: int, *options: str
) -> Result:
    reader, writer = os.pipe()
    command = [*COMMAND, *options, "listen", "-C", str(messages), *BODY_ONLY]
    began = time.monotonic()
    with (folder / "printed").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", MEASURE, str(writer), *command),
            env=env, stdout=stdout, stderr=stderr, pass_fds=[writer], start_new_session=True,
        )  # fmt: skip
    os.close(writer)
    code: int | None = None
    with contextlib.suppress(TimeoutError):
        code = as_a_shell_sees_it(await asyncio.wait_for(process.wait(), 120 + messages / 100))
    if code is None:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    peak_kib = int(os.read(reader, 100) or 0)
    os.close(reader)
    printed = numbers((folder / "printed").read_text().splitlines())
    note = f"memory {peak_kib // 1024} MiB"
    result = Result(server, scenario, seed, messages, count(printed, messages), time.monotonic() - began, 1, code, note)
    result.report, result.acked = (folder / "stderr").read_text(), len(printed)
    result.judge(DELIVERED)
    result.demand(0 < peak_kib < MAX_KIB, f"{peak_kib} KiB of memory")
    return result


async def _store(server: Server, account: Account, messages: int) -> None:
    """Put them into the account's offline store: into ejabberd's database, which takes minutes to file as many."""
    stanzas = [message(account.jid, number, PADDING).strip() for number in range(messages)]
    if server.name != "ejabberd":
        async with Contact(server, server.account()) as contact:
            for at in range(0, messages, STORE_BATCH):
                for stanza in stanzas[at : at + STORE_BATCH]:
                    contact.client.send_raw(stanza)
                await contact.settle(SETTLE_S)
        return
    user, sender = account.jid.partition("@")[0], f"mercutio@{server.domain}/r"
    rows = [
        (user, stanza.replace("<message ", f"<message xmlns='jabber:client' from='{sender}' ")) for stanza in stanzas
    ]
    with closing(sqlite3.connect(server.folder / DATABASE, timeout=60)) as database, database:
        database.executemany("INSERT INTO spool (username, xml) VALUES (?, ?)", rows)


class _Reader:
    """Reads the lines of a pipe as a program does that may stop."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._read_end, self.write_end = os.pipe()
        fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._rest = b""

    async def read(self, lines: int | None) -> None:
        """Until there are so many; None: to the end of file."""
        while lines is None or len(self.lines) < lines:
            data = await asyncio.to_thread(os.read, self._read_end, 65536)
            if not data:
                break
            *whole, self._rest = (self._rest + data).split(b"\n")
            self.lines += [line.decode() for line in whole]

    def close(self) -> None:
        """Close the reader's end."""
        os.close(self._read_end)


async def stopped_reader(
    server: Server, folder: Path, *, seed: int, first: int = READ_FIRST, pause_s: float = PAUSE_S, kill: bool = False
) -> Result:
    """The reader of `listen` stops after the first ones, while half as many again arrive; then it reads on.

    kill: `listen` is killed at the end of the pause, and run again.
    """
    folder.mkdir(parents=True)
    messages, began = first + first // 2, time.monotonic()
    account = server.account()
    program = Program(folder, server, account)
    program.env["XMPPSH_JID"] = f"{account.jid}/bot"
    async with Contact(server, server.account()) as contact:
        process, reader = await _piped(program, messages, "--ready-file", str(folder / "ready"))
        await _ready(folder / "ready", process)
        fire = Fire(contact, account.jid)
        firing = asyncio.create_task(fire.run(messages))
        await asyncio.wait_for(reader.read(first), first / 20)
        await asyncio.gather(firing, asyncio.sleep(pause_s))
        await contact.settle(SETTLE_S)
        lives = process.returncode is None and server.sessions(account.jid) == [f"{account.jid}/bot"]
        if kill:
            process.kill()
        code, lines = await _rest(program, process, reader, messages, again=kill)
    printed = numbers(lines)
    scenario = f"reader stops {pause_s:.0f} s" + (", kill -9" if kill else "")
    result = Result(server.name, scenario, seed, messages, count(printed, messages), time.monotonic() - began, 1, code)
    result.report, result.acked = (folder / "stderr").read_text(), len(set(printed))
    result.judge(DELIVERED)
    result.demand(lives, "the session did not live on")
    return result


async def _piped(program: Program, messages: int, *options: str) -> tuple[asyncio.subprocess.Process, _Reader]:
    reader = _Reader()
    with (Path(program.env["HOME"]) / "stderr").open("ab") as stderr:
        process = await program.start(
            "-v", "listen", "-C", str(messages), *options, *BODY_ONLY, stdout=reader.write_end, stderr=stderr
        )
    os.close(reader.write_end)
    return process, reader


async def _rest(
    program: Program, process: asyncio.subprocess.Process, reader: _Reader, messages: int, *, again: bool
) -> tuple[int | None, list[str]]:
    """What is printed in the end, by this run and, `again`, by the next one; the exit code of the last one."""
    limit_s = 60 + messages / 50
    await asyncio.wait_for(reader.read(None), limit_s)
    reader.close()
    lines = reader.lines
    if again:
        await process.wait()
        process, reader = await _piped(program, messages - len(lines))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(messages - len(lines)), limit_s)
        if process.returncode is None and len(reader.lines) < messages - len(lines):
            process.terminate()
        await asyncio.wait_for(reader.read(None), END_S)
        reader.close()
        lines = [*lines, *reader.lines]
    return as_a_shell_sees_it(await asyncio.wait_for(process.wait(), END_S)), lines
