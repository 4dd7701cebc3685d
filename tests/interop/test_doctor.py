"""`doctor` on real servers: all well, without a password, through a proxy, in the shell; and real servers that are not
well."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from interop.doctor import examine, found_by_name, statuses, told, zone_of
from support.dns import HOST, NameServer, serving
from support.places import refused
from support.program import Program, finish
from support.proxies import ProxyServer
from support.proxies import serving as proxying
from support.servers import Server

pytestmark = pytest.mark.either_server

BEHIND_LOGIN = ["resource", "stream management", "carbons", "archive", "blocking", "clock", "upload"]


@pytest.fixture
def program(tmp_path: Path, server: Server) -> Program:
    """An account on a server that is found by its name alone."""
    return found_by_name(Program(tmp_path, server, server.account()))


# ── All is well ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_all_is_well(program: Program, server: Server) -> None:
    outcome = await examine(program, server)
    assert (outcome.code, outcome.stderr) == (0, "")
    warned = {check.partition(" 127")[0] for check, status in statuses(outcome).items() if status == "warn"}
    assert warned <= {"registration"}  # ejabberd's is open
    assert set(statuses(outcome).values()) - {"warn"} == {"ok", "skip"}
    skipped = {check.partition(" 127")[0] for check, status in statuses(outcome).items() if status == "skip"}
    # What these servers do not have; everything else is made.
    assert skipped <= {"TLSA", "limits", "channel binding", "upload", "host-meta", "host-meta.json"}
    found = told(outcome)
    direct, starttls = f"{HOST}:{server.tls_port}", f"{HOST}:{server.port}"
    assert "ms (a.example.net" in found[starttls]["detail"]
    assert found[f"handshake {starttls}"]["detail"] == "STARTTLS, TLSv1.3"
    assert found[f"handshake {direct}"]["detail"] == "direct TLS, TLSv1.3"
    for place in (direct, starttls):
        assert server.domain in found[f"names {place}"]["detail"]
        assert "days left" in found[f"expiry {place}"]["detail"]
        assert found[f"header {place}"]["detail"] == f"version 1.0, from {server.domain}"
        assert "SCRAM-SHA-256" in found[f"mechanisms {place}"]["detail"]
    account = program.env["XMPPSH_JID"]
    assert found["login"]["detail"].startswith(f"{account} by SCRAM-SHA-")
    assert found["resource"]["detail"].startswith(f"{account}/")
    kept = {"prosody": 300, "ejabberd": 120}[server.name]  # Prosody 0.12 takes its own time
    assert f"resumed for {kept} s (120 s were asked for)" in found["stream management"]["detail"]
    assert found["archive"]["detail"] == "0 messages"
    assert server.sessions(account) == [], "a session is left"


async def test_without_a_password_it_comes_as_far_as_the_mechanisms(program: Program, server: Server) -> None:
    del program.env["XMPPSH_PASSWORD"]
    outcome = await examine(program, server, program.env["XMPPSH_JID"])
    assert (outcome.code, outcome.stderr) == (0, "")
    made = statuses(outcome, "dns", "tcp", "tls")
    assert {status for check, status in made.items() if not check.startswith("TLSA ")} == {"ok"}
    found = told(outcome)
    assert found[f"mechanisms {HOST}:{server.port}"]["status"] == "ok"
    assert {(found[check]["status"], found[check]["detail"]) for check in ["login", *BEHIND_LOGIN]} == {
        ("skip", "no password is given")
    }


async def test_a_domain_needs_no_account_and_logs_nobody_in(program: Program, server: Server) -> None:
    outcome = await examine(program, server, server.domain)
    assert outcome.code == 0
    login = told(outcome)["login"]
    assert (login["status"], login["detail"]) == ("skip", f"{server.domain} is a domain, not an account")


async def test_the_password_of_one_account_is_not_tried_for_another(program: Program, server: Server) -> None:
    other = server.account()
    outcome = await examine(program, server, other.jid)
    assert (outcome.code, told(outcome)["login"]["detail"]) == (0, "no password is given")


async def test_a_password_given_by_hand_is_for_the_account_that_is_named(
    program: Program, server: Server, tmp_path: Path
) -> None:
    other = server.account()
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(other.password)
    outcome = await examine(program, server, "--password-file", str(secret), other.jid)
    assert (outcome.code, told(outcome)["login"]["status"]) == (0, "ok")


async def test_anonymous_logs_in_at_a_domain(program: Program, server: Server) -> None:
    place = f"{server.host}:{server.port}"
    outcome = await program.run("--host", place, "--anonymous", "doctor", server.anonymous_domain)
    found = told(outcome)
    assert found["login"]["detail"].removesuffix(" (SASL2)").endswith(" by ANONYMOUS")
    assert found[f"choice {place}"]["detail"] == "ANONYMOUS"
    assert found["resource"]["status"] == "ok"


async def test_a_running_session_of_the_same_resource_is_left_alone(
    program: Program, server: Server, tmp_path: Path
) -> None:
    account = program.env["XMPPSH_JID"]
    program.env |= {"XMPPSH_JID": f"{account}/desk", "XMPPSH_HOST": f"{server.host}:{server.port}"}
    async with program.listening(ready=tmp_path / "ready"):
        outcome = await program.run("doctor")
        assert outcome.code == 0
        assert server.sessions(account) == [f"{account}/desk"]


async def test_with_a_host_that_is_given_nothing_else_is_asked_or_dialled(program: Program, server: Server) -> None:
    async with serving(NameServer({f"A {server.domain}": [HOST]})) as names:
        outcome = await program.run("--dns", names.place, "--host", f"{server.host}:{server.port}", "doctor")
        assert (outcome.code, names.asked) == (0, [])
    found = told(outcome)
    for check in ("handshake, direct TLS", "host-meta", "host-meta.json"):
        assert (found[check]["status"], found[check]["detail"][:6]) == ("skip", "--host")


async def test_a_dead_address_beside_a_good_one_is_a_warning(program: Program, server: Server) -> None:
    with refused() as dead:
        hosts = ("--host", f"{HOST}:{dead}", "--host", f"{server.host}:{server.port}")
        outcome = await program.run(*hosts, "doctor")
    assert outcome.code == 0
    assert statuses(outcome, "tcp") == {f"{HOST}:{dead}": "warn", f"{server.host}:{server.port}": "ok"}
    assert told(outcome)["login"]["status"] == "ok"


async def test_through_a_proxy_names_are_looked_up_there(program: Program, server: Server) -> None:
    proxy = ProxyServer("socks5h", routes={(server.domain, 5222): (server.host, server.port)})
    async with proxying(proxy):
        outcome = await program.run("--proxy", proxy.url, "doctor")
    assert (outcome.code, told(outcome)["login"]["status"]) == (0, "ok")
    assert statuses(outcome, "tcp") == {f"{server.domain}:5222": "ok"}
    assert {host for host, _port in proxy.asked} == {server.domain}


async def test_it_runs_in_the_shell_on_connections_of_its_own(program: Program, server: Server) -> None:
    del program.env["XMPPSH_FORMAT"]
    async with serving(NameServer(zone_of(server))) as names:
        process = await program.start("--dns", names.place, "connect")
        outcome = await finish(process, b"/doctor\n/doctor --format json\n/ping\n")
    assert outcome.code == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    assert any(line.startswith(" ✓ sasl ") and "login: " in line for line in lines)
    assert any(json.loads(line)["check"] == "login" for line in lines if line.startswith("{"))
    assert lines[-1].startswith("pong from")


async def test_in_the_shell_what_was_given_for_its_session_is_not_used_for_another_account(
    program: Program, server: Server, tmp_path: Path
) -> None:
    del program.env["XMPPSH_FORMAT"], program.env["XMPPSH_PASSWORD"]
    account, other = server.account(), server.account()
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(account.password)
    options = ("--host", f"{server.host}:{server.port}", "--password-file", str(secret), "-j", account.jid)
    async with serving(NameServer()) as names:
        process = await program.start("--dns", names.place, *options, "connect")
        outcome = await finish(process, f"/doctor {other.jid} -v\n/explain nowhere.example\n".encode())
        assert any("nowhere.example" in question for question in names.asked)
    (login,) = (line for line in outcome.stdout.splitlines() if line.split()[2:3] == ["login"])
    assert login.split(maxsplit=3)[1:] == ["skip", "login", "no password is given"]
    assert outcome.code == 68  # nowhere.example does not exist


# ── Several addresses, default ports ────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def relay(address: str, port: int, to: tuple[str, int]) -> AsyncIterator[None]:
    """Carries bytes between a port of another loopback address and a server."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*to)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(serve, address, port)
    yield
    server.close()


def other_address() -> str:
    """A loopback address that no other test run uses."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"


async def test_without_srv_records_the_default_ports_are_looked_at_in_both_modes(
    program: Program, server: Server
) -> None:
    address = other_address()
    async with (
        relay(address, 5222, (server.host, server.port)),
        relay(address, 5223, (server.host, server.tls_port)),
        serving(NameServer({f"A {server.domain}": [address]})) as names,
    ):
        outcome = await program.run("--dns", names.place, "doctor")
    assert outcome.code == 0
    found = told(outcome)
    assert found["SRV _xmpp-client._tcp"]["status"] == "ok"
    assert found[f"handshake {address}:5222"]["detail"] == "STARTTLS, TLSv1.3"
    assert found[f"handshake {address}:5223"]["detail"] == "direct TLS, TLSv1.3"
    assert found["login"]["status"] == "ok"


async def test_a_mode_that_nobody_announces_and_that_is_not_there_is_no_fault(program: Program, server: Server) -> None:
    address = other_address()
    async with (
        relay(address, 5222, (server.host, server.port)),
        serving(NameServer({f"A {server.domain}": [address]})) as names,
    ):
        outcome = await program.run("--dns", names.place, "doctor", server.domain)
    spare = told(outcome)["handshake, direct TLS"]
    assert (outcome.code, spare["status"]) == (0, "skip")
    assert f"{address}:5223 refused" in spare["detail"]


async def test_each_address_of_a_place_is_looked_at_as_far_as_tls(program: Program, server: Server) -> None:
    address = other_address()
    zone = zone_of(server) | {"A a.example.net": [HOST, address]}
    del zone[f"SRV _xmpps-client._tcp.{server.domain}"]
    async with (
        serving(NameServer(zone)) as names,
        relay(address, server.port, (server.host, server.port)),
    ):
        outcome = await program.run("--dns", names.place, "doctor")
    assert outcome.code == 0
    details = [record["detail"] for record in outcome.records if record["check"].startswith("handshake 127")]
    assert sorted(details) == ["STARTTLS, TLSv1.3", "STARTTLS, TLSv1.3, the same certificate"]


async def test_an_address_with_a_certificate_that_does_not_fit_is_found_behind_a_good_one(
    program: Program, server: Server, start_server: Callable[..., Server]
) -> None:
    bad, address = start_server(server.name, certificate="wrong-name"), other_address()
    hosts = ("--host", "a.example.net:" + str(server.port))
    async with (
        serving(NameServer({"A a.example.net": [HOST, address]})) as names,
        relay(address, server.port, (bad.host, bad.port)),
    ):
        outcome = await program.run("--dns", names.place, *hosts, "doctor", server.domain)
    assert (outcome.code, outcome.error["layer"]) == (76, "tls")
    assert all(address in record["check"] for record in outcome.records if record["status"] == "fail")
