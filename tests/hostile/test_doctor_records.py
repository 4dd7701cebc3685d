"""`doctor` before set-ups that are broken in the DNS or behind it, one a line: one row tells it, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from support.dns import HOST, NameServer, serving
from support.program import Program

from hostile.misbehaviour import CLOSE, SILENCE, Spec, features, mechanisms
from hostile.server import DOMAIN, PASSWORD, USER, Server

if TYPE_CHECKING:
    from pathlib import Path

    from hostile.certificates import Certificates

CLIENTS, DIRECT = f"SRV _xmpp-client._tcp.{DOMAIN}", f"SRV _xmpps-client._tcp.{DOMAIN}"
SERVERS, SERVERS_DIRECT = f"SRV _xmpp-server._tcp.{DOMAIN}", f"SRV _xmpps-server._tcp.{DOMAIN}"
HERE, DEAD = "0 0 {port} x.example", "0 0 1 x.example"
FAIL, WARN, S2S = "fail", "warn", ("--s2s",)
RUNS, LISTEN = "check that the server runs", "let the server listen there, or take the address out of the DNS"
RENEW, RENAME = "ask the server's operator to renew it", "ask the server's operator for one with that name"
PORT, SWITCH = "is the port right", "its operator must switch STARTTLS on"


def setup(
    records: dict[str, list[str]], status: str, group: str, detail: str, hint: str, spec: Any = None, *options: str
) -> tuple[Any, ...]:
    return {"A x.example": [HOST], **records}, spec or Spec(), options, status, group, detail, hint


HTTP, SSH = ("HTTP/1.1 400 Bad Request\r\n\r\n", CLOSE), ("SSH-2.0-OpenSSH_9.2\r\n", SILENCE)
EXPIRED, ELSEWHERE = Spec(certificate="expired"), Spec(certificate="wrong-name")
NO_STARTTLS, OF_HOST = Spec({"features": features("")}), Spec(certificate="dialled-host")
SETUPS = {
    "expired": setup({CLIENTS: [HERE]}, FAIL, "tls", "has expired on", RENEW, EXPIRED),
    "wrong-name": setup({CLIENTS: [HERE]}, FAIL, "tls", f"not {DOMAIN}", RENAME, ELSEWHERE),
    "name-of-the-host": setup({CLIENTS: [HERE]}, FAIL, "tls", f"for localhost, .*not {DOMAIN}", RENAME, OF_HOST),
    "no-starttls": setup({CLIENTS: [HERE]}, FAIL, "tls", "offers no STARTTLS", f"HOST:5223.*{SWITCH}", NO_STARTTLS),
    "direct-at-starttls": setup({DIRECT: [HERE]}, FAIL, "tls", "is a port for STARTTLS", "_xmpp-client._tcp that"),
    "starttls-at-direct": setup(
        {CLIENTS: [HERE]}, FAIL, "tls", "is a port for direct TLS", "_xmpps-client._tcp that", Spec(direct=True)),
    "to-no-name": setup({CLIENTS: ["0 0 5222 gone.example"]}, FAIL, "dns", "gone.example does not exist", "operator"),
    "to-a-dead-port": setup({CLIENTS: [DEAD]}, FAIL, "tcp", "refused", RUNS),
    "port-0": setup({CLIENTS: ["0 0 0 x.example"]}, FAIL, "dns", "names what nobody could dial", "--host"),
    "not-offered": setup({CLIENTS: ["0 0 0 ."]}, FAIL, "dns", "is not offered", "--host"),
    "first-dead": setup({CLIENTS: [DEAD, HERE.replace("0", "1", 1)]}, WARN, "tcp", "127.0.0.1:1|refused", LISTEN),
    "IPv6-refused": setup({CLIENTS: [HERE], "AAAA x.example": ["::1"]}, WARN, "tcp", "refused", LISTEN),
    "IPv6-alone-refused": setup(
        {CLIENTS: [HERE], "A x.example": [], "AAAA x.example": ["::1"]}, FAIL, "tcp", "refused", RUNS),
    "no-records": setup({}, FAIL, "dns", f"{DOMAIN} does not exist", "spelling"),
    "HTTP": setup({CLIENTS: [HERE]}, FAIL, "stream", "does not speak XMPP: .*HTTP", PORT, Spec({"accept": HTTP})),
    "SSH": setup({CLIENTS: [HERE]}, FAIL, "stream", "does not speak XMPP: .*SSH", PORT, Spec({"accept": SSH})),
    "SHA-1-alone": setup(
        {CLIENTS: [HERE]}, WARN, "sasl", "SHA-1 alone", "switch SCRAM-SHA-256 on",
        Spec({"features-tls": features(mechanisms("SCRAM-SHA-1"))})),
    "s2s-closed": setup({SERVERS: [DEAD]}, FAIL, "tcp", "refused", RUNS, None, *S2S),
    "s2s-not-offered": setup({SERVERS: ["0 0 0 ."]}, FAIL, "dns", "is not offered", "--host", None, *S2S),
    "s2s-expired": setup({SERVERS: [HERE]}, FAIL, "tls", "has expired on", RENEW, EXPIRED, *S2S),
    "s2s-wrong-name": setup({SERVERS: [HERE]}, FAIL, "tls", f"not {DOMAIN}", RENAME, ELSEWHERE, *S2S),
    "s2s-no-starttls": setup({SERVERS: [HERE]}, FAIL, "tls", "offers no STARTTLS", f"^{SWITCH}", NO_STARTTLS, *S2S),
    "s2s-direct-dead": setup({SERVERS_DIRECT: [DEAD], SERVERS: [HERE]}, WARN, "tcp", "refused", LISTEN, None, *S2S),
    "s2s-HTTP": setup({SERVERS: [HERE]}, FAIL, "stream", "not speak XMPP", PORT, Spec({"accept": HTTP}), *S2S),
}  # fmt: skip


@pytest.mark.parametrize("name", SETUPS)
async def test_a_broken_set_up_is_told_by_one_row_with_what_to_do(
    certificates: Certificates, tmp_path: Path, name: str
) -> None:
    records, spec, options, status, group, detail, hint = SETUPS[name]
    with Server(spec, certificates.contexts) as server:
        zone = {key: [one.format(port=server.port) for one in found] for key, found in records.items()}
        program = Program(tmp_path)
        program.env |= {"XMPPSH_CA": str(certificates.ca), "XMPPSH_JID": f"{USER}@{DOMAIN}", "XMPPSH_FORMAT": "json"}
        program.env |= {"XMPPSH_PASSWORD": "" if status == WARN else PASSWORD}
        async with serving(NameServer(zone)) as names:
            outcome = await program.run("--dns", names.place, "doctor", *options)
    of_group = [one for one in outcome.records if (one["status"], one["group"]) == (status, group)]
    matching = [one for one in of_group if re.search(detail, one["detail"])]
    assert len(matching) == 1, outcome.stdout + outcome.stderr
    (found,) = matching
    assert re.search(hint, found["hint"]), found
    failed = [one for one in outcome.records if one["status"] == FAIL]
    assert failed == ([found] if status == FAIL else [])
    assert (outcome.code != 0) is (status == FAIL)
