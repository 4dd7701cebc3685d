"""The guard: a small process that closes the session when the program cannot, after SIGKILL, a crash, a stuck loop.

It is forked before the event loop and any thread, so it shares the program's memory: the credentials are there and go
through no pipe and to no file. It waits at one end of a socket pair; the other end dies with the program.

    + NAME   the program may own sessions under this name (outbox/owner.py)
    = JSON   its session, should the store not tell (a full disk, a folder that is gone): full JID, and how to resume it
    .        a heartbeat of its event loop
    bye      all is closed, the guard may go

End of file without a goodbye means death, or an end of which the server could not be told. Heartbeats that stay out
mean a stuck loop, unless the program is stopped (Ctrl-Z, SIGSTOP, a debugger) or waits for a busy disk: then it goes on
one day. A suspended machine suspends both.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import resource
import select
import signal
import socket
import time
from contextlib import suppress
from dataclasses import astuple
from typing import TYPE_CHECKING, NoReturn

from xmppsh.connection.reconnect import may_reconnect
from xmppsh.errors import StreamError, XmppshError
from xmppsh.plain import dataclass
from xmppsh.protocol.sm import ResumableSession, Resumption

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from xmppsh.model import Jid
    from xmppsh.protocol.sm import StreamManagement

    CloseSessions = Callable[[frozenset[str], "KnownSession | None"], Coroutine[None, None, None]]

HEARTBEAT_S = 5.0
MISSED_HEARTBEATS = 3  # then the loop is stuck
GOODBYE_S = 2.0  # for the guard's end
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between tries to reach the server; the last one again and again
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
NULL_FDS = (0, 1, 2)  # whoever reads the program's output waits for its end, not for the guard's
TAKING_OVER = b"T"
EXPLAINED_S = 60.0  # a conflict this long after a takeover is still caused by it


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session as the program told of it. store: where it is written down; its h may have grown since."""

    store: str
    jid: str
    resumable: ResumableSession

    @classmethod
    def read(cls, line: bytes) -> KnownSession:
        """From what the program wrote."""
        store, jid, granted, handled = json.loads(line)
        return cls(store, jid, ResumableSession(Resumption(*granted), handled))

    def line(self) -> bytes:
        """For the guard to read."""
        return json.dumps([self.store, self.jid, astuple(self.resumable.resumption), self.resumable.handled]).encode()


class Guard:
    """The program's side."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self._pid, self._channel = pid, channel
        self._taken_over_at = -math.inf

    @classmethod
    def start(cls, close_sessions: CloseSessions, keep_trying_s: float) -> Guard:
        """Fork the guard. It calls close_sessions(names, session) when the program has died, or hangs.

        keep_trying_s: as long as the server is asked to keep the session by itself; what it grants counts, if it tells.
        """
        ours, theirs = socket.socketpair()
        program = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)  # until the guard ignores them
        pid = os.fork()
        if pid == 0:
            ours.close()
            _be_guard(theirs, program, close_sessions, keep_trying_s)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return cls(pid, ours)

    def watch(self, name: str) -> None:
        """From now on sessions may be left under this name."""
        self._tell(f"+ {name}\n".encode())

    def on_live(self, store: Path, jid: Jid, sm: StreamManagement | None) -> None:
        """The session is bound, or resumed; store: where it is written down."""
        if sm is not None and sm.resumable is not None:
            self._tell(b"= %s\n" % KnownSession(str(store.absolute()), str(jid), sm.resumable).line())

    async def beat(self, on_dead: Callable[[], None]) -> NoReturn:
        """Send heartbeats until cancelled; on_dead: the guard has gone."""
        loop = asyncio.get_running_loop()

        def on_readable() -> None:
            if not self._hear():
                loop.remove_reader(self._channel)
                on_dead()

        loop.add_reader(self._channel, on_readable)
        try:
            while True:
                self._tell(b".\n")
                await asyncio.sleep(HEARTBEAT_S)
        finally:
            loop.remove_reader(self._channel)

    def explains(self, error: XmppshError | None) -> bool:
        """Is this how a stream ends whose session the guard has closed, since the loop was stuck? ejabberd ends the
        former stream of a session that is resumed elsewhere with `conflict`."""
        if not isinstance(error, StreamError) or error.condition != "conflict":
            return False
        self._hear()
        return time.monotonic() < self._taken_over_at + EXPLAINED_S

    def _hear(self) -> bool:
        """Note what the guard says; False when it has gone."""
        try:
            said = self._channel.recv(16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if said:
            self._taken_over_at = time.monotonic()
        return bool(said)

    def release(self, *, closed: bool = True) -> None:
        """The program ends. closed: wait for the guard's end, so that no process remains; otherwise it goes on alone,
        until the server hears that the session is over."""
        if closed:
            self._tell(b"bye\n")
        self._channel.close()
        if not closed:
            return
        deadline = time.monotonic() + GOODBYE_S
        with suppress(ChildProcessError):
            while os.waitpid(self._pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.001)

    def _tell(self, line: bytes) -> None:
        with suppress(OSError):  # the guard has gone; `beat` tells
            self._channel.send(line, socket.MSG_DONTWAIT)


# ── The guard's side ────────────────────────────────────────────────────────────────────────────────────────────────


def _be_guard(channel: socket.socket, program: int, close_sessions: CloseSessions, keep_trying_s: float) -> NoReturn:
    try:
        _leave_the_program(channel.fileno())
        _Watch(channel, program, close_sessions, keep_trying_s).run()
    finally:
        os._exit(0)  # not through the program's own clean-up


def _leave_the_program(fd: int) -> None:
    """A session and a process group of its own, no terminal, no file but the channel, no core dump with a password."""
    os.setsid()
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
    signal.set_wakeup_fd(-1)  # the program's, whose number is a link's of ours soon
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in NULL_FDS:
        os.dup2(null, stream)
    os.closerange(len(NULL_FDS), fd)
    os.closerange(fd + 1, os.sysconf("SC_OPEN_MAX"))
    with suppress(OSError), open("/proc/thread-self/comm", "w") as name:
        name.write("xmppsh-guard")


class _Watch:
    """Waits for the program's death, or for its silence."""

    def __init__(
        self, channel: socket.socket, program: int, close_sessions: CloseSessions, keep_trying_s: float
    ) -> None:
        self._channel, self._program = channel, program
        self._close_sessions, self._keep_trying_s = close_sessions, keep_trying_s
        self._names: set[str] = set()
        self._session: KnownSession | None = None
        self._missed = 0
        self._beating = False

    def run(self) -> None:
        rest = b""
        while True:
            if not select.select([self._channel], [], [], HEARTBEAT_S if self._beating else None)[0]:
                self._on_silence()
                continue
            data = self._receive()
            if not data:
                return asyncio.run(self._close())
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line == b"bye":
                    return None
                self._on_line(line)

    def _receive(self) -> bytes:
        try:
            return self._channel.recv(4096)
        except ConnectionResetError:
            return b""  # it died before it had read what it was told

    def _on_line(self, line: bytes) -> None:
        if line.startswith(b"+ "):
            self._names.add(line[2:].decode())
        elif line.startswith(b"= "):
            self._session = KnownSession.read(line[2:])
        else:
            self._beating, self._missed = True, 0

    def _on_silence(self) -> None:
        self._missed = 0 if is_held_up(self._program) else self._missed + 1
        if self._missed == MISSED_HEARTBEATS:
            with suppress(OSError):
                self._channel.send(TAKING_OVER, socket.MSG_DONTWAIT)
            asyncio.run(self._close())
            self._beating = False  # until it shows that it lives

    async def _close(self) -> None:
        granted_s = None if self._session is None else self._session.resumable.resumption.max_s
        deadline = time.monotonic() + (self._keep_trying_s if granted_s is None else granted_s)
        waits = iter(RETRY_S)
        while True:
            try:
                return await self._close_sessions(frozenset(self._names), self._session)
            except XmppshError as error:
                wait_s = next(waits, RETRY_S[-1])
                if not may_reconnect(error, resumed=False) or time.monotonic() + wait_s > deadline:
                    return None  # what is left is in the store, for the next start
                await asyncio.sleep(wait_s)


def is_held_up(pid: int) -> bool:
    """Is the process stopped by a signal or a debugger, or does it wait for a disk? False where nobody tells."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].strip()
    except FileNotFoundError:  # no Linux, or it has just died
        import subprocess

        state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, check=False).stdout.strip()
    return state[:1] in (b"T", b"t", b"D", b"U")  # U: of macOS, as D is of Linux
