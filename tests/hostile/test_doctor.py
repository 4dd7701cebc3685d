"""`doctor` before servers that are broken, one fault a line: its first failure names the layer that is at fault."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.dns import HOST, NameServer, Zone, serving
from support.program import COMMAND, Program

from hostile.certificates import ELSEWHERE, Certificates
from hostile.misbehaviour import (
    BIND,
    CLOSE,
    CUT,
    SILENCE,
    SKIP,
    Spec,
    features,
    mechanisms,
    sasl_failure,
    see_other_host,
    stanza_error,
    stream_error,
)
from hostile.scenario import Outcome, Run, Scenario, check
from hostile.server import DOMAIN, PASSWORD, USER, Server

GROUPS = ["dns", "tcp", "tls", "stream", "sasl", "bind", "session"]
PLACE = r"127\.0\.0\.1:\d+"
DOCTOR = ("doctor",)
SHORT: dict[str, Any] = {"connect_s": 4.0, "within_s": 6.0}
DIRECT: dict[str, Any] = {"options": ("--tls", "direct")}
SM = "<sm xmlns='urn:xmpp:sm:3'/>"


def broken(
    name: str, group: str, first: str, code: int, steps: Any = None, layer: str = "", **more: Any
) -> tuple[Scenario, str, str]:
    """A fault; the check `first` of `group` is the first that fails."""
    return Scenario(f"doctor-{name}", steps or {}, code, layer or group, command=DOCTOR, **more), group, first


def records(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.out.splitlines()]


def statuses(run: Run, status: str) -> list[str]:
    return [found["check"] for found in records(run) if found["status"] == status]


BROKEN = [
    broken("refused", "tcp", "", 69, listens=False, footer=False, says="refused"),
    broken("black-hole", "tcp", "", 69, fills_backlog=True, footer=False, says="timed out", **SHORT),
    broken("expired", "tls", "expiry ", 76, tls="expired", footer=False, says="has expired on 20"),
    broken("not-yet-valid", "tls", "expiry ", 76, tls="not-yet-valid", footer=False, says="not valid yet before 20"),
    broken("wrong-name", "tls", "names ", 76, tls="wrong-name", footer=False, says=f"for {ELSEWHERE}, not {DOMAIN}"),
    broken("unknown-authority", "tls", "chain ", 76, tls="wrong-ca", footer=False, says="not signed by an authority"),
    broken("self-signed", "tls", "chain ", 76, tls="self-signed", footer=False, says="self.signed"),
    broken("another-pin", "tls", "chain ", 76, options=("--pin", "sha256:" + "0" * 64), footer=False,
           says="not the pinned one"),
    broken("tls-1.1", "tls", "handshake ", 76, tls="tls-1.1", footer=False, says="takes no TLS 1.2 or newer"),
    broken("no-starttls", "tls", "handshake ", 76, {"features": features("")}, says="no STARTTLS"),
    broken("starttls-refused", "tls", "handshake ", 76,
           {"starttls": "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"}, says="refuses STARTTLS"),
    broken("starttls-at-a-direct-port", "tls", "handshake ", 76, direct=True, footer=False,
           says="is a port for direct TLS", options=("--tls", "starttls"), **SHORT),
    broken("direct-at-a-starttls-port", "tls", "handshake ", 76, says="is a port for STARTTLS", footer=False,
           **DIRECT),
    broken("tls-silent", "tls", "handshake ", 75, {"tls": SILENCE}, footer=False, says="TLS handshake", **SHORT),
    broken("tls-cut", "tls", "handshake ", 69, {"tls": CUT}, footer=False),
    broken("silent", "stream", "header ", 75, {"header": SILENCE}, says="does not answer", **SHORT),
    broken("no-xmpp", "stream", "header ", 76, {"header": ("HTTP/1.1 400 Bad Request\r\n\r\n", SILENCE)}),
    broken("closes", "stream", "header ", 69, {"accept": CLOSE}, layer="tcp", footer=False),
    broken("silent-under-tls", "stream", "header ", 75, {"header-tls": SILENCE}, says="after the TLS", **SHORT),
    broken("no-features", "stream", "features ", 75, {"features-tls": SKIP}, says="falls silent", **SHORT),
    broken("no-mechanisms", "sasl", "mechanisms ", 76, {"features-tls": features("")}, says="no SASL mechanisms"),
    broken("foreign-mechanisms", "sasl", "mechanisms ", 77, {"features-tls": features(mechanisms("X-TOKEN"))},
           says="no login that xmppsh speaks .*X-TOKEN"),
    broken("foreign-mechanisms-no-password", "sasl", "mechanisms ", 77,
           {"features-tls": features(mechanisms("X-TOKEN"))}, env={"XMPPSH_PASSWORD": ""}, says="no login that xmppsh"),
    broken("wrong-password", "sasl", "login", 77, env={"XMPPSH_PASSWORD": "wrong"}, says="not-authorized"),
    broken("account-disabled", "sasl", "login", 77, {"auth": sasl_failure("account-disabled")}),
    broken("silent-login", "sasl", "login", 75, {"auth": SILENCE}, layer="stream", says="login", **SHORT),
    broken("redirected-to-a-dead-port", "sasl", "login", 69, {"features-auth": see_other_host("127.0.0.1:{other}")},
           layer="tcp", second=Spec(listens=False),
           says=rf"{DOMAIN} redirects to 127\.0\.0\.1:\d+: no address answers \(127\.0\.0\.1:\d+ refused"),
    broken("redirected-to-a-black-hole", "sasl", "login", 69, {"bind": see_other_host("127.0.0.1:{other}")},
           layer="tcp", second=Spec(fills_backlog=True), says="timed out", **SHORT),
    broken("redirected-to-no-name", "sasl", "login", 68, {"features-auth": see_other_host("other.onion:5222")},
           layer="dns", says=rf"{DOMAIN} redirects to other\.onion:5222: other\.onion exists only in Tor"),
    broken("redirected-to-no-address", "sasl", "login", 76, {"features-auth": see_other_host("not a host")},
           layer="stream", condition="see-other-host", says="redirects to what is not an address"),
    broken("no-bind", "bind", "resource", 76, {"features-auth": features(SM)}, says="no resource binding"),
    broken("bind-refused", "bind", "resource", 77,
           {"bind": f"<iq type='error' id='{{id}}'>{stanza_error('not-allowed')}</iq>"}, says="not-allowed"),
    broken("bind-silent", "bind", "resource", 75, {"bind": SILENCE}, layer="stream", says="binding", **SHORT),
    broken("bind-cut", "bind", "resource", 69, {"bind": CUT}, layer="tcp", footer=False),
    broken("no-stream-management", "session", "stream management", 76, {"features-auth": features(BIND)},
           layer="stream", says="no stream management"),
    broken("enable-refused", "session", "stream management", 76, {"enable": "<failed xmlns='urn:xmpp:sm:3'/>"},
           layer="stream", says="no stream management"),
    broken("enable-silent", "session", "stream management", 75, {"enable": SILENCE}, layer="stream",
           says="stream management", **SHORT),
    broken("requests-silent", "session", "carbons", 75, {"iq": SKIP}, layer="stanza", says="did not answer",
           answer_s=1.0),
    broken("requests-cut", "session", "carbons", 69, {"iq": CLOSE}, layer="tcp", footer=False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "group", "first"), BROKEN, ids=[scenario.name for scenario, _group, _first in BROKEN]
)
def test_the_first_failure_names_the_fault(scenario: Scenario, group: str, first: str, outcome: Outcome) -> None:
    check(outcome)
    found = records(outcome.json)
    failed = next(one for one in found if one["status"] == "fail")
    assert failed["group"] == group
    assert re.fullmatch(f"{first}({PLACE})?", failed["check"])
    assert "doctor" not in str(failed["hint"]), "it sends its reader to itself"
    assert all(set(one) == {"group", "check", "status", "detail", "hint", "value"} for one in found)
    order = [GROUPS.index(one["group"]) for one in found]
    assert order == sorted(order), "the groups are out of order"
    assert set(order) == set(range(7)), "a group is missing"
    # What stands behind a failure is not made, and says why; what stands before it is not at fault.
    behind = [one for one in found if GROUPS.index(one["group"]) > GROUPS.index(group)]
    assert all(one["status"] == "skip" and one["detail"] for one in behind)
    because = [one for one in behind if one["detail"].startswith("because ")]
    assert group == "session" or because
    assert all(failed["check"] in one["detail"] for one in because if group in ("tls", "sasl", "bind"))
    before = [one for one in found if GROUPS.index(one["group"]) < GROUPS.index(group)]
    assert all(one["status"] in ("ok", "skip") for one in before)


def test_there_are_twelve_broken_set_ups_and_more() -> None:
    assert len(BROKEN) > 12


UNDER_TLS = Scenario("doctor-no-credentials", {}, 0, command=DOCTOR, env={"XMPPSH_PASSWORD": ""})


@pytest.mark.parametrize("scenario", [UNDER_TLS], ids=["no-password"])
def test_without_a_password_it_ends_with_the_mechanisms(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert b"<auth" not in outcome.json.encrypted
    found = {one["check"].partition(" 127")[0]: one for one in records(outcome.json)}
    assert found["mechanisms"]["detail"] == "PLAIN, SCRAM-SHA-256"
    assert found["choice"]["detail"] == "SCRAM-SHA-256"
    for name in ("login", "resource", "stream management", "carbons", "clock"):
        assert (found[name]["status"], found[name]["detail"]) == ("skip", "no password is given")


WARNED = [
    (Scenario("doctor-only-plain", {"features-tls": features(mechanisms("PLAIN"))}, 0, command=DOCTOR),
     "mechanisms ", "only PLAIN"),
    (Scenario("doctor-insecure", {}, 0, command=DOCTOR, tls="self-signed", options=("--insecure",)),
     "chain ", "not checked"),
    (Scenario("doctor-insecure-wrong-name", {}, 0, command=DOCTOR, tls="wrong-name", options=("--insecure",)),
     "names ", f"certificate is for {ELSEWHERE}, not {DOMAIN}"),
    (Scenario("doctor-no-resumption", {"enable": "<enabled xmlns='urn:xmpp:sm:3'/>"}, 0, command=DOCTOR),
     "stream management", "cannot be resumed"),
    (Scenario("doctor-first-host-dead", {}, 0, command=DOCTOR, listens=False, second=Spec(),
              hosts=("127.0.0.1:{port}", "127.0.0.1:{other}")), "", "refused"),
    (Scenario("doctor-clock", {"iq": "<iq type='result' id='{id}' from='{to}'><time xmlns='urn:xmpp:time'>"
                                     "<utc>2001-02-03T04:05:06Z</utc></time></iq>"}, 0, command=DOCTOR),
     "clock", "behind this machine's"),
    (Scenario("doctor-nothing-offered",
              {"iq": f"<iq type='error' id='{{id}}' from='{{to}}'>{stanza_error('service-unavailable')}</iq>"}, 0,
              command=DOCTOR),
     "carbons", "does not offer it"),
    (Scenario("doctor-redirected", {"features-auth": see_other_host("127.0.0.1:{other}")}, 0, command=DOCTOR,
              second=Spec()), "login", "the server redirects to 127.0.0.1:"),
]  # fmt: skip


@pytest.mark.parametrize(("scenario", "first", "says"), WARNED, ids=[line[0].name for line in WARNED])
def test_what_works_and_could_be_better_is_a_warning(
    scenario: Scenario, first: str, says: str, outcome: Outcome
) -> None:
    check(outcome)
    found = records(outcome.json)
    warned = [one for one in found if one["status"] == "warn" and one["check"].startswith(first)]
    assert warned, found
    assert says in warned[0]["detail"]
    assert "fail" not in [one["status"] for one in found]


# What stands behind `try:` is something to do; why it matters stands in the detail.
HINTED = [
    (Scenario("hint-only-plain", {"features-tls": features(mechanisms("PLAIN"))}, 0, command=DOCTOR),
     "mechanisms ", "only PLAIN: with PLAIN the server sees the password itself", "switch SCRAM on at the server"),
    (Scenario("hint-foreign-mechanisms", {"features-tls": features(mechanisms("X-TOKEN"))}, 77, "sasl",
              command=DOCTOR),
     "mechanisms ", "X-TOKEN", "switch one of these on at the server: EXTERNAL, .*PLAIN"),
    (Scenario("hint-no-stream-management", {"features-auth": features(BIND)}, command=DOCTOR),
     "stream management", "acks are pings, and a cut session is lost", "switch XEP-0198 on at the server"),
    (Scenario("hint-no-resumption", {"enable": "<enabled xmlns='urn:xmpp:sm:3'/>"}, 0, command=DOCTOR),
     "stream management", "a cut session is lost", "switch resumption on at the server"),
    (Scenario("hint-conflict-at-bind", {"bind": stream_error("conflict") + "</stream:stream>"}, command=DOCTOR),
     "resource", "conflict", "run it again, for another resource"),
    (Scenario("hint-conflict-behind-it", {"iq": stream_error("conflict") + "</stream:stream>"}, command=DOCTOR),
     "carbons", "conflict", "run it again, for another resource"),
]  # fmt: skip


@pytest.mark.parametrize(("scenario", "first", "says", "hint"), HINTED, ids=[scenario.name for scenario, *_ in HINTED])
def test_a_hint_is_something_to_do(scenario: Scenario, first: str, says: str, hint: str, outcome: Outcome) -> None:
    check(outcome)
    found = next(one for one in records(outcome.json) if one["check"].startswith(first))
    assert says in found["detail"]
    assert re.fullmatch(hint, found["hint"]), found
    assert "--jid" not in outcome.json.out + outcome.json.err


REFUSED = [
    Scenario("doctor-what-it-holds", {}, 76, "tls", command=DOCTOR, tls="wrong-name", footer=False),
    Scenario("doctor-what-it-holds-pinned", {}, 76, "tls", command=DOCTOR, footer=False,
             options=("--pin", "sha256:" + "1" * 64)),
]  # fmt: skip


@pytest.mark.parametrize("scenario", REFUSED, ids=lambda scenario: scenario.name)
def test_what_a_refused_certificate_holds_is_told(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    found = {one["check"].partition(" 127")[0]: one for one in records(outcome.json)}
    assert found["handshake"]["status"] == "ok"
    assert "TLSv1" in found["handshake"]["detail"]
    assert (ELSEWHERE if scenario.tls else DOMAIN) in found["names"]["detail"]
    assert re.fullmatch(r"valid until 20\d\d-\d\d-\d\d, (299|300) days left", found["expiry"]["detail"])
    assert b"<auth" not in outcome.json.encrypted + outcome.json.clear


EVIL = "&#x202e;&#x9b;31m&#x1b;"
UGLY = Scenario(
    "doctor-ugly",
    {
        "features-tls": features(mechanisms("SCRAM-SHA-256", "X-\u202e\u009b31m")),
        "iq": "<iq type='error' id='{id}' from='{to}'><error type='cancel'><conflict xmlns="
        "'urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>\u202e\u009b31m"
        "\nsession  ok    all is well</text></error></iq>",
    },
    0,
    command=DOCTOR,
    text=True,
)


@pytest.mark.parametrize("scenario", [UGLY], ids=["ugly"])
def test_what_the_server_says_is_made_visible_and_stays_on_its_line(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert outcome.text is not None
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", outcome.text.out)
    whom, *rows, summary = outcome.text.out.splitlines()
    assert whom.startswith(DOMAIN)
    assert all(re.match(r" [✓!·] (dns|tcp|tls|stream|sasl|bind|session)\b", row) for row in rows)
    assert not any(re.match(".{0,3}session +ok +all is well", row) for row in rows)
    assert re.fullmatch(r"0 failed, \d+ warnings?, \d+ ok, \d+ not made in .* s; exit code 0", summary)


REDIRECTED_TO_A_NAME: list[tuple[Zone, int, str, str]] = [
    ({}, 68, "fail", f"{DOMAIN} redirects to other.example:{{port}}: other.example does not exist"),
    ({"A other.example": [HOST]}, 0, "warn", "the server redirects to other.example:{port}"),
]


@pytest.mark.parametrize(("zone", "code", "status", "says"), REDIRECTED_TO_A_NAME, ids=["missing", "there"])
async def test_a_name_that_the_server_redirects_to_is_looked_up_and_dialled(
    certificates: Certificates, tmp_path: Path, zone: Zone, code: int, status: str, says: str
) -> None:
    redirects = Spec({"features-auth": see_other_host("other.example:{other}")})
    with (
        Server(Spec(), certificates.contexts) as other,
        Server(redirects, certificates.contexts, other.port) as server,
    ):
        program = Program(tmp_path)
        program.env |= {"XMPPSH_CA": str(certificates.ca), "XMPPSH_JID": f"{USER}@{DOMAIN}"}
        program.env |= {"XMPPSH_PASSWORD": PASSWORD, "XMPPSH_FORMAT": "json"}
        async with serving(NameServer(zone)) as names:
            outcome = await program.run("--dns", names.place, "--host", f"{HOST}:{server.port}", "doctor")
    login = next(one for one in outcome.records if one["check"] == "login")
    assert (outcome.code, login["status"]) == (code, status)
    assert login["detail"].startswith(says.format(port=other.port))
    assert code == 0 or outcome.error["layer"] == "dns"
    assert b"".join(bytes(connection.clear) for connection in other.connections) == b"", "it was more than dialled"


@pytest.mark.parametrize(
    ("feature", "status", "says"),
    [
        ("<dialback xmlns='urn:xmpp:features:dialback'/>", "ok", "may prove its name by dialback"),
        (mechanisms("EXTERNAL"), "ok", "by its certificate alone"),
        ("", "warn", "only servers whose certificate is believed"),
    ],
    ids=["dialback", "external", "neither"],
)
async def test_what_other_servers_see_is_examined_where_they_look(
    certificates: Certificates, tmp_path: Path, feature: str, status: str, says: str
) -> None:
    with Server(Spec({"features-tls": features(feature)}), certificates.contexts) as server:
        program = Program(tmp_path)
        program.env |= {"XMPPSH_CA": str(certificates.ca), "XMPPSH_JID": f"{USER}@{DOMAIN}", "XMPPSH_FORMAT": "json"}
        program.env |= {"XMPPSH_PASSWORD": PASSWORD, "XMPPSH_HOST": "127.0.0.1:1"}  # where clients go
        zone = {f"SRV _xmpp-server._tcp.{DOMAIN}": [f"0 0 {server.port} x.example"], "A x.example": [HOST]}
        async with serving(NameServer(zone)) as names:
            outcome = await program.run("--dns", names.place, "doctor", "--s2s")
    assert (outcome.code, outcome.stderr) == (0, "")
    found = next(one for one in outcome.records if one["check"].startswith("dialback"))
    assert (found["status"], found["group"]) == (status, "stream")
    assert says in found["detail"]
    assert {one["group"] for one in outcome.records} == {"dns", "tcp", "tls", "stream"}
    (talk,) = [bytes(one.encrypted) for one in server.connections if one.encrypted]
    assert b'xmlns="jabber:server"' in talk
    assert b"<auth" not in talk


def test_ctrl_c_ends_the_stream_cleanly(certificates: Certificates, tmp_path: Path) -> None:
    with Server(Spec({"iq": SKIP}), certificates.contexts) as server:
        program = Program(tmp_path)
        program.env |= {"XMPPSH_CA": str(certificates.ca), "XMPPSH_JID": f"{USER}@{DOMAIN}"}
        program.env["XMPPSH_PASSWORD"] = PASSWORD
        command = [*COMMAND, "--host", f"127.0.0.1:{server.port}", "doctor", "--format", "json"]
        process = subprocess.Popen(command, env=program.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        while b'"check": "resource"' not in process.stdout.readline():
            pass  # then the requests are on their way
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
        assert (process.returncode, stderr) == (-signal.SIGINT, b"")
    assert server.connections[-1].footer
    assert server.connections[-1].close_notify
