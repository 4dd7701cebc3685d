"""Run the real program as a user would: its own process, its own home, nothing inherited."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.servers import Account, Server
from support.until import DEADLINE_S, POLL_S
from xmppsh.agent.thin import READY

COMMAND = (sys.executable, "-m", "xmppsh")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: exit code, and both outputs as text."""

    code: int
    stdout: str
    stderr: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """stdout as JSON lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The JSON error on stderr."""
        found: dict[str, Any] = json.loads(self.stderr.splitlines()[-1])["error"]
        return found


class Program:
    """xmppsh for one account on one server; `env` and `command` may be changed before a run."""

    def __init__(self, home: Path, server: Server | None = None, account: Account | None = None) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("XMPPSH_")}
        self.env = {**inherited, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home)}
        self.env["XDG_RUNTIME_DIR"] = str(home)
        self.command = COMMAND
        if server is not None:
            self.env |= {"XMPPSH_HOST": f"{server.host}:{server.port}", "XMPPSH_CA": str(server.ca)}
        if account is not None:
            self.env |= {"XMPPSH_JID": account.jid, "XMPPSH_PASSWORD": account.password}

    async def start(self, *arguments: str, **pipes: Any) -> asyncio.subprocess.Process:
        """Start it; stdin, stdout and stderr are pipes unless told otherwise."""
        return await self.start_as(self.command, *arguments, **pipes)

    async def start_as(self, command: tuple[str, ...], *arguments: str, **pipes: Any) -> asyncio.subprocess.Process:
        """Start it in another way than by its module."""
        streams = {name: asyncio.subprocess.PIPE for name in ("stdin", "stdout", "stderr")} | pipes
        return await asyncio.create_subprocess_exec(
            *command, *arguments, env=self.env, limit=1024 * 1024, start_new_session=True, **streams
        )

    async def run(self, *arguments: str, stdin: bytes = b"", deadline_s: float = DEADLINE_S) -> Outcome:
        """Run it to its end; fails when it does not end within the deadline."""
        process = await self.start(*arguments)
        return await finish(process, stdin, deadline_s)

    @asynccontextmanager
    async def listening(self, *arguments: str, ready: Path, **pipes: Any) -> AsyncIterator[asyncio.subprocess.Process]:
        """`listen` with these arguments; inside the block it is ready, behind it it is killed if it still runs."""
        process = await self.start("listen", "--ready-file", str(ready), *arguments, **pipes)
        try:
            await exists(ready, process)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def as_a_shell_sees_it(returncode: int) -> int:
    """The exit code, or 128 and the number of the signal that a program died of."""
    return returncode if returncode >= 0 else 128 - returncode


async def finish(
    process: asyncio.subprocess.Process, stdin: bytes | None = None, deadline_s: float = DEADLINE_S
) -> Outcome:
    """Wait for the end of a started program."""
    given = stdin or (b"" if process.stdin is not None else None)
    talking = asyncio.ensure_future(process.communicate(given))  # to cancel it would lose what it has read
    in_time, _ = await asyncio.wait({talking}, timeout=deadline_s)
    if not in_time:
        process.send_signal(signal.SIGKILL)
    stdout, stderr = await talking
    assert in_time, f"no end within {deadline_s} s; stdout {stdout!r}, stderr {stderr!r}"
    assert process.returncode is not None
    return Outcome(as_a_shell_sees_it(process.returncode), (stdout or b"").decode(), (stderr or b"").decode())


async def exists(path: Path, process: asyncio.subprocess.Process, deadline_s: float = DEADLINE_S) -> None:
    """Wait until the program has made this file."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    while not path.exists():
        if process.returncode is not None or loop.time() > deadline:
            stderr = await process.stderr.read() if process.stderr is not None else b""
            raise AssertionError(f"{path.name} never came (exit code {process.returncode}): {stderr.decode()}")
        await asyncio.sleep(0.01)


async def serves(path: Path, process: asyncio.subprocess.Process) -> None:
    """Wait until an agent takes clients at this socket: one that had to wait for it would go the ordinary way."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(DEADLINE_S):
        while True:
            assert process.returncode is None, "it has ended"
            with socket.socket(socket.AF_UNIX) as sock:
                sock.setblocking(False)
                try:
                    await loop.sock_connect(sock, str(path))
                except OSError:  # not bound, or not listening yet
                    await asyncio.sleep(POLL_S)
                else:
                    assert await loop.sock_recv(sock, 1) == READY
                    return
