"""One question to several name servers: the first answer counts, and what is told when there is none."""

import asyncio
import contextlib
import random
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from support.clock import Clock
from support.dns import HOST, Delayed, Fails, Garbage, NameServer, Reply, Silent, Truncated, serving

from xmppsh.model import Jid
from xmppsh.resolve.lookup import Answer, Srv, ask
from xmppsh.resolve.options import LookupOptions
from xmppsh.resolve.plan import Plan, draw_plan
from xmppsh.resolve.trouble import NotLookedUp

NAME, ALIAS = "_xmpp-client._tcp.example.org", "alias.example.org"
GOOD: Reply = ["0 0 5222 a.example"]
RECORD = Srv(0, 0, 5222, "a.example")


async def answer(*replies: Reply, timeout_s: float = 3.0) -> Answer:
    """The answer of name servers that reply so, asked in this order."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(NameServer({f"SRV {NAME}": reply}))) for reply in replies]
        return await ask(NAME, "SRV", [(HOST, server.port) for server in servers], timeout_s)


@pytest.mark.parametrize("code", ["REFUSED", "SERVFAIL"])
async def test_another_name_server_is_asked_at_once_when_one_fails(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    Clock(monkeypatch)  # no time passes: nobody is waited for
    assert (await answer(Fails(code), GOOD)).records == (RECORD,)


@pytest.mark.parametrize("replies", [
    (Silent(), GOOD),
    (Silent(), Silent(), GOOD),
    (Garbage(), GOOD),
    (Delayed(300, ["0 0 1 late.example"]), GOOD),
    (Silent(), Fails("REFUSED"), GOOD),
])  # fmt: skip
async def test_a_bad_name_server_costs_a_moment_and_no_share_of_the_time(replies: tuple[Reply, ...]) -> None:
    begun = time.monotonic()
    assert (await answer(*replies, timeout_s=120.0)).records == (RECORD,)
    assert time.monotonic() - begun < 20.0


async def test_a_late_answer_still_counts_when_the_others_are_dead() -> None:
    assert (await answer(Delayed(1.5, ["0 0 5222 a.example"]), Silent())).records == (RECORD,)


@pytest.mark.parametrize(("replies", "cause", "log"), [
    ((Silent(), Silent()), "silent", "{0} timed out after 0.4 s, {1} timed out after 0.4 s"),
    ((Silent(), Fails("SERVFAIL")), "mixed", "{0} timed out after 0.4 s, {1} SERVFAIL"),
    ((Fails("REFUSED"), Fails("REFUSED")), "refused", "{0} REFUSED, {1} REFUSED"),
    ((Garbage(), Fails("FORMERR")), "unusable", "{0} sends what is not an answer, {1} FORMERR"),
])  # fmt: skip
async def test_every_name_server_is_named_with_what_it_did(replies: tuple[Reply, ...], cause: str, log: str) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(NameServer(otherwise=reply))) for reply in replies]
        with pytest.raises(NotLookedUp) as caught:
            await ask(NAME, "SRV", [(HOST, server.port) for server in servers], 0.4)
        assert caught.value.trouble.cause == cause
        assert caught.value.trouble.detail == log.format(*(server.place for server in servers))


async def test_a_port_where_nobody_listens_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        bound.bind((HOST, 0))
        port = bound.getsockname()[1]
    Clock(monkeypatch)  # no time passes: nobody is waited for
    with pytest.raises(NotLookedUp) as caught:
        await ask(NAME, "SRV", [(HOST, port)], 3.0)
    assert str(caught.value) == f"cannot be looked up: no name server can be reached ({HOST}:{port} refused)"


async def test_a_question_that_was_lost_is_asked_again() -> None:
    class Forgetful(NameServer):
        lost = False

        def _reply(self, kind: str, name: str) -> Reply:
            if not self.lost:
                self.lost = True
                return Silent()
            return super()._reply(kind, name)  # type: ignore[no-any-return]

    async with serving(Forgetful({f"SRV {NAME}": GOOD})) as server:
        assert (await ask(NAME, "SRV", [(HOST, server.port)], 3.0)).records == (RECORD,)


async def test_a_truncated_answer_is_asked_for_by_tcp() -> None:
    records = [f"{number} 0 5222 host-{number}.example" for number in range(100)]  # beyond 512 bytes
    async with serving(NameServer({f"SRV {NAME}": Truncated(records)})) as server:
        assert len((await ask(NAME, "SRV", [(HOST, server.port)], 3.0)).records) == 100
        assert server.by_tcp == [f"SRV {NAME}"]


async def test_a_truncated_answer_without_tcp_is_told() -> None:
    class Datagrams(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.transport.sendto(data[:2] + b"\x86\x80" + data[4:], addr)  # the question again, as a truncated answer

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, local_addr=(HOST, 0))
    with pytest.raises(NotLookedUp) as caught:
        await ask(NAME, "SRV", [(HOST, transport.get_extra_info("sockname")[1])], 3.0)
    assert caught.value.trouble.cause == "unreachable"
    transport.close()


async def test_bytes_at_random_are_no_answer() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    class Noise(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for _ in range(500):
                noise = bytearray(data[:2] + b"\x81\x80" + data[4:6] + b"\x00\x02" + data[8:] + chance.randbytes(60))
                for _ in range(chance.randrange(4)):
                    noise[chance.randrange(2, len(noise))] = chance.randrange(256)
                self.transport.sendto(bytes(noise), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Noise, local_addr=(HOST, 0))
    servers = [(HOST, transport.get_extra_info("sockname")[1])]
    for _ in range(5):
        with contextlib.suppress(NotLookedUp):  # and no other exception
            assert isinstance(await ask(NAME, "SRV", servers, 0.3), Answer)
    transport.close()


@pytest.mark.parametrize(("soa", "ttl_s"), [(True, 77), (False, None)])
async def test_that_there_is_nothing_may_be_remembered_where_the_zone_says_so(soa: bool, ttl_s: int | None) -> None:
    async with serving(NameServer(soa=soa, ttl_s=77)) as server:
        found = await ask(NAME, "SRV", [(HOST, server.port)], 3.0)
    assert (found.records, found.exists, found.ttl_s) == ((), False, ttl_s)


# ── The plan's patience ─────────────────────────────────────────────────────────────────────────────────────────────


async def drawn(server: NameServer, folder: Path, *, patient: bool, timeout_s: float = 6.0) -> Plan:
    lookup = LookupOptions(((HOST, server.port),), hosts_file=folder / "none")
    return await draw_plan(Jid.parse("a@example.org"), (), "auto", timeout_s, lookup, patient=patient)


SLOW = {
    f"SRV {NAME}": ["0 0 5222 slow.example", "1 0 5222 quick.example"],
    "A slow.example": Delayed(1.2, ["192.0.2.1"]),
    "AAAA slow.example": Silent(),
    "A quick.example": ["192.0.2.2"],
}


async def test_a_name_that_takes_long_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async with serving(NameServer(SLOW)) as server:
        plan = await drawn(server, tmp_path, patient=False)
    assert [(candidate.host, candidate.addresses) for candidate in plan.candidates] == [
        ("slow.example", ()),  # the dialler looks it up when its turn comes
        ("quick.example", ("192.0.2.2",)),
    ]
    assert plan.misses == []


async def test_an_explanation_waits_for_every_name(tmp_path: Path) -> None:
    async with serving(NameServer(SLOW)) as server:
        plan = await drawn(server, tmp_path, patient=True)
    assert [candidate.addresses for candidate in plan.candidates] == [("192.0.2.1",), ("192.0.2.2",)]


async def test_a_dead_name_server_costs_its_moment_once(tmp_path: Path) -> None:
    zone = {f"SRV {NAME}": ["0 0 5222 a.example"], "A a.example": ["192.0.2.2"]}
    async with serving(NameServer(otherwise=Silent())) as dead, serving(NameServer(zone)) as server:
        lookup = LookupOptions(((HOST, dead.port), (HOST, server.port)), hosts_file=tmp_path / "none")
        plan = await draw_plan(Jid.parse("a@example.org"), (), "auto", 60.0, lookup)
        assert {question.split()[0] for question in dead.asked} == {"SRV"}, "the first ones that were asked"
    assert [candidate.addresses for candidate in plan.candidates] == [("192.0.2.2",)]


async def test_what_is_left_out_is_known_by_name(tmp_path: Path) -> None:
    zone = {f"SRV {NAME}": ["0 0 5222 gone.example", "1 0 5222 a.example"], "A a.example": ["192.0.2.2"]}
    async with serving(NameServer(zone)) as server:
        plan = await drawn(server, tmp_path, patient=False)
    assert [candidate.host for candidate in plan.candidates] == ["a.example"]
    assert [(candidate.host, str(trouble)) for candidate, trouble in plan.misses] == [
        ("gone.example", "does not exist (no such name in the DNS)")
    ]


async def test_each_place_says_why_it_stands_there(tmp_path: Path) -> None:
    records = ["10 60 5222 a.example", "10 40 5222 b.example", "20 0 5222 c.example"]
    zone = {f"SRV {NAME}": records, **{f"A {name}.example": ["192.0.2.2"] for name in "abc"}}
    async with serving(NameServer(zone)) as server:
        plan = await drawn(server, tmp_path, patient=True)
        assert plan.asked == (
            f"SRV _xmpps-client._tcp.example.org: no such name, says {server.place}",
            f"SRV {NAME}: 3 records, says {server.place}",
        )
    assert {step.candidate.host: step.why for step in plan.steps} == {
        "a.example": "priority 10, drawn by weight 60 among 2",
        "b.example": "priority 10, drawn by weight 40 among 2",
        "c.example": "priority 20",
    }
    assert {step.known_by for step in plan.steps} == {f"name server {server.place}"}


async def test_a_plan_ends_within_its_time_whatever_is_silent(tmp_path: Path) -> None:
    zone = {f"SRV {NAME}": Delayed(0.4, ["0 0 5222 a.example"]), "A a.example": Silent(), "AAAA a.example": Silent()}
    async with serving(NameServer(zone)) as server:
        begun = time.monotonic()
        plan = await drawn(server, tmp_path, patient=False, timeout_s=4.0)
        assert time.monotonic() - begun < 4.0
    assert "no name server answers" in str(plan.error)
