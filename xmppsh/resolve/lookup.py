"""Questions to the DNS (RFC 1035), by UDP and, when an answer is truncated, by TCP.

The only importer of dnspython, which writes and reads the messages. Several name servers are asked one after the other,
each a moment after the last, and the first answer counts: a dead one costs that moment, not its timeout.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from xmppsh.model import place
from xmppsh.plain import dataclass
from xmppsh.resolve.trouble import NO_DNS_NAME, Failure, NotLookedUp, Trouble
from xmppsh.tasks import ended
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import dns.message

    NameServer = tuple[str, int]  # address, port
    Kind = Literal["SRV", "A", "AAAA", "TLSA", "SOA"]

PATIENCE_S = 0.6  # for one name server, before the next one is asked as well; doubled each round
MAX_ALIASES = 8  # CNAME records that lead from one name to the next
AD, CD = 0x0020, 0x0010  # flags of a question: tell whether it is authentic; do not check it (RFC 6840 §5.7, §5.9)


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record (RFC 2782); target without the trailing dot, empty for "." (no such service here)."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One TLSA record (RFC 6698 §2.1): usage, selector and matching type say what `data` is of a certificate."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        """As a zone file has it."""
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name server said; records are Srv, Tlsa, or addresses as text.

    exists: there is such a name; ttl_s: how long that may be remembered, None: not at all; aliases: the names that
    CNAME records led to, in order; server: who said so; secure: it says that it has checked the signatures (AD).
    """

    records: tuple[Any, ...]
    exists: bool
    ttl_s: int | None
    aliases: tuple[str, ...]
    server: str
    secure: bool = False


class Rejected(Exception):
    """A name server answered, but not the question: how, in a word."""

    def __init__(self, failure: Failure, word: str) -> None:
        super().__init__(word)
        self.failure, self.word = failure, word


async def ask(name: str, kind: Kind, servers: Sequence[NameServer], timeout_s: float, flags: int = 0) -> Answer:
    """Ask one question and follow aliases; raises NotLookedUp when no name server could tell in time.

    flags: AD, CD.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    aliases: tuple[str, ...] = ()
    asked, secure = name, True
    for hop in range(MAX_ALIASES):
        answer = await _ask(asked, kind, flags, servers, max(0.0, deadline - loop.time()), timeout_s)
        aliases, secure = aliases + answer.aliases, secure and answer.secure
        if answer.records or not answer.exists or not answer.aliases or answer.ttl_s is not None:
            # Put together from several answers it has no TTL of its own.
            return answer if hop == 0 else replace(answer, aliases=aliases, secure=secure, ttl_s=None)
        asked = answer.aliases[-1]  # this server does not follow aliases itself
    raise NotLookedUp(Trouble("unusable", "CNAME records without end"))


async def _ask(
    name: str, kind: Kind, flags: int, servers: Sequence[NameServer], timeout_s: float, whole_s: float
) -> Answer:
    waiting: dict[asyncio.Task[Answer], NameServer] = {}
    refused: dict[NameServer, Rejected] = {}
    garbage: set[NameServer] = set()
    try:
        async with asyncio.timeout(timeout_s):
            for server, patience_s in _turns(servers, min(PATIENCE_S, timeout_s / (len(servers) + 1))):
                if len(refused) == len(set(servers)):
                    break
                if server in refused:
                    continue
                waiting[asyncio.create_task(_exchange(name, kind, flags, server, garbage))] = server
                done, _ = await asyncio.wait(waiting, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    where = waiting.pop(task)
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if not isinstance(error, Rejected):
                        raise error
                    refused[where] = error
    except TimeoutError:
        pass  # what is known by then is told below
    finally:
        await ended(*waiting)
    outcomes = {}
    for server in servers:
        silence = Rejected("unusable", "sends what is not an answer") if server in garbage else None
        outcomes[server] = refused.get(server) or silence or Rejected("silent", f"timed out after {whole_s:.1f} s")
    raise NotLookedUp(_trouble(outcomes))


def _turns(servers: Sequence[NameServer], patience_s: float) -> Iterator[tuple[NameServer, float]]:
    """Yield for ever which name server to ask next, and how long to wait before the one after it."""
    for turn in count():
        for server in servers:
            yield server, patience_s * 2**turn


def _trouble(outcomes: dict[NameServer, Rejected]) -> Trouble:
    kinds = {rejected.failure for rejected in outcomes.values()}
    failure = kinds.pop() if len(kinds) == 1 else "mixed"
    log = ", ".join(f"{place(*server, usual=53)} {rejected.word}" for server, rejected in outcomes.items())
    return Trouble(failure, log)


async def _exchange(name: str, kind: Kind, flags: int, server: NameServer, garbage: set[NameServer]) -> Answer:
    """One question to one name server; ends by itself with an answer or Rejected, never by silence."""
    import dns.exception
    import dns.flags
    import dns.message

    try:
        query = dns.message.make_query(name + ".", kind)
        query.flags |= flags
    except (dns.exception.DNSException, UnicodeError) as error:
        raise NotLookedUp(NO_DNS_NAME) from error
    try:
        response = await _by_udp(query, server, lambda: garbage.add(server))
        if response.flags & dns.flags.TC:
            response = await _by_tcp(query, server)
        return _read(response, kind, place(*server, usual=53))
    except OSError as error:
        refused = isinstance(error, ConnectionRefusedError)
        word = "refused" if refused else os_reason(error)
        raise Rejected("unreachable", word) from error
    except (dns.exception.DNSException, EOFError) as error:
        raise Rejected("unusable", "sends what is not an answer") from error


class _Datagrams(asyncio.DatagramProtocol):
    """Waits for the answer to one question; everything else that comes may be forged, and is only noted."""

    def __init__(self, query: dns.message.Message, on_garbage: Any) -> None:
        self._query, self._on_garbage = query, on_garbage
        self.answer: asyncio.Future[dns.message.Message] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        import dns.exception
        import dns.message

        try:
            message = dns.message.from_wire(data, raise_on_truncation=True)
        except dns.message.Truncated as error:
            message = error.message()  # type: ignore[no-untyped-call]
        except dns.exception.DNSException:
            self._on_garbage()
            return
        if not self._query.is_response(message):
            self._on_garbage()
        elif not self.answer.done():
            self.answer.set_result(message)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _by_udp(query: dns.message.Message, server: NameServer, on_garbage: Any) -> dns.message.Message:
    # A connected socket: the kernel drops what others send, and tells when nobody listens there.
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(query, on_garbage), remote_addr=server
    )
    try:
        transport.sendto(query.to_wire())
        return await protocol.answer
    finally:
        transport.close()


async def _by_tcp(query: dns.message.Message, server: NameServer) -> dns.message.Message:
    import dns.message

    reader, writer = await asyncio.open_connection(*server)
    try:
        wire = query.to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)  # RFC 1035 §4.2.2
        size = int.from_bytes(await reader.readexactly(2), "big")
        response = dns.message.from_wire(await reader.readexactly(size))
    finally:
        writer.close()
    if not query.is_response(response):
        raise EOFError("the answer to another question")
    return response


def _read(response: dns.message.Message, kind: Kind, server: str) -> Answer:
    """The records of a response, or Rejected; raises DNSException when it contradicts itself."""
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype

    assert isinstance(response, dns.message.QueryMessage)
    rcode = response.rcode()
    if rcode == dns.rcode.REFUSED:
        raise Rejected("refused", "REFUSED")
    if rcode == dns.rcode.SERVFAIL:
        raise Rejected("failed", "SERVFAIL")
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise Rejected("unusable", dns.rcode.to_text(rcode))
    in_authority = {rrset.rdtype for rrset in response.authority}
    has_soa = dns.rdatatype.SOA in in_authority
    if not response.answer and dns.rdatatype.NS in in_authority and not has_soa:
        raise Rejected("refused", "refers to others, it does not look names up")
    try:
        chain = response.resolve_chaining()
    except dns.message.ChainTooLong as error:
        raise Rejected("unusable", "sends CNAME records without end") from error
    aliases = tuple(_text(record[0].target) for record in chain.cnames)
    exists, secure = rcode == dns.rcode.NOERROR, bool(response.flags & AD)
    if chain.answer is None:
        # RFC 2308 §5: without an SOA record nobody may remember that there is nothing.
        return Answer((), exists, chain.minimum_ttl if has_soa else None, aliases, server, secure)
    records = tuple(READERS[kind](record) for record in chain.answer)
    return Answer(records, exists, chain.minimum_ttl, aliases, server, secure)


def _text(name: Any) -> str:
    text: str = name.to_text(omit_final_dot=True).lower()
    return text.strip(".")


READERS: dict[Kind, Callable[[Any], Any]] = {
    "SRV": lambda it: Srv(it.priority, it.weight, it.port, _text(it.target)),
    "A": lambda it: it.address,
    "AAAA": lambda it: it.address,
    "TLSA": lambda it: Tlsa(it.usage, it.selector, it.mtype, it.cert),
    "SOA": str,  # nobody wants more than to know that it came
}
