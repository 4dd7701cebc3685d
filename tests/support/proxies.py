"""Proxies on loopback: SOCKS 5 (RFC 1928, 1929) and HTTP CONNECT, that behave, or fail as they are told."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

HOST = "127.0.0.1"
HTTP_REASONS = {200: "Connection established", 403: "Forbidden", 407: "Proxy Authentication Required",
                502: "Bad Gateway", 504: "Gateway Timeout"}  # fmt: skip

Target = tuple[str, int]


class _Refused(Exception):
    """The client does not get what it asked for; everything was said."""


@dataclass
class ProxyServer:
    """One proxy.

    routes: where a name and port that a client asks for really lead; everything else is unreachable.
    login: the user and password that it wants. fails: this code in the place of success, a SOCKS reply or an HTTP
    status. says: these bytes in the place of any answer. chunk: bytes in a packet of its answers; 0: as they come.
    headers: HTTP header fields of its answer. asked: what clients asked for, logins: what they logged in with.
    """

    scheme: Literal["socks5h", "http"]
    routes: Mapping[Target, Target] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    fails: int | None = None
    says: bytes | None = None
    hangs: bool = False
    chunk: int = 0
    headers: str = ""
    asked: list[Target] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """As `--proxy` takes it, without a login."""
        return f"{self.scheme}://{HOST}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        if self.says is not None:
            await reader.read(1)
            await self._write(writer, self.says)
            await reader.read()
            return
        if self.scheme == "http":
            await self._connect(reader, writer)
        else:
            await self._socks(reader, writer)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        size = self.chunk or len(data) or 1
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)

    async def _hang(self, reader: asyncio.StreamReader) -> None:
        if self.hangs:
            await reader.read()
            raise _Refused

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes) -> None:
        """Dial the target that was asked for last, say so, and carry bytes both ways."""
        there, back = await asyncio.open_connection(*self.routes[self.asked[-1]])
        try:
            await self._write(writer, answer)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.close()

    # ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *fields = head.split("\r\n")
        method, target, version = request.split(" ")
        assert (method, version) == ("CONNECT", "HTTP/1.1")
        given = dict(line.split(": ", 1) for line in fields if line)
        assert given["Host"] == target
        host, _, port = target.rpartition(":")
        self.asked.append((host.strip("[]"), int(port)))
        if "Proxy-Authorization" in given:
            kind, token = given["Proxy-Authorization"].split(" ")
            assert kind == "Basic"
            user, _, password = base64.b64decode(token).decode().partition(":")
            self.logins.append((user, password))
        status = self.fails or self._http_status()
        await self._hang(reader)
        answer = f"HTTP/1.1 {status} {HTTP_REASONS[status]}\r\n{self.headers}\r\n".encode()
        if status == 200:
            await self._relay(reader, writer, answer)
        else:
            await self._write(writer, answer + b"<html>no</html>")

    def _http_status(self) -> int:
        if self.login is not None and self.logins[-1:] != [self.login]:
            return 407
        return 200 if self.asked[-1] in self.routes else 502

    # ── SOCKS 5 ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        assert version == 5
        methods = await reader.readexactly(count)
        await self._log_in(reader, writer, methods)
        version, command, reserved, kind = await reader.readexactly(4)
        assert (version, command, reserved) == (5, 1, 0)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        self.asked.append((host, int.from_bytes(await reader.readexactly(2), "big")))
        await self._hang(reader)
        code = self.fails or (0 if self.asked[-1] in self.routes else 4)
        answer = bytes([5, code, 0, 3, 5]) + b"proxy" + bytes(2)
        if code == 0:
            await self._relay(reader, writer, answer)
        else:
            await self._write(writer, answer)

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, methods: bytes) -> None:
        wanted = 0 if self.login is None else 2
        if wanted not in methods:
            await self._write(writer, b"\x05\xff")
            raise _Refused
        await self._write(writer, bytes([5, wanted]))
        if self.login is None:
            return
        assert await reader.readexactly(1) == b"\x01"
        user, password = [(await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)]
        self.logins.append((user, password))
        await self._write(writer, b"\x01\x00" if (user, password) == self.login else b"\x01\x01")
        if (user, password) != self.login:
            raise _Refused


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # one side is gone; the other learns of it by the close
    finally:
        writer.close()


@asynccontextmanager
async def serving(proxy: ProxyServer) -> AsyncIterator[ProxyServer]:
    """The proxy on a free port of loopback."""
    tasks: set[asyncio.Task[None]] = set()
    faults: list[Exception] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await proxy.serve(reader, writer)
        except (ConnectionError, EOFError, _Refused, asyncio.CancelledError):
            pass  # the client left, was refused, or the block ends
        except Exception as fault:  # a client that does not keep to the protocol fails the test
            faults.append(fault)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not faults, faults
