"""A throw-away XMPP server on loopback: for `xmppsh playground`, `make demo` and tests.

async with PlaygroundServer() as server:
    print(server.facts())
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from xmppsh.errors import ConnectError, IoError, UsageError, translate
from xmppsh.model import Jid
from xmppsh.playground import certificate
from xmppsh.playground.accounts import Account, befriend
from xmppsh.playground.connection import Connection
from xmppsh.playground.echo import RESOURCE, Echo
from xmppsh.playground.faults import Faults
from xmppsh.playground.heir import Heir
from xmppsh.playground.login import PasswordFile
from xmppsh.playground.room import RoomService
from xmppsh.playground.router import Router
from xmppsh.playground.upload import UploadService

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from xmppsh.playground.wire import Wire

LOOPBACK = "127.0.0.1"
DOMAIN = "playground.localhost"
ACCOUNTS = ("alice", "bob", "echo")
ECHO = "echo"  # the account with this name has a resident that answers
CLOSE_TIMEOUT_S = 2.0


class PlaygroundServer:
    """Accounts, ports and everything the server holds, from start() to close().

    accounts: name → password; all of them are subscribed to each other. port, tls_port: 0 is any free one. faults:
    what it does wrong on purpose. Raises UsageError for a domain or a name that cannot be part of a JID, and for a
    host that is not 127.0.0.1.
    """

    def __init__(
        self,
        domain: str = DOMAIN,
        accounts: Mapping[str, str] | None = None,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        tls_port: int = 0,
        faults: Faults | None = None,
    ) -> None:
        if host != LOOPBACK:
            raise UsageError(f"the playground listens on {LOOPBACK} only, not on {host}")
        passwords = accounts or {name: secrets.token_urlsafe(12) for name in ACCOUNTS}
        self._jid = Jid.parse(domain)
        self._accounts: dict[str, Account] = {}
        for name, password in passwords.items():
            jid = Jid.parse(f"{name}@{domain}")
            self._accounts[jid.localpart or ""] = Account(jid, password)
        befriend(self._accounts.values())
        self.host, self.domain, self.port, self.tls_port = host, self._jid.domainpart, port, tls_port
        self._faults = faults or Faults()
        self._router = self._populated()
        self._listeners: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._folder: Path | None = None

    def _populated(self) -> Router:
        router = Router(self.domain, self._accounts, self._faults)
        self._uploads = UploadService(router)
        for service in (RoomService(router, next(iter(self._accounts.values())).jid), self._uploads):
            router.services[service.domain] = service
        if (account := self._accounts.get(ECHO)) is not None:
            account.residents[RESOURCE] = Echo(router, account.jid)
            router.accept_all.add(account.jid)
        return router

    async def start(self) -> None:
        """Listen; raises ConnectError when a port is taken, IoError when there is no room for its files."""
        if self._listeners:
            raise UsageError("the playground runs already")
        with translate(OSError, _no_files):
            # Keys and hashes take some milliseconds each.
            tls, passwords = await asyncio.to_thread(
                lambda: (certificate.issue(self._jid.dial_name), PasswordFile(self._accounts))
            )
            self._folder = Path(tempfile.mkdtemp(prefix="xmppsh-playground-"))  # mode 0700
        self.heir = Heir(str(self._folder))

        def accept(*, direct_tls: bool) -> Wire:
            connection = Connection(self._router, passwords, tls.context, direct_tls=direct_tls)
            self._connections.add(connection)
            connection.wire.closed.add_done_callback(lambda _: self._connections.discard(connection))
            return connection.wire

        try:
            with translate(OSError, _no_files):
                self.ca_file.write_text(tls.ca_pem, encoding="ascii")
            self.port = await self._listen(lambda: accept(direct_tls=False), self.port)
            self.tls_port = await self._listen(lambda: accept(direct_tls=True), self.tls_port)
            await self._uploads.start(self.host, tls.context, self._folder)
        except BaseException:  # a signal too: the folder must not stay behind
            await self.close()
            raise

    async def _listen(self, accept: Any, port: int) -> int:
        with translate(OSError, lambda reason: ConnectError(f"cannot listen on {self.host}:{port}: {reason}")):
            listener = await asyncio.get_running_loop().create_server(accept, self.host, port)
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    @property
    def state_folder(self) -> Path:
        """Where its own clients keep their state while it runs; it is removed with everything else."""
        return self.ca_file.parent

    @property
    def ca_file(self) -> Path:
        """Where the CA's certificate lies while the server runs."""
        if self._folder is None:
            raise UsageError("the playground does not run")
        return self._folder / "ca.pem"

    @property
    def accounts(self) -> dict[str, str]:
        """Name → password."""
        return {name: account.password for name, account in self._accounts.items()}

    def facts(self) -> dict[str, Any]:
        """What a client needs to know to log in; `playground --format json` prints it."""
        return {
            "host": self.host,
            "port": self.port,
            "tls_port": self.tls_port,
            "ca": str(self.ca_file),
            "domain": self.domain,
            "accounts": self.accounts,
        }

    async def close(self) -> None:
        """Tell every client, close every stream, remove every file; takes CLOSE_TIMEOUT_S at most. Can be repeated."""
        listeners, self._listeners = self._listeners, []
        self._uploads.close()
        for listener in listeners:
            listener.close()
        connections = list(self._connections)
        for connection in connections:
            connection.fail("host-gone")  # RFC 6120 §4.9.3.5: it never comes back, so nobody need try
        for session in list(self._router.resumable.values()):
            session.end()
        await self._drain(connections)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            self.heir.dismiss()

    async def _drain(self, connections: list[Connection]) -> None:
        waits = [asyncio.ensure_future(connection.wire.wait_closed()) for connection in connections]
        if not waits:
            return
        _, late = await asyncio.wait(waits, timeout=CLOSE_TIMEOUT_S)
        for connection in connections:
            connection.abort()
        if late:
            await asyncio.wait(late, timeout=CLOSE_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _no_files(reason: str) -> IoError:
    return IoError(
        f"the playground's files: {reason[:1].lower()}{reason[1:]}",
        hint="is the disk full? TMPDIR names another folder for them",
    )
