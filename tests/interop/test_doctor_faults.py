"""`doctor` on real servers that are not well: it names the first thing that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from interop.doctor import examine, found_by_name, statuses, told, zone_of
from support.dns import HOST, NameServer, serving
from support.program import Program
from support.servers import Server

pytestmark = pytest.mark.either_server


@pytest.fixture
def program(tmp_path: Path, server: Server) -> Program:
    """An account on a server that is found by its name alone."""
    return found_by_name(Program(tmp_path, server, server.account()))


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.parametrize(
    ("certificate", "check"), [("expired", "expiry"), ("wrong-name", "names"), ("self-signed", "chain")]
)
async def test_a_bad_certificate_fails_at_what_is_wrong_with_it(
    start_server: Callable[..., Server], tmp_path: Path, name: str, certificate: str, check: str
) -> None:
    server = start_server(name, certificate=certificate)
    program = Program(tmp_path, server, server.account())
    program.env["XMPPSH_FORMAT"] = "json"
    del program.env["XMPPSH_HOST"]
    outcome = await examine(program, server)
    assert (outcome.code, outcome.error["layer"]) == (76, "tls")
    failed = [record for record in outcome.records if record["status"] == "fail"]
    assert [record["check"] for record in failed] == [
        f"{check} {HOST}:{server.port}",
        f"{check} {HOST}:{server.tls_port}",
    ]
    assert told(outcome)["login"]["status"] == "skip"


async def test_a_wrong_password_fails_at_the_login(program: Program, server: Server) -> None:
    program.env["XMPPSH_PASSWORD"] = "wrong"
    outcome = await examine(program, server)
    assert (outcome.code, outcome.error["layer"]) == (77, "sasl")
    assert [check for check, status in statuses(outcome).items() if status == "fail"] == ["login"]


async def test_a_domain_that_the_server_does_not_serve_fails_in_the_stream(program: Program, server: Server) -> None:
    place = f"{server.host}:{server.port}"
    outcome = await program.run("--host", place, "doctor", "other.example")
    assert (outcome.code, outcome.error["condition"]) == (68, "host-unknown")
    assert next(iter(record for record in outcome.records if record["status"] == "fail"))["group"] == "stream"


async def test_records_that_mix_up_the_modes_are_told_from_each_other(program: Program, server: Server) -> None:
    zone = zone_of(server) | {
        f"SRV _xmpps-client._tcp.{server.domain}": [f"10 0 {server.port} a.example.net"],
        f"SRV _xmpp-client._tcp.{server.domain}": [f"5 0 {server.tls_port} a.example.net"],
    }
    async with serving(NameServer(zone)) as names:
        outcome = await program.run("--dns", names.place, "doctor")
    assert (outcome.code, outcome.error["layer"]) == (76, "tls")
    found = told(outcome)
    assert "is a port for direct TLS" in found[f"handshake {HOST}:{server.tls_port}"]["detail"]
    assert "is a port for STARTTLS" in found[f"handshake {HOST}:{server.port}"]["detail"]


async def test_one_port_for_both_modes_is_looked_at_in_both(program: Program, server: Server) -> None:
    zone = zone_of(server)
    for service in ("_xmpps-client", "_xmpp-client"):
        zone[f"SRV {service}._tcp.{server.domain}"] = [f"0 0 {server.port} a.example.net"]
    async with serving(NameServer(zone)) as names:
        outcome = await program.run("--dns", names.place, "doctor")
    checks = [record["check"] for record in outcome.records]
    assert len(checks) == len(set(checks))
    assert sorted(statuses(outcome, "tls").values()).count("fail") == 1
    assert told(outcome)["login"]["status"] == "ok"


async def test_an_archive_that_is_missing_is_a_warning(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server("prosody", archive=False)
    program = Program(tmp_path, server, server.account())
    program.env["XMPPSH_FORMAT"] = "json"
    outcome = await program.run("doctor")
    assert (outcome.code, told(outcome)["archive"]["status"]) == (0, "warn")


async def test_a_server_that_stands_still_costs_no_more_than_the_timeouts(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    program = Program(tmp_path, server, server.account())
    program.env["XMPPSH_FORMAT"] = "json"
    server.suspend()
    outcome = await program.run("--connect-timeout", "1.5", "doctor", deadline_s=10.0)
    assert (outcome.code, outcome.error["layer"]) == (75, "stream")
