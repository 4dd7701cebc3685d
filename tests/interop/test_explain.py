"""The way to a real server by a name server of the test's own: what `explain` says of it, and what is then dialled."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.dns import HOST, Fails, NameServer, Silent, serving
from support.program import Outcome, Program
from support.servers import Server

pytestmark = pytest.mark.either_server

DOMAIN = "example.org"
DIRECT, STARTTLS = f"SRV _xmpps-client._tcp.{DOMAIN}", f"SRV _xmpp-client._tcp.{DOMAIN}"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[int, list[Any]]]:
    """A port, and whoever has connected to it."""
    came: list[Any] = []

    def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(connected, HOST, 0)
    yield server.sockets[0].getsockname()[1], came
    server.close()


async def explain(program: Program, names: NameServer, *arguments: str) -> Outcome:
    """It needs neither an account nor a password."""
    return await program.run("--dns", names.place, "explain", *arguments)


# ── What it prints ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_shows_every_place_with_its_source_and_dials_none(program: Program) -> None:
    async with listener() as (port, came):
        zone = {
            DIRECT: [f"20 0 {port} b.example.net"],
            STARTTLS: [f"10 0 {port} a.example.net", "30 0 5222 gone.example.net"],
            "A a.example.net": [HOST],
            "A b.example.net": [HOST],
        }
        async with serving(NameServer(zone)) as names:
            outcome = await explain(program, names, f"juliet@{DOMAIN}")
        assert (outcome.code, outcome.stderr, came) == (0, "", [])
    assert outcome.stdout == (
        f"1. a.example.net:{port}, STARTTLS, certificate for example.org\n"
        "   SRV _xmpp-client._tcp.example.org: priority 10\n"
        f"   at 127.0.0.1 (name server {names.place})\n"
        f"2. b.example.net:{port}, direct TLS, certificate for example.org\n"
        "   SRV _xmpps-client._tcp.example.org: priority 20\n"
        f"   at 127.0.0.1 (name server {names.place})\n"
        "3. gone.example.net:5222, STARTTLS, certificate for example.org\n"
        "   SRV _xmpp-client._tcp.example.org: priority 30\n"
        "   is not tried: it does not exist (no such name in the DNS)\n"
    )


async def test_as_json_each_place_is_one_record(program: Program) -> None:
    zone = {STARTTLS: ["10 0 5222 a.example.net"], "A a.example.net": [HOST]}
    async with serving(NameServer(zone)) as names:
        (record,) = (await explain(program, names, DOMAIN, "--format", "json")).records
    assert record == {
        "kind": "candidate", "order": 1, "host": "a.example.net", "port": 5222, "tls": "starttls",
        "tls_name": "example.org", "source": "SRV _xmpp-client._tcp.example.org", "why": "priority 10",
        "addresses": ["127.0.0.1"], "known_by": f"name server {names.place}", "trouble": None, "proxy": None,
        "remembered": False,
        "asked": [f"SRV _xmpps-client._tcp.example.org: no such name, says {names.place}",
                  f"SRV _xmpp-client._tcp.example.org: 1 record, says {names.place}"],
    }  # fmt: skip


UNKNOWN = "example.org: its SRV records cannot be looked up: no name server"


@pytest.mark.parametrize(("zone", "code", "says"), [
    ({}, 68, "example.org does not exist (no such name in the DNS)"),
    ({STARTTLS: ["0 0 0 ."]}, 69, 'example.org says that it offers no XMPP to clients (SRV target ".")'),
    ({STARTTLS: Fails("SERVFAIL")}, 75, f"{UNKNOWN} can find out ("),
    ({STARTTLS: Silent(), DIRECT: Silent()}, 75, f"{UNKNOWN} answers ("),
])  # fmt: skip
@pytest.mark.parametrize("command", ["explain", "ping"])
async def test_it_fails_as_dialling_fails(
    program: Program, zone: dict[str, Any], code: int, says: str, command: str
) -> None:
    program.env |= {"XMPPSH_JID": f"juliet@{DOMAIN}", "XMPPSH_PASSWORD": "x", "XMPPSH_FORMAT": "json"}
    patience_s = "2" if STARTTLS in zone and isinstance(zone[STARTTLS], Silent) else "20"
    async with serving(NameServer(zone)) as names:
        outcome = await program.run("--dns", names.place, "--connect-timeout", patience_s, command)
    assert (outcome.code, outcome.error["layer"]) == (code, "dns")
    assert outcome.error["text"].startswith(says)
    assert outcome.error["hint"]


async def test_without_an_account_it_says_what_is_missing(program: Program) -> None:
    outcome = await program.run("explain")
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (64, "xmppsh: no account is given")


async def test_a_dry_run_shows_the_plan_on_stderr(program: Program) -> None:
    zone = {STARTTLS: ["10 0 5222 a.example.net"], "A a.example.net": [HOST]}
    async with serving(NameServer(zone)) as names:
        outcome = await program.run("-n", "-v", "--dns", names.place, "-j", f"a@{DOMAIN}", "ping")
        assert outcome.code == 0
        assert outcome.stdout.startswith("<iq ")
        assert outcome.stderr.startswith("1. a.example.net:5222, STARTTLS, certificate for example.org\n")
        names.asked.clear()
        assert (await program.run("-n", "--dns", names.place, "-j", f"a@{DOMAIN}", "ping")).stderr == ""
        assert names.asked == []


async def test_a_proxy_is_shown_without_its_password_and_nothing_is_asked(program: Program) -> None:
    async with serving(NameServer()) as names:
        outcome = await explain(program, names, "a@b.onion", "--proxy", "socks5h://me:secret@127.0.0.1:9050")
        assert names.asked == []
    assert outcome.code == 0
    assert outcome.stdout.splitlines()[2] == "   by the proxy socks5h://127.0.0.1:9050, which looks the name up"
    assert "secret" not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize("domain", ["127.0.0.1", "[::1]"])
async def test_an_address_is_nothing_that_a_proxy_looks_up(program: Program, domain: str) -> None:
    way = ("explain", domain, "--proxy", "socks5h://127.0.0.1:9050")
    outcome = await program.run(*way)
    assert (outcome.code, outcome.stdout.splitlines()[2]) == (0, "   by the proxy socks5h://127.0.0.1:9050")
    (record,) = (await program.run("--format", "json", *way)).records
    assert record["known_by"] == "it is an address"


async def test_what_stands_in_the_dns_does_not_reach_a_terminal(program: Program) -> None:
    zone = {STARTTLS: [r"10 0 5222 \027[31m\226\128\174.example.net"]}
    async with serving(NameServer(zone)) as names:
        outcome = await explain(program, names, f"a@{DOMAIN}", "-vv")
    assert outcome.code == 69
    assert outcome.stderr.isprintable() or set(outcome.stderr) - {"\n"} <= {chr(code) for code in range(32, 127)}


# ── What is dialled ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def served(tmp_path: Path, prosody: Server) -> Program:
    """An account on a real server, which is found by its name alone."""
    program = Program(tmp_path, prosody, prosody.account())
    del program.env["XMPPSH_HOST"]
    return program


def zone_of(server: Server, port: int, host: str = "a.example.net") -> dict[str, Any]:
    return {f"SRV _xmpp-client._tcp.{server.domain}": [f"0 0 {port} {host}"], f"A {host}": [HOST]}


async def test_a_second_send_asks_for_no_srv_records(served: Program, prosody: Server) -> None:
    async with serving(NameServer(zone_of(prosody, prosody.port))) as names:
        send = ("--dns", names.place, "send", served.env["XMPPSH_JID"], "x")
        assert (await served.run(*send)).code == 0
        assert len({question for question in names.asked if question.startswith("SRV")}) == 2  # each perhaps twice
        names.asked.clear()
        assert (await served.run(*send)).code == 0
        assert set(names.asked) == {"A a.example.net", "AAAA a.example.net"}
        assert "remembered" in (await served.run("--dns", names.place, "explain")).stdout


async def test_a_server_that_moved_is_found_though_its_old_place_is_remembered(
    served: Program, prosody: Server
) -> None:
    async with listener() as (old, _came):
        pass  # the port is closed again
    async with serving(NameServer(zone_of(prosody, old))) as names:
        ping = ("--dns", names.place, "--connect-timeout", "5", "ping")
        assert (await served.run(*ping)).code == 69
        names.zone = zone_of(prosody, prosody.port)
        outcome = await served.run("-v", *ping)
        assert outcome.code == 0
        assert f"the remembered SRV records of {prosody.domain} lead nowhere" in outcome.stderr


@pytest.mark.parametrize("arguments", [
    ["--host", "{host}:{port}"],
    ["--resolve", "{domain}:{port}:{host}"],
    ["--host", "other.example.net:{port}", "--resolve", "other.example.net:{port}:{host}"],
])  # fmt: skip
async def test_a_place_that_was_given_is_dialled_and_nothing_else(
    served: Program, prosody: Server, arguments: list[str]
) -> None:
    words = {"host": prosody.host, "port": prosody.port, "domain": prosody.domain}
    given = [argument.format(**words) for argument in arguments]
    async with listener() as (port, came), serving(NameServer(zone_of(prosody, port))) as names:
        assert (await served.run("--dns", names.place, *given, "ping")).code == 0
        assert (names.asked, came) == ([], [])


async def test_a_dead_name_server_costs_no_connection(served: Program, prosody: Server) -> None:
    async with (
        serving(NameServer(otherwise=Silent())) as dead,
        serving(NameServer(zone_of(prosody, prosody.port))) as names,
    ):
        outcome = await served.run("--dns", f"{dead.place},{names.place}", "--format", "json", "ping")
        assert outcome.code == 0
        assert json.loads(outcome.stdout)["kind"] == "pong"
