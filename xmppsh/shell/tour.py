"""The playground's tour: the real program, command by command, against a server that lives only for it."""

from __future__ import annotations

import asyncio
import shlex
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from xmppsh import oneself
from xmppsh.errors import DeadlineExceeded
from xmppsh.output import safe
from xmppsh.shell.visitor import BY_SIGNAL, environment

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.playground.server import PlaygroundServer

STEP_TIMEOUT_S = 15.0
STANZAS = """<message to='{bob}' type='chat'><body>one of three, straight from a pipe</body></message>
<message to='{bob}' type='chat'><body>two: &lt;checked&gt; before it is sent</body></message>
<message to='{bob}' type='chat'><body>three: in order, and acknowledged</body></message>
"""


class Tour:
    """Shows each command as a user would type it, and what it prints."""

    def __init__(self, app: App, server: PlaygroundServer) -> None:
        self._app, self._server = app, server

    async def run(self) -> None:
        """The whole tour; ends in a few seconds."""
        bob = f"bob@{self._server.domain}"
        await self._say(f"A throw-away server listens on {self._server.host}:{self._server.port}, with alice and bob.")
        async with self._running("alice", "listen", "--only", "presence", "--format", "text") as watcher:
            await self._say("\nBob listens:")
            await self._show("listen")
            async with self._running("bob", "listen") as listener:
                await self._echo(watcher, f"{bob}/")
                await self._say("\nAlice sends him a message. Exit code 0 means: the server has acknowledged it.")
                await self._command("alice", "send", bob, "Hello, Bob 👋 <&>")
                await self._echo(listener)
                await self._say("\nAlice pipes three stanzas:")
                await self._command("alice", "pipe", stdin=STANZAS.format(bob=bob))
                for _ in range(3):
                    await self._echo(listener)
                await self._say("\nShe asks, and she mistypes:")
                await self._command("alice", "ping")
                await self._command("alice", "send", f"bbo@{self._server.domain}", "Hello?")
                await self._say(
                    "\nSIGTERM ends Bob's listener. Its stream is closed cleanly, and Alice sees him leave:"
                )
                await self._end(listener, signal.SIGTERM, watcher)
            await self._say(
                "\nkill -9 leaves a program no time to close anything. Its guard does it, and no ghost stays:"
            )
            await self._show("listen")
            async with self._running("bob", "listen") as listener:
                await self._echo(watcher, f"{bob}/")
                await self._end(listener, signal.SIGKILL, watcher)
        await self._say("\nThe server and everything it held are gone. Next: xmppsh playground, in a terminal.")

    async def _end(self, process: Process, number: signal.Signals, watcher: Process) -> None:
        """End it by a signal; shows what its contact sees, after which time, and the exit code as a shell has it."""
        start = time.monotonic()
        process.send_signal(number)
        await self._echo(watcher, "unavailable")
        took_ms = (time.monotonic() - start) * 1000
        code = await process.wait()
        await self._say(f"  (seen after {took_ms:.0f} ms; exit code {BY_SIGNAL - code if code < 0 else code})")

    async def _say(self, text: str) -> None:
        await self._app.console.stdout.write(text + "\n")

    async def _show(self, *words: str) -> None:
        await self._say("  $ xmppsh " + shlex.join(words))

    async def _command(self, account: str, *words: str, stdin: str = "") -> None:
        await self._show(*words)
        process = await self._start(account, *words)
        async with _deadline(f"xmppsh {words[0]}"):
            stdout, stderr = await process.communicate(stdin.encode())
        for line in (stdout + stderr).decode().splitlines():
            await self._say("  " + safe.line(line))
        if process.returncode:
            await self._say(f"  (exit code {process.returncode})")

    @asynccontextmanager
    async def _running(self, account: str, *words: str) -> AsyncIterator[Process]:
        process = await self._start(account, *words)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()

    async def _start(self, account: str, *words: str) -> Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *oneself.command(),
            *words,
            env=environment(self._app.console.env, self._server, account),
            stdin=pipe if words[0] != "listen" else asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe if words[0] != "listen" else None,
            start_new_session=True,  # a Ctrl-C on the terminal ends the tour, and the tour ends them
        )

    async def _echo(self, process: Process, wanted: str = "") -> None:
        """Show the next line of its output that holds `wanted`."""
        while wanted not in (line := await self._line(process)):
            pass
        await self._say("  " + line)

    async def _line(self, process: Process) -> str:
        assert process.stdout is not None
        async with _deadline("a line of output"):
            line = await process.stdout.readline()
        if not line:
            raise DeadlineExceeded("a program of the tour ended early", layer="internal")
        return safe.line(line.decode().rstrip("\n"))


@asynccontextmanager
async def _deadline(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            yield
    except TimeoutError:
        raise DeadlineExceeded(f"{what} did not come within {STEP_TIMEOUT_S:.0f} s", layer="internal") from None
