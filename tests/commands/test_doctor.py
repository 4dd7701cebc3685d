"""`doctor` before it has a connection: what the DNS says, what is not asked, whose password it takes."""

import re
from contextlib import AsyncExitStack
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.dns import HOST, Fails, NameServer, Silent, serving
from support.places import refused
from support.program import Outcome, Program
from support.proxies import ProxyServer
from support.proxies import serving as proxying

from xmppsh.doctor.monitors import nagios, openmetrics
from xmppsh.doctor.report import Check

DOMAIN = "example.org"
DIRECT, STARTTLS = f"SRV _xmpps-client._tcp.{DOMAIN}", f"SRV _xmpp-client._tcp.{DOMAIN}"
SRV = ["SRV _xmpps-client._tcp", "SRV _xmpp-client._tcp"]
GIVEN = ("--connect-timeout", "20", "--format", "json")
IMPATIENT = ("--connect-timeout", "1")  # for what never answers


def told(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The records by their check; no check is made twice."""
    found = {record["check"]: record for record in outcome.records}
    assert len(found) == len(outcome.records)
    return found


def first_failure(outcome: Outcome) -> tuple[str, str, str]:
    record = next(record for record in outcome.records if record["status"] == "fail")
    return record["group"], record["check"], record["detail"]


async def examine(program: Program, zone: dict[str, Any], *arguments: str) -> Outcome:
    async with serving(NameServer(zone)) as names:
        return await program.run("--dns", names.place, "doctor", *GIVEN, *arguments)


# ── The DNS ─────────────────────────────────────────────────────────────────────────────────────────────────────────

BROKEN: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("no such domain", {}, 68, f"addresses {DOMAIN}", "does not exist"),
    ("SERVFAIL", {STARTTLS: Fails("SERVFAIL"), DIRECT: Fails("SERVFAIL")}, 75, SRV[0], "SERVFAIL"),
    ("SERVFAIL for one service", {STARTTLS: Fails("SERVFAIL")}, 75, SRV[1], "SERVFAIL"),
    ("a silent name server", {STARTTLS: Silent(), DIRECT: Silent()}, 75, SRV[0], "no name server answers"),
    ("no such service", {STARTTLS: ["0 0 0 ."]}, 69, SRV[1], 'SRV target "."'),
    ("a useless record", {STARTTLS: ["0 0 0 a.example.net"]}, 69, SRV[1], "nobody could dial"),
    ("a target that does not exist", {STARTTLS: ["0 0 5222 a.example.net"]}, 68, "addresses a.example.net",
     "does not exist"),
    ("a target without an address", {STARTTLS: ["0 0 5222 a.example.net"], "A b.a.example.net": [HOST]}, 69,
     "addresses a.example.net", "has no address"),
    ("a domain without anything", {f"A www.{DOMAIN}": [HOST]}, 69, f"addresses {DOMAIN}", "neither SRV records"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "code", "check", "says"), [line[1:] for line in BROKEN], ids=[b[0] for b in BROKEN])
async def test_a_broken_dns_is_the_first_failure(
    program: Program, zone: dict[str, Any], code: int, check: str, says: str
) -> None:
    patience = IMPATIENT if any(isinstance(answer, Silent) for answer in zone.values()) else ()
    outcome = await examine(program, zone, DOMAIN, *patience)
    assert outcome.code == code
    group, failed, detail = first_failure(outcome)
    assert (group, failed) == ("dns", check)
    assert says in detail
    assert (outcome.error["code"], outcome.error["layer"]) == (code, "dns")
    assert outcome.error["hint"]
    behind = [record for record in outcome.records if record["group"] != "dns"]
    assert {record["group"] for record in behind} == {"tcp", "tls", "stream", "sasl", "bind", "session"}
    assert {(record["status"], record["detail"]) for record in behind} == {("skip", f"because {failed} failed")}


async def test_a_dead_name_server_is_named(program: Program) -> None:
    with refused() as port:
        outcome = await program.run("--dns", f"{HOST}:{port}", "doctor", *GIVEN, DOMAIN)
    assert (outcome.code, outcome.error["layer"]) == (75, "dns")
    assert f"{HOST}:{port} refused" in first_failure(outcome)[2]


async def test_both_services_and_every_target_are_told(program: Program) -> None:
    with refused() as port:
        zone = {
            DIRECT: [f"20 0 {port} b.example.net"],
            STARTTLS: [f"10 0 {port} a.example.net", "30 5 5222 gone.example.net"],
            "A a.example.net": [HOST],
            "A b.example.net": [HOST],
        }
        outcome = await examine(program, zone, DOMAIN)
    found = told(outcome)
    assert found[SRV[0]]["detail"].startswith(f"b.example.net:{port} (priority 20, weight 0), says {HOST}:")
    assert found[SRV[1]]["detail"].startswith(f"a.example.net:{port} (priority 10, weight 0), gone.example.net:5222 (")
    assert found["addresses a.example.net"]["status"] == "ok"
    # It is not what keeps the domain from being reached, and it should go.
    assert found["addresses gone.example.net"]["status"] == "warn"
    assert first_failure(outcome) == ("tcp", f"{HOST}:{port}", f"refused (a.example.net:{port}, STARTTLS)")


async def test_one_service_that_cannot_be_looked_up_is_a_warning_when_the_other_one_leads_on(program: Program) -> None:
    with refused() as port:
        zone = {DIRECT: Fails("SERVFAIL"), STARTTLS: [f"0 0 {port} a.example.net"], "A a.example.net": [HOST]}
        found = told(await examine(program, zone, DOMAIN))
    assert found[SRV[0]]["status"] == "warn"
    assert found[SRV[1]]["status"] == "ok"


async def test_a_service_that_the_domain_rules_out_is_no_fault_beside_the_other(program: Program) -> None:
    with refused() as port:
        zone = {DIRECT: ["0 0 0 ."], STARTTLS: [f"0 0 {port} a.example.net"], "A a.example.net": [HOST]}
        found = told(await examine(program, zone, DOMAIN))
    assert (found[SRV[0]]["status"], found[SRV[0]]["detail"]) == ("ok", 'is not offered (SRV target ".")')


# ── What is not asked ───────────────────────────────────────────────────────────────────────────────────────────────

NOT_ASKED = [
    (["--host", "127.0.0.1:{port}", DOMAIN], "--host says where to connect", "addresses 127.0.0.1", "it is an address"),
    (["--resolve", f"{DOMAIN}:{{port}}:127.0.0.1", DOMAIN], "--resolve says where to connect", "", ""),
    (["127.0.0.1"], "the domain is an address", "addresses 127.0.0.1", "it is an address"),
    (["[::1]"], "the domain is an address", "addresses ::1", "it is an address"),
    (["localhost"], "the domain is this machine", "addresses localhost", ""),
    (["abc.onion"], "the domain itself, the DNS is not asked for it", "addresses abc.onion", ""),
    (["--proxy", "socks5h://127.0.0.1:{port}", DOMAIN], "the domain itself, the proxy looks it up",
     f"addresses {DOMAIN}", "the proxy looks it up"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reason", "addresses", "known"), NOT_ASKED, ids=[" ".join(n[0]) for n in NOT_ASKED]
)
async def test_what_does_not_apply_is_skipped_with_its_reason_and_not_asked(
    program: Program, arguments: list[str], reason: str, addresses: str, known: str
) -> None:
    with refused() as port:
        async with serving(NameServer()) as names:
            given = [word.format(port=port) for word in arguments]
            outcome = await program.run("--dns", names.place, "doctor", *GIVEN, *given)
            assert [question for question in names.asked if "443" not in question] == []
    found = told(outcome)
    assert [(found[check]["status"], found[check]["detail"]) for check in SRV] == [("skip", reason)] * 2
    if known:
        assert (found[addresses]["status"], found[addresses]["detail"]) == ("skip", known)
    assert outcome.code in (68, 69)


async def test_with_tls_direct_the_other_service_is_not_asked_for(program: Program) -> None:
    async with serving(NameServer()) as names:
        outcome = await program.run("--dns", names.place, "--tls", "direct", "doctor", *GIVEN, DOMAIN)
        assert STARTTLS not in names.asked
    assert told(outcome)[SRV[1]]["detail"] == "--tls direct was given"


async def test_a_proxy_that_refuses_is_the_first_failure(program: Program) -> None:
    async with proxying(ProxyServer("http", fails=403)) as proxy:
        outcome = await program.run("--proxy", proxy.url, "doctor", *GIVEN, DOMAIN)
        assert set(proxy.asked) == {(DOMAIN, 5222)}
    assert (outcome.code, outcome.error["layer"]) == (69, "tcp")
    assert first_failure(outcome)[0] == "tcp"


async def test_a_proxy_that_is_dead_is_the_first_failure(program: Program) -> None:
    with refused() as port:
        outcome = await program.run("--proxy", f"socks5h://{HOST}:{port}", "doctor", *GIVEN, DOMAIN)
    assert (outcome.code, first_failure(outcome)[0]) == (69, "tcp")
    assert "the proxy" in outcome.error["text"]


async def test_a_dry_run_looks_names_up_and_dials_nothing(program: Program) -> None:
    zone = {STARTTLS: ["10 0 5222 a.example.net"], "A a.example.net": [HOST]}
    outcome = await examine(program, zone, DOMAIN, "-n")
    assert outcome.code == 0
    statuses = [record["status"] for record in outcome.records if record["group"] == "dns"]
    assert statuses == ["ok", "ok", "skip", "ok"]  # this name server checks no signatures
    rest = {(record["status"], record["detail"]) for record in outcome.records if record["group"] != "dns"}
    assert rest == {("skip", "--dry-run opens no connection")}


# ── The command line ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_without_an_account_it_says_what_is_missing(program: Program) -> None:
    outcome = await program.run("doctor")
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (64, "xmppsh: no account is given")


async def test_as_text_a_layer_is_a_row_and_what_was_not_reached_is_counted(program: Program) -> None:
    with refused() as port:
        outcome = await program.run("doctor", DOMAIN, "--host", f"{HOST}:{port}")
    whom, tcp, *unreached, summary = outcome.stdout.splitlines()
    assert whom == DOMAIN
    assert tcp.startswith(f" ✗ tcp     {HOST}:{port}: refused (STARTTLS); try: check --host")
    assert unreached == [
        " · dns: --host says where to connect (4 checks; -v lists them)",
        f" · tls, stream, sasl, bind, session: not reached, because {HOST}:{port} failed (24 checks; -v lists them)",
    ]
    assert re.fullmatch(r"1 failed, 0 warnings, 0 ok, 28 not made in \d\.\d s; exit code 69", summary)
    assert outcome.stderr.startswith(f"xmppsh: {DOMAIN}: no address answers ({HOST}:{port} refused)\n  try: ")


async def test_with_v_each_check_is_one_aligned_line_and_the_verdict_stands_on_stderr(program: Program) -> None:
    with refused() as port:
        outcome = await program.run("doctor", DOMAIN, "--host", f"{HOST}:{port}", "-v")
    lines = outcome.stdout.splitlines()
    assert lines[0] == "dns      skip  SRV _xmpps-client._tcp           --host says where to connect"
    assert lines[4].startswith(f"tcp      fail  {HOST}:{port}".ljust(48) + "refused (STARTTLS); try: ")
    assert lines[-1].startswith("1 failed, ")
    cause, hint = outcome.stderr.splitlines()[-2:]
    assert cause == f"xmppsh: {DOMAIN}: no address answers ({HOST}:{port} refused)"
    assert hint.startswith("  try: ")


async def test_a_monitor_gets_its_own_form_and_the_exit_code_that_it_expects(program: Program) -> None:
    with refused() as port:
        place = f"{HOST}:{port}"
        nagios = await program.run("doctor", DOMAIN, "--host", place, "--format", "nagios")
        metrics = await program.run("doctor", DOMAIN, "--host", place, "--format", "openmetrics")
    assert (nagios.code, nagios.stderr) == (2, "")
    figures = r"time=\d+\.\d{3}s failed=1"
    assert re.fullmatch(rf"XMPP CRITICAL - tcp {place}: refused \(STARTTLS\) \| {figures}\n", nagios.stdout)
    assert metrics.code == 69
    found = {
        sample.name: sample for family in text_string_to_metric_families(metrics.stdout) for sample in family.samples
    }
    state = found["xmppsh_check_state"]
    assert (state.labels, state.value) == ({"domain": DOMAIN, "layer": "tcp", "check": place}, 2)
    assert found["xmppsh_doctor_code"].value == 69


def test_what_a_server_says_breaks_neither_form() -> None:
    evil = Check("tls", 'names 1.2.3.4:5222 "\\', "warn", "a | b\n# EOF\x1b[31m", value=3)
    lines, code = nagios([evil, Check("tcp", "1.2.3.4:5222", "fail", "refused")], 0.5)
    assert (code, lines[1]) == (2, 'tls names 1.2.3.4:5222 "\\: a / b\\x0a# EOF\\x1b[31m')
    assert lines[0].endswith("| time=0.500s failed=1 certificate_days=3")
    text = "".join(f"{line}\n" for line in openmetrics("example.org", [evil], 0.5, 0))
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert [sample.labels["check"] for sample in samples if "check" in sample.labels] == [evil.check] * 2


async def test_other_commands_have_no_form_for_monitors(program: Program) -> None:
    outcome = await program.run("explain", DOMAIN, "--format", "nagios")
    assert (outcome.code, outcome.stdout) == (64, "")


async def test_a_password_file_that_others_can_read_is_refused_before_anything_is_dialled(
    program: Program, tmp_path: Any
) -> None:
    (tmp_path / "secret").write_text("x\n")
    (tmp_path / "secret").chmod(0o644)
    outcome = await program.run("--password-file", str(tmp_path / "secret"), "doctor", f"juliet@{DOMAIN}")
    assert (outcome.code, outcome.stdout) == (78, "")


async def test_the_tls_off_rule_holds_here_too(program: Program) -> None:
    outcome = await program.run("--host", "192.0.2.1", "--tls", "off", "doctor", DOMAIN)
    assert (outcome.code, outcome.stdout) == (64, "")


async def test_a_closed_stdout_ends_it_quietly(program: Program) -> None:
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(serving(NameServer(otherwise=Silent())))
        process = await program.start("--dns", names.place, "--connect-timeout", "1", "doctor", DOMAIN)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]
        stderr = await process.stderr.read()
        assert (await process.wait(), stderr) == (0, b"")
