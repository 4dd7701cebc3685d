"""A real XMPP server as a test sees it: a process on loopback ports with a data folder and a CA of its own.

What both servers share is here (ports, process, options); how each is configured and asked is in `prosody.py` and
`ejabberd.py`. Everything belongs to one test run: ports are claimed against other runs on the machine, the process
is ended by its own process group, and it dies with the run even when that is killed.
"""

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from support.ca import Authority, CertificateKind
from support.root import inside

if TYPE_CHECKING:
    from pathlib import Path

START_TIMEOUT_S = 180.0  # ejabberd takes 2 s on an idle machine and more than 60 s at a load of nine
STOP_TIMEOUT_S = 60.0
POLL_S = 0.02

# Below Linux's ephemeral range (32768–60999): no outgoing connection can take a port while its server is down.
PORTS = range(20_000, 30_000)
LOOPBACK = "127.0.0.1"
MAX_UPLOAD_BYTES = 1024 * 1024


class ServerFailed(Exception):
    """A test server did not start, or refused what the test support asked of it."""


@dataclass(frozen=True)
class Account:
    """A user of a test server, by bare JID."""

    jid: str
    password: str


@dataclass(frozen=True)
class Options:
    """What a test may ask of a server of its own."""

    certificate: CertificateKind = "good"
    archive: bool = True  # XEP-0313 for everybody, always; without it the server does not offer an archive at all
    registration: bool = True  # XEP-0077: accounts are made on the stream
    also_asked: str = ""  # what Prosody asks of a new account besides name and password; `+`: it must be given
    message_delay_ms: int = 0  # how much longer each message of a client takes (ejabberd alone)
    arrival_delay_ms: int = 0  # how much longer each message to a client takes (ejabberd alone)
    max_unacked: int = 5_000  # how many stanzas may wait unacknowledged for a client (Prosody: never more than 500)
    resume_timeout_s: int = 300  # how long a session without a connection waits to be resumed (XEP-0198)
    bare: bool = False  # login, messages, rosters and presence, and nothing else
    hashed: bool = False  # passwords are kept as Prosody does by default, and ejabberd where it is told to
    sql: bool = False  # archives in a database, which Prosody's own storage is not (Prosody alone: lua-dbi-sqlite3)
    host: str = LOOPBACK  # where clients connect: another address only inside a network namespace of the test's own


class PortClaim:
    """A port of an address that no other test run on this machine takes while we live.

    The claim is an abstract Unix socket: it spans users, shares the ports' network namespace, and ends with us.
    """

    def __init__(self, host: str = LOOPBACK) -> None:
        self._host = host
        self._claim = socket.socket(socket.AF_UNIX)
        self.port = next(port for port in random.sample(PORTS, len(PORTS)) if self._take(port))

    def _take(self, port: int) -> bool:
        try:
            self._claim.bind(f"\0xmppsh-test-port-{port}")
        except OSError:
            return False
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host, port))
            except OSError:
                self.release()
                self._claim = socket.socket(socket.AF_UNIX)
                return False
        return True

    def release(self) -> None:
        """Let others have the port."""
        self._claim.close()


class Server(ABC):
    """One server process. Made stopped; `start()` returns when it answers on every port."""

    name: ClassVar[str]
    packages: ClassVar[str]  # what to install when it is missing

    def __init__(self, folder: "Path", options: Options | None = None) -> None:
        self.folder = folder
        self.options = options or Options()
        self.host = self.options.host
        self.domain = f"{self.name}.example"
        self.anonymous_domain = f"anonymous.{self.domain}"  # SASL ANONYMOUS, and nothing else
        self.conference = f"conference.{self.domain}"
        self.admin = f"admin@{self.domain}"  # who may run the server's own commands, once a test has made the account
        self._claims = [PortClaim(host) for host in (self.host, self.host, LOOPBACK, LOOPBACK)]
        self.port, self.tls_port, self._control_port, self._upload_port = (claim.port for claim in self._claims)
        authority = Authority(folder)
        self.ca = authority.pem
        self._certificate = authority.issue(
            self.options.certificate, self.domain, self.anonymous_domain, self.conference
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """The program that is not installed, or None when the server can be started here."""

    @abstractmethod
    def account(self, name: str | None = None, password: str | None = None) -> Account:
        """Register a fresh account: a random name and password unless they are given."""

    @abstractmethod
    def befriend(self, a: Account, b: Account) -> None:
        """Put both on each other's roster with a mutual presence subscription, before either logs in."""

    @abstractmethod
    def kick(self, jid: str) -> None:
        """Close the sessions of a bare or full JID from the server's side; they cannot be resumed.

        Prosody ends the stream without an error; ejabberd with <conflict/> for a full JID and <policy-violation/>
        for a bare one.
        """

    @abstractmethod
    def sessions(self, jid: str) -> list[str]:
        """The full JIDs that the server holds for a bare JID, those that wait to be resumed included."""

    @abstractmethod
    def _launch(self) -> tuple[list[str], dict[str, str]]:
        """Command line of the server in the foreground, and what its environment has beyond ours."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the server answers for itself (beyond having its ports open)."""

    @abstractmethod
    def log(self) -> str:
        """What the server wrote so far: its log and its console."""

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._running().pid

    def start(self) -> None:
        """Start the server on its ports and its data, and wait until it answers.

        Raises ServerFailed, with the server's log, when it ends or does not answer in time.
        """
        if self._process is not None:
            raise ServerFailed(f"{self.name} is running already")
        command, environment = self._launch()
        with (self.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                inside(command),
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = _kill_when_we_die(self._process.pid)
        try:
            self._wait_until_ready(self._process)
        except ServerFailed:
            self.kill()
            raise

    def stop(self) -> None:
        """End the server in an orderly way: it closes the streams and writes its data."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"{self.name} did not end within {STOP_TIMEOUT_S:.0f} s\n{self.log()}") from None
        self._forget_process()

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would."""
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._forget_process()

    def close(self) -> None:
        """End the server, whatever its state, and give its ports back: the fixture's last word."""
        if self._process is not None:
            self.kill()
        for claim in self._claims:
            claim.release()

    def suspend(self) -> None:
        """Make the server silent without closing anything (SIGSTOP)."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended server go on (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def fresh(self, name: str | None, password: str | None) -> Account:
        """An account of this server that is not registered yet."""
        return Account(f"{name or 'user-' + secrets.token_hex(4)}@{self.domain}", password or secrets.token_hex(8))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerFailed(f"{self.name} is not running")
        return self._process

    def _forget_process(self) -> None:
        self._process = None
        if self._guard is not None:
            self._guard.communicate(b"\n")
            self._guard = None

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._accepts(self.port) and self._accepts(self.tls_port) and self._is_ready():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(POLL_S)
                raise ServerFailed(f"{self.name} ended with code {code} while starting\n{self.log()}")
        raise ServerFailed(
            f"{self.name} did not answer within {START_TIMEOUT_S:.0f} s (it needs: {self.packages})\n{self.log()}"
        )

    def _accepts(self, port: int) -> bool:
        try:
            socket.create_connection((self.host, port), timeout=1).close()
        except OSError:
            return False
        return True

    def _read(self, *names: str) -> str:
        paths = [self.folder / name for name in names]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in paths if path.exists())


def _kill_when_we_die(pid: int) -> subprocess.Popen[bytes]:
    """A process that kills the group of `pid` at our end of file; a line in advance calls it off."""
    script = 'read -r _ || kill -s KILL -- "-$1"'
    return subprocess.Popen(["/bin/sh", "-c", script, "guard", str(pid)], stdin=subprocess.PIPE, start_new_session=True)
