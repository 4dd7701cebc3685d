"""A name server on loopback, by UDP and TCP, that answers from a small zone, or misbehaves as it is told.

The zone: `"SRV _xmpp-client._tcp.example.org": ["0 0 5222 a.example.net"]`, `"A a.example.net": ["192.0.2.1"]`,
`"CNAME b.example.net": ["a.example.net"]`. A name that the zone does not hold does not exist; one that it holds with
other records, or with names below it, has no such records. In the place of the records stands what goes wrong.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

HOST = "127.0.0.1"
TTL_S = 300
MAX_HOPS = 20  # CNAME records that stand in one answer


@dataclass(frozen=True)
class Fails:
    """Answers with this code, such as SERVFAIL."""

    rcode: str


@dataclass(frozen=True)
class Truncated:
    """By UDP there is room for nothing; by TCP the records come."""

    records: Sequence[str]


@dataclass(frozen=True)
class Delayed:
    """The records come that late."""

    seconds: float
    records: Sequence[str]


@dataclass(frozen=True)
class Forged:
    """The records come under another query's id; the true answer never comes, or behind it."""

    records: Sequence[str]
    truth: Sequence[str] | None = None


@dataclass(frozen=True)
class Silent:
    """Nothing comes."""


@dataclass(frozen=True)
class Garbage:
    """Bytes come that are no message."""

    data: bytes = b"\xff" * 40


@dataclass(frozen=True)
class Refers:
    """Names other servers instead of asking them, as a server does that serves its own zones alone."""


Reply = Sequence[str] | Fails | Truncated | Delayed | Forged | Silent | Garbage | Refers
Zone = Mapping[str, Reply]


@dataclass
class NameServer:
    """asked: every question in the order it came, such as `SRV _xmpp-client._tcp.example.org`.

    otherwise: the reply to what the zone does not hold, in place of NXDOMAIN; follows: aliases are looked up too;
    ttl_s: of every record; soa: answers without records tell how long that may be remembered; checks: it checks
    signatures, and says so (AD); signed, forged: the names that end so are signed, rightly or wrongly.
    """

    zone: Zone = field(default_factory=dict)
    otherwise: Reply | None = None
    follows: bool = True
    ttl_s: int = TTL_S
    soa: bool = True
    checks: bool = False
    signed: str | None = None
    forged: str | None = None
    asked: list[str] = field(default_factory=list)
    by_tcp: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def place(self) -> str:
        """As `--dns` takes it, and as errors show it."""
        return f"{HOST}:{self.port}"

    async def answer(self, wire: bytes, *, tcp: bool) -> AsyncIterator[bytes]:
        """What is sent for one question."""
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        question = f"{kind} {name}"
        self.asked.append(question)
        if tcp:
            self.by_tcp.append(question)
        reply = self._reply(kind, name)
        if self.forged and name.endswith(self.forged) and not query.flags & dns.flags.CD:
            reply = Fails("SERVFAIL")
        match reply:
            case Silent():
                return
            case Garbage(data):
                yield data
            case Delayed(seconds, records):
                await asyncio.sleep(seconds)
                yield self._message(query, records)
            case Truncated(records):
                yield self._message(query, records if tcp else [], truncated=not tcp)
            case Forged(records, truth):
                forged = dns.message.from_wire(self._message(query, records))
                forged.id = (forged.id + 1) % 65536
                yield forged.to_wire()
                if truth is not None:
                    yield self._message(query, truth)
            case _:
                yield self._message(query, reply)

    def _reply(self, kind: str, name: str) -> Any:
        if kind == "SOA":
            return ["ns.example. root.example. 1 3600 600 86400 60"]
        if f"{kind} {name}" in self.zone:
            return self.zone[f"{kind} {name}"]
        if f"CNAME {name}" in self.zone:
            return ["CNAME"]
        names = {key.partition(" ")[2] for key in self.zone}
        if any(held == name or held.endswith(f".{name}") for held in names):
            return []
        return Fails("NXDOMAIN") if self.otherwise is None else self.otherwise

    def _message(self, query: dns.message.Message, reply: Any, *, truncated: bool = False) -> bytes:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        name = query.question[0].name.to_text(omit_final_dot=True)
        is_signed = name == "." or (self.signed is not None and name.endswith(self.signed))
        if self.checks and is_signed and query.flags & dns.flags.AD:
            response.flags |= dns.flags.AD
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        for _ in range(MAX_HOPS):
            if f"CNAME {name}" not in self.zone:
                break
            target = self.zone[f"CNAME {name}"][0]  # type: ignore[index]
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl_s, "IN", "CNAME", f"{target}."))
            name = target
            if not self.follows:
                return response.to_wire()
            reply = self._reply(kind, name)
        match reply:
            case Fails(rcode):
                response.set_rcode(dns.rcode.from_text(rcode))
            case Refers():
                response.authority.append(dns.rrset.from_text("org.", self.ttl_s, "IN", "NS", "a.nic.example."))
            case [_, *_] if reply != ["CNAME"]:
                dotted = [f"{record}." if kind == "SRV" and not record.endswith(".") else record for record in reply]
                response.answer.append(
                    dns.rrset.from_text(
                        query.question[0].name if kind == "SOA" else f"{name}.", self.ttl_s, "IN", kind, *dotted
                    )
                )
        if truncated:
            response.flags |= dns.flags.TC
        elif self.soa and (reply == Fails("NXDOMAIN") or reply == []):
            soa = f"ns.example. root.example. 1 3600 600 86400 {self.ttl_s}"
            zone = name.rpartition(".")[2]
            response.authority.append(dns.rrset.from_text(f"{zone}.", self.ttl_s, "IN", "SOA", soa))
        return response.to_wire()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        task = asyncio.ensure_future(self._answer(data, addr))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, data: bytes, addr: Any) -> None:
        async for message in self._server.answer(data, tcp=False):
            self._transport.sendto(message, addr)


@asynccontextmanager
async def serving(server: NameServer) -> AsyncIterator[NameServer]:
    """The server on a free port of loopback."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        async for message in server.answer(await reader.readexactly(size), tcp=True):
            writer.write(len(message).to_bytes(2, "big") + message)
        await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    tcp = await asyncio.start_server(connected, HOST, 0)
    server.port = tcp.sockets[0].getsockname()[1]
    udp, datagrams = await loop.create_datagram_endpoint(lambda: _Datagrams(server), local_addr=(HOST, server.port))
    try:
        yield server
    finally:
        udp.close()
        tcp.close()
        for task in datagrams.tasks:
            task.cancel()
        await asyncio.gather(*datagrams.tasks, return_exceptions=True)
