"""The dial plan, asked of a name server of the test's own on loopback."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from xmppsh.errors import LookupFailed, ServiceRefused
from xmppsh.model import Candidate, Jid, TlsMode
from xmppsh.resolve.plan import dial_plan

DIRECT, STARTTLS = "_xmpps-client._tcp.example.org.", "_xmpp-client._tcp.example.org."
JULIET = Jid.parse("juliet@example.org")


class NameServer(asyncio.DatagramProtocol):
    """Answers SRV questions from a table: records, an rcode, or silence (None); NXDOMAIN for all else."""

    def __init__(self) -> None:
        self.zone: dict[str, list[str] | dns.rcode.Rcode | None] = {}
        self.asked: list[str] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text()
        self.asked.append(name)
        answer = self.zone.get(name, dns.rcode.NXDOMAIN)
        if answer is None:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if isinstance(answer, list):
            if answer:
                response.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", *answer))
        else:
            response.set_rcode(answer)
        assert self._transport is not None
        self._transport.sendto(response.to_wire(), address)


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    monkeypatch.setattr(dns.asyncresolver, "default_resolver", resolver)
    yield server
    transport.close()


async def plan(tls: TlsMode = "auto", jid: Jid = JULIET, timeout_s: float = 5.0) -> list[Candidate]:
    return await dial_plan(jid, (), tls, timeout_s)


async def test_both_services_are_one_list_ordered_by_priority(names: NameServer) -> None:
    names.zone = {DIRECT: ["20 0 5223 tls.example.net."], STARTTLS: ["30 0 5222 c.example.net.", "10 0 5222 a.b."]}
    assert await plan() == [
        Candidate("a.b", 5222, "starttls", "SRV _xmpp-client._tcp.example.org"),
        Candidate("tls.example.net", 5223, "direct", "SRV _xmpps-client._tcp.example.org"),
        Candidate("c.example.net", 5222, "starttls", "SRV _xmpp-client._tcp.example.org"),
    ]


@pytest.mark.parametrize(("tls", "asked"), [
    ("auto", {DIRECT, STARTTLS}), ("direct", {DIRECT}), ("starttls", {STARTTLS}),
])  # fmt: skip
async def test_only_the_services_that_are_wanted_are_asked_for(
    names: NameServer, tls: TlsMode, asked: set[str]
) -> None:
    await plan(tls)
    assert set(names.asked) == asked


@pytest.mark.parametrize(("tls", "port", "mode"), [
    ("auto", 5222, "starttls"), ("starttls", 5222, "starttls"), ("direct", 5223, "direct"),
])  # fmt: skip
@pytest.mark.parametrize("answer", [dns.rcode.NXDOMAIN, []], ids=["NXDOMAIN", "no records"])
async def test_without_records_the_domain_itself_is_dialled(
    names: NameServer, answer: Any, tls: TlsMode, port: int, mode: Any
) -> None:
    names.zone = {DIRECT: answer, STARTTLS: answer}
    (candidate,) = await plan(tls)
    assert candidate == Candidate("example.org", port, mode, "the domain itself, it has no SRV records")


async def test_a_dot_means_that_there_is_no_service(names: NameServer) -> None:
    names.zone = {STARTTLS: ["0 0 0 ."]}
    with pytest.raises(ServiceRefused) as caught:
        await plan()
    assert str(caught.value) == 'example.org says that it offers no XMPP to clients (SRV target ".")'
    assert caught.value.exit_code == 69


async def test_a_dot_for_one_service_leaves_the_other(names: NameServer) -> None:
    names.zone = {DIRECT: ["0 0 0 ."], STARTTLS: ["0 0 5222 a.b."]}
    assert [candidate.host for candidate in await plan()] == ["a.b"]


async def test_a_server_failure_is_not_taken_for_no_records(names: NameServer) -> None:
    names.zone = {DIRECT: [], STARTTLS: dns.rcode.SERVFAIL}
    with pytest.raises(LookupFailed) as caught:
        await plan(timeout_s=0.5)
    assert caught.value.exit_code == 75
    assert caught.value.hint == "--host HOST dials without SRV records"


async def test_a_silent_name_server_does_not_hang(names: NameServer) -> None:
    names.zone = {DIRECT: None, STARTTLS: None}
    async with asyncio.timeout(5):
        with pytest.raises(LookupFailed, match="no name server answers"):
            await plan(timeout_s=0.2)


async def test_one_service_that_answers_is_enough(names: NameServer) -> None:
    names.zone = {DIRECT: dns.rcode.SERVFAIL, STARTTLS: ["0 0 5222 a.b."]}
    assert [candidate.host for candidate in await plan(timeout_s=0.5)] == ["a.b"]


async def test_an_internationalised_domain_is_asked_for_in_its_a_form(names: NameServer) -> None:
    names.zone = {"_xmpp-client._tcp.xn--bcher-kva.example.": ["0 0 5222 a.b."]}
    assert [candidate.host for candidate in await plan(jid=Jid.parse("a@b\u00fccher.example"))] == ["a.b"]


@pytest.mark.parametrize(("domain", "host"), [("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1")])
async def test_an_address_is_dialled_without_a_question(names: NameServer, domain: str, host: str) -> None:
    (candidate,) = await plan(jid=Jid.parse(f"a@{domain}"))
    assert candidate == Candidate(host, 5222, "starttls", "the domain is an address")
    assert names.asked == []


@pytest.mark.parametrize(("host", "tls", "expected"), [
    (("a", None), "auto", ("a", 5222, "starttls")),
    (("a", 5222), "auto", ("a", 5222, "starttls")),
    (("a", 5223), "auto", ("a", 5223, "direct")),
    (("a", 443), "auto", ("a", 443, "direct")),
    (("a", 15222), "auto", ("a", 15222, "starttls")),
    (("a", None), "direct", ("a", 5223, "direct")),
    (("a", 5223), "starttls", ("a", 5223, "starttls")),
    (("::1", None), "off", ("::1", 5222, "off")),
])  # fmt: skip
async def test_a_host_that_was_given_is_dialled_alone(
    names: NameServer, host: tuple[str, int | None], tls: TlsMode, expected: tuple[str, int, Any]
) -> None:
    assert await dial_plan(JULIET, [host, ("b", 1)], tls, 1.0) == [
        Candidate(*expected, "--host"),
        Candidate("b", 1, "starttls" if tls == "auto" else tls, "--host"),
    ]  # fmt: skip
    assert names.asked == []
