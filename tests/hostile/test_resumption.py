"""A session that is cut, and a server that lies when it is resumed."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest

from hostile.misbehaviour import (
    BIND,
    CANARY,
    RESET,
    SILENCE,
    SKIP,
    Spec,
    features,
    first_only,
    mechanisms,
    see_other_host,
)
from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN, SM, USER
from xmppsh.protocol.backoff import FIRST_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from hostile.misbehaviour import Reply
    from hostile.server import Connection

LISTENING = ("listen", "-C", "1", "-W", "15")  # each ends by an error, or by a message
ENABLED = f"<enabled xmlns='{SM}' id='ours' resume='true' max='60'/>"
MESSAGE = f"<message from='mallory@evil.example' type='chat'><body>{CANARY}</body></message>"
CUT_ONCE: dict[str, Any] = {"enable": ENABLED, "r": first_only(("{good}", RESET))}
GOOD = "<message from='romeo@example.net/o' type='chat'><body>back</body></message>"
WAY: dict[str, Any] = {
    "command": LISTENING,
    "within_s": 21.0,
    "footer": False,
    "layer": ("stream", "tcp", "tls", "stanza"),
}


def later(reply: Reply) -> Callable[[Connection, str], Reply]:
    """Misbehave from the second connection on."""
    return lambda connection, good: good if connection.number == 1 else reply


HEALED = {**CUT_ONCE, "presence": later(GOOD)}  # a new session has a message for us


def resumed(name: str, answer: str, code: int | tuple[int, ...] = 76, says: str = "") -> Scenario:
    """What is answered to `<resume/>`, with a message behind it."""
    return Scenario(f"resumed-{name}", {**CUT_ONCE, "resume": (answer + MESSAGE, SILENCE)}, code, says=says, **WAY)


LIES = [
    resumed("as-another", f"<resumed xmlns='{SM}' previd='theirs' h='0'/>"),
    resumed("with-too-much", f"<resumed xmlns='{SM}' previd='ours' h='99'/>"),
    resumed("with-less-than-before", f"<resumed xmlns='{SM}' previd='ours' h='1'/>",
            says=r"acknowledges 1 stanzas where it had acknowledged \d before$"),
    resumed("without-h", f"<resumed xmlns='{SM}' previd='ours'/>"),
    resumed("with-a-count-that-is-none", f"<resumed xmlns='{SM}' previd='ours' h='4294967296'/>"),
    resumed("with-another-case", f"<resumed xmlns='{SM}' previd='OURS' h='0'/>"),
    resumed("with-an-older-version", "<resumed xmlns='urn:xmpp:sm:2' previd='ours' h='0'/>"),
    resumed("as-a-new-one", f"<enabled xmlns='{SM}' id='theirs' resume='true'/>"),
    resumed("after-a-refusal", f"<failed xmlns='{SM}'/><resumed xmlns='{SM}' previd='ours' h='0'/>"),
    resumed("after-a-message", f"{MESSAGE}<resumed xmlns='{SM}' previd='ours' h='0'/>"),
    resumed("by-a-login", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
]  # fmt: skip


@pytest.mark.parametrize("scenario", LIES, ids=lambda scenario: scenario.name)
def test_a_resumption_of_something_else_is_not_believed(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)  # nothing of the message is shown


def truly_resumed(connection: Connection, _good: str) -> str:
    """The session goes on, with the count of what its former connection had sent."""
    connection.handled = connection.server.connections[0].handled
    return f"<resumed xmlns='{SM}' previd='ours' h='{connection.handled}'/>"


def bound(account: str) -> str:
    """The answer to a request to bind."""
    return f"<iq type='result' id='{{id}}'>{BIND.removesuffix('/>')}><jid>{account}/r1</jid></bind></iq>"


NURSE = f"nurse@{DOMAIN}"
TO_NURSE = f"<message from='romeo@example.net/o' to='{NURSE}/r1' type='chat'><body>good nurse</body></message>"
FORGED = MESSAGE.replace("<message", "<message xmlns='jabber:client'")
COPY = (
    f"<message from='{NURSE}' to='{NURSE}/r1'><received xmlns='urn:xmpp:carbons:2'>"
    f"<forwarded xmlns='urn:xmpp:forward:0'>{FORGED}</forwarded></received></message>"
)
BIND_WAY = {**WAY, "layer": "bind"}


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("bound-as-another-after-a-cut", {**CUT_ONCE, "bind": later(bound(NURSE))}, 76,
                 says=f"^the server has made this session {NURSE}, which was {USER}@{DOMAIN} before$", **BIND_WAY),
        Scenario("bound-as-a-third-after-a-cut", {**CUT_ONCE, "bind": lambda c, _: bound(f"x{c.number}@{DOMAIN}")}, 76,
                 says=f"session x[23]@{DOMAIN}, which was x1@{DOMAIN} before$", **BIND_WAY),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_a_session_does_not_go_on_as_another_account(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert outcome.json.error["hint"]
    assert b"<presence" not in outcome.json.first.connections[-1].encrypted


@pytest.mark.parametrize(
    "scenario", [Scenario("bound-as-another-all-the-time", {**HEALED, "bind": bound(NURSE)}, 0, **WAY)]
)
def test_whom_the_server_calls_otherwise_logs_in_under_his_own_name_again(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    *_, last = outcome.json.first.connections
    said = bytes(last.encrypted).partition(b"<auth ")[2].partition(b">")[2].partition(b"<")[0]
    assert f"n={USER}," in b64decode(said).decode()


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(
            "resumed-for-another",
            {**CUT_ONCE, "resume": (truly_resumed, TO_NURSE + COPY)},
            0,
            **{**WAY, "command": ("listen", "-C", "2", "-W", "15")},
        )
    ],
)
def test_what_is_for_another_account_says_so_and_its_copies_are_no_copies_of_ours(
    scenario: Scenario, outcome: Outcome
) -> None:
    check(outcome)
    first, second = map(json.loads, outcome.json.out.splitlines())
    assert (first["to"], first["body"]) == (f"{NURSE}/r1", "good nurse")
    assert (second["from"], second["carbon"], second["body"]) == (NURSE, None, None)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("certificate-changes", CUT_ONCE, 76, later_tls="wrong-ca", **WAY),
        *(
            Scenario(f"certificate-becomes-{kind}", CUT_ONCE, 76, later_tls=kind, **WAY)
            for kind in ("wrong-name", "dialled-host", "expired", "not-yet-valid", "self-signed", "tls-1.1")
        ),
    ],
    ids=lambda scenario: scenario.name,
)
def test_a_certificate_that_changes_gets_neither_the_password_nor_the_session(
    scenario: Scenario, outcome: Outcome
) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) > 1
        assert all(bytes(connection.encrypted) == b"" for connection in run.first.connections[1:])


def location(where: str) -> dict[str, Any]:
    """The server wants to be resumed there (XEP-0198 §3), and cuts the link once."""
    return {**HEALED, "enable": ENABLED.replace("/>", f" location='{where}'/>")}


ELSEWHERE = location("127.0.0.1:{other}")
PLACES = {
    "nowhere": "", "junk": "not a host at all", "a-url": "https://evil.example/", "half-an-address": "[::1",
    "a-port-too-high": "127.0.0.1:99999", "a-control-character": "evil&#x9b;2Jexample:5222", "70-KB": "a" * 70_000,
}  # fmt: skip


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("location-of-a-stranger", ELSEWHERE, 0, second=Spec(certificate="wrong-ca"), **WAY),
        Scenario("location-of-another-name", ELSEWHERE, 0, second=Spec(certificate="wrong-name"), **WAY),
        Scenario("location-that-is-dead", ELSEWHERE, 0, second=Spec(listens=False), **WAY),
        Scenario("location-of-mail", ELSEWHERE, 0, second=Spec({"accept": "220 mail\r\n"}), **WAY),
        Scenario("location-that-is-silent", ELSEWHERE, 0, second=Spec({"accept": SILENCE}), **WAY),
        Scenario("location-without-tls", ELSEWHERE, 0,
                 second=Spec({"features": features(mechanisms("PLAIN"))}), **WAY),
        Scenario("location-of-itself", location("127.0.0.1:{port}"), 0, **WAY),
        *(Scenario(f"location-that-is-{name}", location(place), 0, **WAY) for name, place in PLACES.items()),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_a_location_elsewhere_must_prove_the_domain_and_else_the_way_is_the_usual_one(
    scenario: Scenario, outcome: Outcome
) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) > 1
        assert all(bytes(connection.encrypted) == b"" for connection in run.second.connections)


TO_AND_FRO = {**ELSEWHERE, "presence": SKIP, "r": ("{good}", RESET)}
REDIRECTING = Spec({"features-auth": see_other_host("127.0.0.1:{other}")})


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("location-to-and-fro", TO_AND_FRO, (0, 69, 75), second=Spec(TO_AND_FRO),
                 **{**WAY, "command": ("listen", "-W", "2")}),
        Scenario("location-that-redirects-in-a-circle", ELSEWHERE, 76, condition="see-other-host",
                 second=Spec({"features-auth": see_other_host("127.0.0.1:{port}")}), **WAY),
        Scenario("redirect-in-a-circle-after-a-cut",
                 {**CUT_ONCE, "features-auth": later(see_other_host("127.0.0.1:{other}"))}, 76,
                 condition="see-other-host", second=REDIRECTING, **WAY),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_no_circle_is_followed_without_a_pause_or_without_an_end(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    connections = len(outcome.json.first.connections) + len(outcome.json.second.connections)
    shortest_pause_s, listens_s = FIRST_S / 2, 2.0  # a machine that is fast spends its time in pauses alone
    assert connections <= 2 * (listens_s / shortest_pause_s + 1)  # a place, and then the usual way
