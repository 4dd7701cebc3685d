"""The way to a real server past everything that can stand in it: dead, deaf and dumb places, and proxies."""

import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hostile.certificates import Certificates
from hostile.misbehaviour import SILENCE
from hostile.server import DOMAIN, PASSWORD, USER, Spec
from hostile.server import Server as HostileServer
from support.dns import NameServer
from support.dns import serving as name_server
from support.places import black_hole, listening, refused
from support.program import Program
from support.proxies import ProxyServer, serving
from support.servers import Server

pytestmark = pytest.mark.either_server

DEADLINE_S = 60.0
SHARE_S = 20.0  # a place that is waited for costs half of what is left of the deadline: 30 s; one passed by, 0.25 s
RUNS = 3


@pytest.fixture
def program(tmp_path: Path, server: Server) -> Program:
    return Program(tmp_path, server, server.account())


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def hosts(*places: str) -> list[str]:
    return [word for place in places for word in ("--host", place)]


async def passes_the_bad(program: Program, *options: str) -> None:
    """A ping succeeds with these options, and waited for no bad place, however busy the machine is."""
    program.env.pop("XMPPSH_HOST", None)
    begun = time.monotonic()
    outcome = await program.run("ping", "--connect-timeout", f"{DEADLINE_S:g}", *options)
    assert outcome.code == 0, outcome.stderr
    assert time.monotonic() - begun < SHARE_S


# ── Bad places before a good one ────────────────────────────────────────────────────────────────────────────────────


async def test_dead_deaf_and_dumb_hosts_are_passed_by_and_not_waited_for(
    server: Server, program: Program, stack: AsyncExitStack
) -> None:
    dead = stack.enter_context(refused())
    hole = stack.enter_context(black_hole(socket.AF_INET6))
    dumb = await stack.enter_async_context(listening())
    good = f"{server.host}:{server.port}"
    # The direct TLS port is dialled for STARTTLS: it waits for a handshake, and gets a stream header.
    bad = [f"127.0.0.1:{dead}", f"[::1]:{hole}", f"{server.host}:{server.tls_port}", f"127.0.0.1:{dumb.port}"]
    await passes_the_bad(program, *hosts(*bad, good))
    assert dumb.connections == 1


async def test_targets_of_srv_records_with_the_wrong_kind_of_tls_are_not_waited_for(
    server: Server, program: Program, stack: AsyncExitStack
) -> None:
    dead = stack.enter_context(refused())
    hole = stack.enter_context(black_hole(socket.AF_INET6, server.port))
    assert hole == server.port
    direct, starttls = f"_xmpps-client._tcp.{server.domain}", f"_xmpp-client._tcp.{server.domain}"
    zone = {
        # A dead target, STARTTLS where direct TLS is announced, and the other way round; the good one is dual-stacked.
        f"SRV {direct}": [f"1 0 {dead} dead.example", f"3 0 {server.port} only-starttls.example"],
        f"SRV {starttls}": [f"4 0 {server.tls_port} only-tls.example", f"5 0 {server.port} good.example"],
        **{f"A {name}.example": ["127.0.0.1"] for name in ("dead", "only-starttls", "only-tls", "good")},
        "AAAA good.example": ["::1"],
    }
    dns = await stack.enter_async_context(name_server(NameServer(zone)))
    await passes_the_bad(program, "--dns", dns.place)


async def test_what_happened_is_logged_in_order(server: Server, program: Program, stack: AsyncExitStack) -> None:
    dead = stack.enter_context(refused())
    dumb = await stack.enter_async_context(listening())
    del program.env["XMPPSH_HOST"]
    good = f"{server.host}:{server.port}"
    outcome = await program.run("-v", "ping", *hosts(f"127.0.0.1:{dead}", f"127.0.0.1:{dumb.port}", good))
    assert outcome.code == 0, outcome.stderr
    told = [line.removeprefix("xmppsh: ") for line in outcome.stderr.splitlines()]
    expected = [
        f"dialling 127.0.0.1:{dead} (--host, TLS starttls)",
        f"127.0.0.1:{dead} refused",
        f"dialling 127.0.0.1:{dumb.port} (--host, TLS starttls)",
        f"dialling {good} (--host, TLS starttls)",
    ]
    assert [line for line in told if line in expected] == expected


# ── Nothing but bad places ──────────────────────────────────────────────────────────────────────────────────────────


async def test_the_error_tells_every_place_in_order(tmp_path: Path, stack: AsyncExitStack) -> None:
    dead = stack.enter_context(refused())
    hole = stack.enter_context(black_hole(socket.AF_INET6))
    program = Program(tmp_path)
    program.env |= {"XMPPSH_JID": "romeo@example.org", "XMPPSH_PASSWORD": "x"}
    places = hosts(f"127.0.0.1:{dead}", f"[::1]:{hole}")
    begun = time.monotonic()
    outcome = await program.run("ping", "--connect-timeout", "1", *places)
    assert time.monotonic() - begun < SHARE_S
    assert outcome.code == 69
    cause, hint = outcome.stderr.splitlines()
    assert cause == f"xmppsh: example.org: no address answers (127.0.0.1:{dead} refused, [::1]:{hole} timed out)"
    assert hint.startswith("  try: ")


async def test_places_that_answer_nonsense_are_told_too(tmp_path: Path, stack: AsyncExitStack) -> None:
    dead = stack.enter_context(refused())
    dumb = await stack.enter_async_context(listening())
    http = await stack.enter_async_context(listening(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    program = Program(tmp_path)
    program.env |= {"XMPPSH_JID": "romeo@example.org", "XMPPSH_PASSWORD": "x"}
    places = [f"127.0.0.1:{port}" for port in (dead, dumb.port, http.port)]
    outcome = await program.run("ping", "--connect-timeout", "5", *hosts(*places), "--format", "json")
    text = outcome.error["text"]
    assert text.startswith(f"example.org: no address leads to a session ({places[0]} refused, {places[1]} takes the ")
    assert f"{places[2]} failed: " in text
    assert (outcome.code, outcome.error["layer"]) == (75, "stream")


async def test_an_explicit_host_is_dialled_and_nothing_else(
    server: Server, program: Program, stack: AsyncExitStack
) -> None:
    other = await stack.enter_async_context(listening())
    dead = stack.enter_context(refused())
    service = f"SRV _xmpp-client._tcp.{server.domain}"
    zone = {service: [f"0 0 {other.port} a.example"], "A a.example": ["127.0.0.1"], f"A {server.domain}": ["127.0.0.1"]}
    dns = await stack.enter_async_context(name_server(NameServer(zone)))
    del program.env["XMPPSH_HOST"]
    outcome = await program.run("ping", "--dns", dns.place, *hosts(f"127.0.0.1:{dead}"))
    assert outcome.code == 69
    assert f"no address answers (127.0.0.1:{dead} refused)" in outcome.stderr
    assert (dns.asked, other.connections) == ([], 0)
    assert (await program.run("ping", "--dns", dns.place, "--connect-timeout", "4")).code != 0
    assert other.connections > 0, "the zone would lead there"


# ── By a proxy ──────────────────────────────────────────────────────────────────────────────────────────────────────

LOGIN = ("juliet", "pa55:w/rd@ä")
both = pytest.mark.parametrize("scheme", ["socks5h", "http"])


async def behind(
    stack: AsyncExitStack, scheme: Any, server: Server, name: str, **more: Any
) -> tuple[ProxyServer, NameServer]:
    """A proxy that alone knows where `name` is, and a name server that must not be asked."""
    routes = {(name, port): (server.host, port) for port in (server.port, server.tls_port)}
    proxy = await stack.enter_async_context(serving(ProxyServer(scheme, routes, **more)))
    return proxy, await stack.enter_async_context(name_server(NameServer({f"A {name}": ["192.0.2.1"]})))


@both
async def test_a_proxy_looks_the_name_up_and_no_question_leaves_the_machine(
    server: Server, program: Program, stack: AsyncExitStack, scheme: str
) -> None:
    del program.env["XMPPSH_HOST"]
    proxy, dns = await behind(stack, scheme, server, "hidden.example", login=LOGIN)
    program.env["XMPPSH_PROXY"] = proxy.url.replace("://", "://juliet:pa55%3Aw%2Frd%40%C3%A4@")
    for tls, port in (("starttls", server.port), ("direct", server.tls_port)):
        place = hosts(f"hidden.example:{port}")
        outcome = await program.run("-v", "ping", "--tls", tls, "--dns", dns.place, *place)
        assert outcome.code == 0, outcome.stderr
        assert f"dialling hidden.example:{port} by {proxy.url} (--host, TLS {tls})" in outcome.stderr
        assert "pa55" not in outcome.stderr
    assert proxy.asked == [("hidden.example", server.port), ("hidden.example", server.tls_port)]
    assert proxy.logins == [LOGIN, LOGIN]
    assert dns.asked == []


@both
async def test_what_fails_at_the_proxy_names_the_proxy_and_the_option(
    server: Server, program: Program, stack: AsyncExitStack, scheme: str
) -> None:
    program.env["XMPPSH_HOST"] = "elsewhere.example:5222"
    open_one, _ = await behind(stack, scheme, server, "hidden.example")
    locked, _ = await behind(stack, scheme, server, "hidden.example", login=LOGIN)
    dead = stack.enter_context(refused())
    for url, words in (
        (open_one.url, f"{server.domain}: the proxy {open_one.url} reaches no address (elsewhere.example:5222 "),
        (locked.url, f"the proxy {locked.url} wants a user and a password"),
        (f"{scheme}://127.0.0.1:{dead}", f"cannot be reached (127.0.0.1:{dead} refused)"),
    ):
        outcome = await program.run("ping", "--proxy", url)
        cause, hint = outcome.stderr.splitlines()
        assert words in cause
        assert hint.startswith("  try: ")
        assert "--proxy" in hint
        assert outcome.code == 69
        error = (await program.run("ping", "--proxy", url, "--format", "json")).error
        assert error["layer"] == "tcp"


async def test_a_certificate_that_is_refused_through_a_proxy_is_named(
    server: Server, program: Program, stack: AsyncExitStack
) -> None:
    del program.env["XMPPSH_CA"]
    proxy, _ = await behind(stack, "socks5h", server, "hidden.example")
    program.env["XMPPSH_HOST"] = f"hidden.example:{server.port}"
    outcome = await program.run("ping", "--proxy", proxy.url)
    assert outcome.code == 76
    assert "--pin sha256:" in outcome.stderr, "the certificate was not looked at through the proxy"


async def test_without_tls_no_password_goes_to_a_proxy(program: Program, stack: AsyncExitStack) -> None:
    proxy = await stack.enter_async_context(listening())
    outcome = await program.run("ping", "--tls", "off", "--proxy", f"socks5h://127.0.0.1:{proxy.port}")
    assert outcome.code == 64
    assert "--tls off is refused" in outcome.stderr
    assert proxy.connections == 0


# ── Who gets the password ───────────────────────────────────────────────────────────────────────────────────────────

BEFORE_TLS = ["header", "features", "starttls", "tls"]
BEHIND_TLS = ["header-tls", "features-tls", "auth", "response", "header-auth", "features-auth", "bind", "enable"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def two_servers(
    certificates: Certificates, home: Path, second_spec: Spec | None = None, **steps: Any
) -> AsyncIterator[tuple[HostileServer, HostileServer, Program, list[str]]]:
    """One that misbehaves and a good one, the program for their account, and its options."""
    program = Program(home)
    program.env |= {"XMPPSH_JID": f"{USER}@{DOMAIN}", "XMPPSH_PASSWORD": PASSWORD, "XMPPSH_CA": str(certificates.ca)}
    first_spec = Spec({name.replace("_", "-"): reply for name, reply in steps.items()})
    with (
        HostileServer(first_spec, certificates.contexts) as first,
        HostileServer(second_spec or Spec(), certificates.contexts) as second,
    ):
        yield first, second, program, hosts(f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}")


def auths(server: HostileServer) -> int:
    """How many logins a server saw begin."""
    return sum(connection.encrypted.count(b"<auth") for connection in server.connections)


@pytest.mark.parametrize("step", BEFORE_TLS)
async def test_who_is_silent_before_tls_is_passed_by_and_gets_no_password(
    certificates: Certificates, tmp_path: Path, step: str
) -> None:
    async with two_servers(certificates, tmp_path, **{step: SILENCE}) as (first, second, program, places):
        begun = time.monotonic()
        outcome = await program.run("ping", "--connect-timeout", f"{DEADLINE_S:g}", *places)
        assert outcome.code == 0, outcome.stderr
        assert time.monotonic() - begun < SHARE_S
        assert (auths(first), auths(second)) == (0, 1)


@pytest.mark.parametrize("step", BEHIND_TLS)
async def test_behind_tls_one_server_alone_is_spoken_to_until_its_share_of_the_time_is_over(
    certificates: Certificates, tmp_path: Path, step: str
) -> None:
    async with two_servers(certificates, tmp_path, **{step: SILENCE}) as (first, second, program, places):
        begun = time.monotonic()
        outcome = await program.run("ping", "--connect-timeout", "6", *places)
        assert outcome.code == 0, outcome.stderr
        assert time.monotonic() - begun > 2.9, "the second one was dialled before the first one was given up"
        assert (auths(first), auths(second)) == (int(step not in ("header-tls", "features-tls")), 1)
        assert [connection.footer for connection in first.connections] == [True]
        assert len(second.connections) == 1


async def test_who_comes_late_with_its_tls_gets_no_password(certificates: Certificates, tmp_path: Path) -> None:
    other_has_won = threading.Event()

    def late(_connection: object, _good: str) -> str:
        assert other_has_won.wait(DEADLINE_S)
        return ""

    def wins(_connection: object, good: str) -> str:
        other_has_won.set()
        return good

    async with two_servers(certificates, tmp_path, Spec({"header-tls": wins}), tls=late) as servers:
        first, second, program, places = servers
        outcome = await program.run("ping", *places)
        assert outcome.code == 0, outcome.stderr
        assert (auths(first), auths(second)) == (0, 1)


async def test_a_slow_server_that_answers_is_not_left_for_a_worse_one(
    certificates: Certificates, tmp_path: Path
) -> None:
    def slowly(_connection: object, good: str) -> str:
        time.sleep(0.1)  # at every step: together more than the stagger, each less than that
        return good

    steps = dict.fromkeys(["header", "starttls", "tls", "header_tls", "auth", "response", "header_auth"], slowly)
    seen = []
    for run in range(RUNS):  # on a busy machine a step may take longer
        home = tmp_path / str(run)
        home.mkdir()
        async with two_servers(certificates, home, **steps) as (first, second, program, places):
            outcome = await program.run("ping", *places)
            assert outcome.code == 0, outcome.stderr
            seen.append((auths(first), len(second.connections)))
            if seen[-1] == (1, 0):
                return
    raise AssertionError(f"(logins at the first, connections to the second): {seen}")


async def test_a_certificate_that_does_not_fit_ends_the_search(certificates: Certificates, tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.env |= {"XMPPSH_JID": f"{USER}@{DOMAIN}", "XMPPSH_PASSWORD": PASSWORD, "XMPPSH_CA": str(certificates.ca)}
    with (
        HostileServer(Spec(certificate="wrong-name"), certificates.contexts) as first,
        HostileServer(Spec(), certificates.contexts) as second,
    ):
        outcome = await program.run("ping", *hosts(f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"))
        assert outcome.code == 76
        assert "certificate is for" in outcome.stderr
        assert second.connections == []


@pytest.mark.parametrize("reply", [
    "<stream:features/>",
    "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    "<html>", "</stream:stream>",
])  # fmt: skip
async def test_nothing_that_is_said_before_tls_ends_the_search(
    certificates: Certificates, tmp_path: Path, reply: str
) -> None:
    async with two_servers(certificates, tmp_path, features=reply) as (first, second, program, places):
        outcome = await program.run("ping", *places)
        assert outcome.code == 0, outcome.stderr
        assert (auths(first), auths(second)) == (0, 1)
