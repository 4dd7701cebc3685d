"""A witness, and the sessions that it watches, each on a machine of its own: real programs with homes of their own."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.chaos import ChaosProxy
from support.program import Program, finish
from support.servers import Account, Server
from support.until import DEADLINE_S


class Machine(Program):
    """xmppsh with a home of its own, as on another machine."""

    def __init__(self, folder: Path, server: Server, account: Account, proxy: ChaosProxy | None = None) -> None:
        folder.mkdir()
        super().__init__(folder, server, account)
        self.folder = folder
        if proxy is not None:
            self.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"

    @asynccontextmanager
    async def listening_as(self, resource: str, *arguments: str) -> AsyncIterator["Listening"]:
        """`listen` with this resource, ready."""
        self.env["XMPPSH_JID"] = f"{self.env['XMPPSH_JID'].partition('/')[0]}/{resource}"
        ready = self.folder / f"ready-{resource}"
        async with self.listening("-v", "--format", "json", *arguments, ready=ready) as process:
            listening = Listening(process, self.env["XMPPSH_JID"])
            yield listening
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                await finish(process)


class Listening:
    """A running `listen`."""

    def __init__(self, process: asyncio.subprocess.Process, jid: str) -> None:
        self.process, self.jid = process, jid

    async def next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            record: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return record


class Witnessing:
    """A running witness; `records` is what it printed, with `at` in monotonic seconds."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.records: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self.reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.records.append({**json.loads(line), "at": time.monotonic()})
            self._changed.set()

    async def record(self, event: str, jid: str, since: float = 0.0) -> dict[str, Any]:
        """The first record of this event and address at `since` or later."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for record in self.records:
                    if (record["event"], record["jid"]) == (event, jid) and record["at"] >= since:
                        return record
                self._changed.clear()
                await self._changed.wait()

    def events(self) -> list[str]:
        return [record["event"] for record in self.records]


@asynccontextmanager
async def witness_on(machine: Machine, *arguments: str) -> AsyncIterator[Witnessing]:
    """A witness that is ready; it ends with a signal, and cleanly."""
    process = await machine.start("witness", "-v", "--format", "json", *arguments)
    witness = Witnessing(process)
    try:
        await witness.record("ready", f"{machine.env['XMPPSH_JID'].partition('/')[0]}/xmppsh-witness")
        yield witness
        process.terminate()
        async with asyncio.timeout(DEADLINE_S):
            assert await process.wait() == -signal.SIGTERM
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.gather(witness.reading, return_exceptions=True)
