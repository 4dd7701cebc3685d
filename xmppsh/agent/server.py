"""The agent: listens on its socket, runs what its clients hand over, and ends when it has had nothing to do."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xmppsh import __version__
from xmppsh.agent.pool import Pool
from xmppsh.agent.request import BadRequest, Request, close, receive
from xmppsh.agent.running import prepared
from xmppsh.agent.thin import GO, NOT_MINE, READY, RUN, STATUS, STOP, TAKEN, is_own_user, is_private
from xmppsh.config.ours import open_private
from xmppsh.errors import ExitCode, IoError, XmppshError
from xmppsh.tasks import running
from xmppsh.texts import os_reason
from xmppsh.undumpable import keep_memory_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.agent.running import Job

END_S = 5.0  # for commands that are asked to end
REQUEST_S = 5.0  # for a client to say what it wants
MAX_COMMANDS = 200  # at once; one more goes the ordinary way
MAX_ASKING = 16  # clients beyond them, which ask for something else: whoever wants the end must be heard
BACKLOG = 256
MAX_DESCRIPTORS = 8192
OWN_DESCRIPTORS = 40  # of the agent itself
DESCRIPTORS_EACH = 10  # of a command: its client, three streams, each twice, a session of its own, a file
NEXT_TRY_S = 1.0  # after a client that could not be let in
FIRST_OF_SYSTEMD = 3  # the descriptor of a socket that systemd listens on for us (sd_listen_fds(3))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RunsAlready(XmppshError):
    """Another agent of this user holds the folder."""

    exit_code = ExitCode.TEMPFAIL
    layer = "io"
    default_hint = "xmppsh agent status shows it, xmppsh agent stop ends it"


class Place:
    """The folder of the socket, and the lock that makes this agent the only one of its user."""

    def __init__(self, folder: str) -> None:
        """Make the folder and take the lock; raises IoError, and RunsAlready."""
        self.folder, self.path = folder, f"{folder}/agent.sock"
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if not is_private(folder):
                raise IoError(f"{folder}: others may enter this folder", hint=f"chmod 700 {folder}, when it is yours")
            self._lock = open_private(f"{folder}/agent.lock", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            hint = "set XDG_RUNTIME_DIR to a folder that this user may write"
            raise IoError(f"{error.filename or folder}: {os_reason(error)}", hint=hint) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise RunsAlready("an agent is running already") from error

    def listening(self) -> socket.socket:
        """The socket, ours or systemd's; raises IoError."""
        if os.environ.get("LISTEN_PID") == str(os.getpid()):
            listener = socket.socket(fileno=FIRST_OF_SYSTEMD)
            self.path = ""  # it is not ours to take away
        else:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                with suppress(FileNotFoundError):
                    os.unlink(self.path)  # of an agent that was killed
                listener.bind(self.path)
                listener.listen(BACKLOG)
            except OSError as error:
                listener.close()
                raise IoError(f"{self.path}: {os_reason(error)}") from error
        listener.setblocking(False)
        return listener

    def leave(self) -> None:
        """Take the socket away, then let another agent have the place."""
        if self.path:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
        os.close(self._lock)


class Agent:
    """One run of it. idle_s: how long a session is kept that nobody uses, and how long the agent waits for a command.

    log: hears a level and a sentence.
    """

    def __init__(self, idle_s: float, log: Callable[[int, str], None]) -> None:
        self._idle_s, self._log = idle_s, log
        self._pool = Pool(idle_s, self._look)
        self._clients: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._waiting: list[socket.socket] = []  # whoever has asked for the end, and waits for it
        self._commands = self._running = 0
        self._most_running = MAX_COMMANDS
        self._busy_at = self._now
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until it is asked to stop, or has been idle; whatever ends it, every stream is closed cleanly."""
        asyncio.get_running_loop().set_exception_handler(self._on_bug)
        keep_memory_private()
        self._most_running = _room_for_commands()
        accepting = asyncio.ensure_future(self._accept(listener))
        self._look()
        try:
            await self._stopping.wait()
        finally:
            accepting.cancel()
            listener.close()
            await self._end()

    def leave(self) -> None:
        """All is closed: those who wait for that may know."""
        for sock in self._waiting:
            sock.close()

    def _look(self) -> None:
        """Something has ended: is there anything left to wait for?"""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._clients or self._pool.keepers:
            return
        left_s = self._busy_at + self._idle_s - self._now
        if left_s <= 0:
            self._stopping.set()
        else:
            self._alarm = asyncio.get_running_loop().call_later(left_s, self._look)

    def _on_bug(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._log(0, f"internal error: {context.get('exception') or context['message']}")

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError:  # no descriptor is left, say: whoever knocks waits until a command has ended
                await asyncio.sleep(NEXT_TRY_S)
                continue
            sock.setblocking(False)
            is_welcome = len(self._clients) < self._most_running + MAX_ASKING and is_own_user(sock)
            with suppress(OSError):  # it has gone already
                sock.send(READY if is_welcome else NOT_MINE)
            if not is_welcome:
                sock.close()
                continue
            task = asyncio.ensure_future(self._serve(sock))
            self._clients.add(task)
            task.add_done_callback(self._on_left)

    def _on_left(self, task: asyncio.Task[None]) -> None:
        self._clients.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log(0, f"internal error: {type(error).__name__}: {error}")
        self._busy_at = self._now
        self._look()

    async def _end(self) -> None:
        """The commands end as by SIGTERM, and then the sessions."""
        for _ in range(2):  # the second time in a hurry
            for task in self._clients:
                task.cancel()
            if self._clients:
                await asyncio.wait(self._clients, timeout=END_S)
        await self._pool.close()

    # ── One client ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, sock: socket.socket) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await receive(sock)
            if request.kind == RUN:
                await self._run(sock, request)
            elif request.kind in (STATUS, STOP):
                await self._answer(sock, request.kind)
        except (BadRequest, TimeoutError, OSError):
            return  # it is gone, or no client of ours; there is nobody to tell
        finally:
            sock.close()

    async def _answer(self, sock: socket.socket, kind: bytes) -> None:
        loop = asyncio.get_running_loop()
        facts = {
            "pid": os.getpid(),
            "version": __version__,
            "commands": self._commands,
            "sessions": [one.facts() for one in self._pool.keepers],
        }
        await loop.sock_sendall(sock, json.dumps(facts).encode() + b"\n")
        if kind == STOP:
            self._waiting.append(sock.dup())
            self._stopping.set()

    async def _run(self, sock: socket.socket, request: Request) -> None:
        loop = asyncio.get_running_loop()
        job: Job | None = None
        self._running += 1
        try:
            async with asyncio.timeout(REQUEST_S):
                if self._running <= self._most_running:
                    job = await prepared(request, self._pool)
                if job is None:
                    await loop.sock_sendall(sock, NOT_MINE)
                    return
                await loop.sock_sendall(sock, TAKEN)
                if await loop.sock_recv(sock, 1) != GO:
                    return
            self._commands += 1
            code = await self._watched(sock, job)
        finally:
            self._running -= 1
            if job is not None:
                job.close()
            close(request.streams)
        await loop.sock_sendall(sock, bytes([code]))

    async def _watched(self, sock: socket.socket, job: Job) -> int:
        """The exit code of a job, while signals come from its client; the client's death is one, too."""
        shutdown = job.app.console.shutdown
        work = asyncio.ensure_future(job.run())
        async with running(_hear(sock, shutdown.request)):
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:  # the agent ends
                shutdown.request(signal.SIGTERM)
                return await work


async def _hear(sock: socket.socket, on_signal: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            said = await loop.sock_recv(sock, 16)
        except OSError:
            said = b""
        if not said:
            on_signal(signal.SIGHUP)
            on_signal(signal.SIGHUP)  # nobody waits for a clean end of its command
            return
        for number in said:
            if number in SIGNALS:
                on_signal(number)


def _room_for_commands() -> int:
    """How many commands may run at once, with as many descriptors as this user may have; at least one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(1, min(MAX_COMMANDS, (most - OWN_DESCRIPTORS) // DESCRIPTORS_EACH))
