"""What the playground's tests share: a server for one test, slixmpp contacts on it, and a client that sends raw XML."""

import asyncio
import contextlib
import os
import ssl
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any, Literal, Self
from xml.etree.ElementTree import Element as Tree
from xml.etree.ElementTree import fromstring

from support.contact import Contact
from support.program import Program
from support.servers import Account
from support.until import DEADLINE_S

from xmppsh.playground.server import PlaygroundServer

HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "version='1.0' to='playground.localhost'>"
)
FOOTER = "</stream:stream>"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SM = "urn:xmpp:sm:3"


def bind(resource: str) -> str:
    return (
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        f"<resource>{resource}</resource></bind></iq>"
    )


def plain(name: str, password: str) -> str:
    message = b64encode(f"\0{name}\0{password}".encode()).decode()
    return f"<auth xmlns='{SASL}' mechanism='PLAIN'>{message}</auth>"


def context_of(server: PlaygroundServer) -> ssl.SSLContext:
    """Trusts the run's CA alone, as strictly as Python 3.13 does by default."""
    context = ssl.create_default_context(cafile=server.facts()["ca"])
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def visitor(home: Path) -> Program:
    """The program in a home of its own, which those that it starts find by its name."""
    program = Program(home)
    program.env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    program.env["TMPDIR"] = str(home)
    return program


class _Place:
    """A playground as `Contact` wants to see a server."""

    def __init__(self, server: PlaygroundServer, port: int) -> None:
        self.host, self.port, self.ca = server.host, port, Path(server.facts()["ca"])


def contact(
    server: PlaygroundServer, name: str, resource: str | None = None, *, password: str | None = None
) -> Contact:
    """A slixmpp session that comes by STARTTLS."""
    account = Account(f"{name}@{server.domain}", password or server.accounts[name])
    return Contact(_Place(server, server.port), account, resource)  # type: ignore[arg-type]


def direct_tls_contact(server: PlaygroundServer, name: str) -> Contact:
    """A slixmpp session that comes by direct TLS."""
    account = Account(f"{name}@{server.domain}", server.accounts[name])
    made = Contact(_Place(server, server.tls_port), account)  # type: ignore[arg-type]
    made.client.enable_direct_tls, made.client.enable_starttls = True, False
    return made


class RawClient:
    """Sends what it is told, and reads until a text has come."""

    def __init__(self, server: PlaygroundServer) -> None:
        self.server = server
        self.seen = ""
        self._reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    @classmethod
    async def in_clear(cls, server: PlaygroundServer) -> Self:
        client = cls(server)
        client._reader, client.writer = await asyncio.open_connection(server.host, server.port)
        return client

    @classmethod
    async def secured(cls, server: PlaygroundServer, *, limit: int = 2**16) -> Self:
        client = cls(server)
        client._reader, client.writer = await asyncio.open_connection(
            server.host, server.tls_port, ssl=context_of(server), server_hostname=server.domain, limit=limit
        )
        return client

    @classmethod
    async def authenticated(cls, server: PlaygroundServer, name: str) -> Self:
        client = await cls.secured(server)
        client.send(HEADER + plain(name, server.accounts[name]) + HEADER)
        await client.expect("</stream:features>")
        await client.expect("<success")
        await client.expect("</stream:features>")
        return client

    @classmethod
    async def bound(cls, server: PlaygroundServer, name: str, resource: str, extra: str = "") -> Self:
        client = await cls.authenticated(server, name)
        client.send(bind(resource) + extra)
        await client.expect(f"<jid>{name}@{server.domain}/{resource}</jid></bind></iq>")
        return client

    def send(self, xml: str) -> None:
        self.writer.write(xml.encode())

    async def expect(self, text: str) -> str:
        """Wait for `text`; returns what came up to its end, and forgets that."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while text not in self.seen:
                    data = await self._reader.read(65536)
                    if not data:
                        raise AssertionError(f"the stream ended; {text!r} did not come, but {self.seen!r}")
                    self.seen += data.decode()
        except TimeoutError:
            raise AssertionError(f"{text!r} did not come, but {self.seen!r}") from None
        end = self.seen.index(text) + len(text)
        came, self.seen = self.seen[:end], self.seen[end:]
        return came

    async def end(self) -> str:
        """Wait until the server has closed the connection; returns all that came before."""
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(ConnectionError):
                while data := await self._reader.read(65536):
                    self.seen += data.decode()
        self.writer.close()
        return self.seen

    async def synchronised(self) -> str:
        """Wait until the server has handled everything so far; returns what came before its answer."""
        self.send(f"<iq type='get' id='sync' to='{self.server.domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
        return await self.expect('type="result" id="sync"/>')

    def cut(self) -> None:
        """Lose the connection without a word."""
        self.writer.transport.abort()

    async def close(self) -> None:
        self.send(FOOTER)
        await self.end()


async def ask(contact: Contact, to: str, payload: str, kind: Literal["get", "set"] = "get") -> Tree:
    """Send an IQ by slixmpp, wait for its answer of whatever type."""
    iq: Any = contact.client.make_iq(ito=to or None, itype=kind)
    iq.append(fromstring(payload))
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    iq.send(callback=answer.set_result, timeout=DEADLINE_S)
    return (await asyncio.wait_for(answer, DEADLINE_S)).xml  # type: ignore[no-any-return]
