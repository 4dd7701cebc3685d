"""`doctor` on DNSSEC and DANE: what the name server says of the signatures, and what becomes of TLSA records."""

from pathlib import Path
from typing import Any

import pytest
from support.dns import HOST, NameServer, serving
from support.program import Outcome, Program

from hostile.certificates import Certificates
from hostile.misbehaviour import Spec
from hostile.server import DOMAIN, Server

FITTING, STRANGE = "3 0 1 {sha256}", "3 1 1 " + "00" * 32
TARGET = "a.example.net"
SIGNED, UNSIGNED = {"checks": True, "signed": ""}, {"checks": True}
SECURE, INSECURE = "secure (signed, and", "insecure (not signed, says"
FITS = "the certificate fits ("
Row = tuple[str, str]
CASES: list[tuple[str, list[str], dict[str, Any], Row, Row]] = [
    ("all signed", [STRANGE, FITTING], SIGNED, ("ok", SECURE), ("ok", FITS)),
    ("another key", [STRANGE], SIGNED, ("ok", SECURE), ("warn", "the certificate fits none of the records")),
    ("no record", [], SIGNED, ("ok", SECURE), ("skip", "there is none (_")),
    ("not signed", [FITTING], UNSIGNED, ("ok", INSECURE), ("warn", "nobody may rely on it")),
    ("the target alone", [FITTING], {"checks": True, "signed": TARGET}, ("ok", INSECURE),
     ("warn", "the SRV records are insecure")),
    ("not checked", [FITTING], {"signed": ""}, ("skip", "unknown ("), ("ok", FITS)),
    ("wrong signatures", [FITTING], {**SIGNED, "forged": f"_tcp.{TARGET}"}, ("ok", SECURE), ("warn", "bogus (")),
]  # fmt: skip


@pytest.mark.parametrize(("records", "server", "dnssec", "tlsa"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
async def test_it_says_what_is_signed_and_whether_the_certificate_fits(
    certificates: Certificates, tmp_path: Path, records: list[str], server: dict[str, Any], dnssec: Row, tlsa: Row
) -> None:
    with Server(Spec(), certificates.contexts) as hostile:
        program = Program(tmp_path)
        program.env |= {"XMPPSH_CA": str(certificates.ca), "XMPPSH_FORMAT": "json"}
        published = [record.format(sha256=certificates.sha256["good"]) for record in records]
        zone = {
            f"SRV _xmpp-client._tcp.{DOMAIN}": [f"0 0 {hostile.port} {TARGET}"],
            f"A {TARGET}": [HOST],
            f"TLSA _{hostile.port}._tcp.{TARGET}": published,
        }
        async with serving(NameServer(zone, **server)) as names:
            outcome = await program.run("--dns", names.place, "doctor", DOMAIN)
    assert outcome.code == 0
    for check, (status, says) in {"DNSSEC": dnssec, "TLSA": tlsa}.items():
        found = row(outcome, check)
        assert found["status"] == status, found
        assert says in found["detail"], found


def row(outcome: Outcome, check: str) -> dict[str, Any]:
    return next(one for one in outcome.records if one["check"].partition(" ")[0] == check)


async def test_a_domain_whose_signatures_are_wrong_is_told_so(tmp_path: Path) -> None:
    program = Program(tmp_path)
    zone = {f"SRV _xmpp-client._tcp.{DOMAIN}": [f"0 0 5222 {TARGET}"]}
    async with serving(NameServer(zone, checks=True, forged=DOMAIN)) as names:
        outcome = await program.run("--dns", names.place, "doctor", DOMAIN, "--format", "json")
    assert outcome.code == 75
    assert row(outcome, "DNSSEC")["status"] == "warn"
    assert row(outcome, "DNSSEC")["detail"].startswith("bogus (")
