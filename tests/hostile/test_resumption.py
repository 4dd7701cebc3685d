"""A session that is cut, and a server that lies when it is resumed."""

from typing import Any

import pytest

from hostile.misbehaviour import CANARY, RESET, SILENCE, Spec, first_only
from hostile.scenario import Outcome, Scenario, check
from hostile.server import SM

LISTENING = ("listen", "-W", "2")
ENABLED = f"<enabled xmlns='{SM}' id='ours' resume='true' max='60'/>"
MESSAGE = f"<message from='mallory@evil.example' type='chat'><body>{CANARY}</body></message>"
CUT_ONCE: dict[str, Any] = {"enable": ENABLED, "r": first_only(("{good}", RESET))}
WAY: dict[str, Any] = {"command": LISTENING, "footer": False, "layer": ("stream", "tcp", "tls", "stanza")}


def resumed(name: str, answer: str, code: int | tuple[int, ...] = 76) -> Scenario:
    """What is answered to `<resume/>`, with a message behind it."""
    return Scenario(f"resumed-{name}", {**CUT_ONCE, "resume": (answer + MESSAGE, SILENCE)}, code, **WAY)


LIES = [
    resumed("as-another", f"<resumed xmlns='{SM}' previd='theirs' h='0'/>"),
    resumed("with-too-much", f"<resumed xmlns='{SM}' previd='ours' h='99'/>"),
    resumed("without-h", f"<resumed xmlns='{SM}' previd='ours'/>"),
    resumed("with-a-count-that-is-none", f"<resumed xmlns='{SM}' previd='ours' h='4294967296'/>"),
    resumed("with-another-case", f"<resumed xmlns='{SM}' previd='OURS' h='0'/>"),
    resumed("with-an-older-version", "<resumed xmlns='urn:xmpp:sm:2' previd='ours' h='0'/>"),
    resumed("as-a-new-one", f"<enabled xmlns='{SM}' id='theirs' resume='true'/>"),
    resumed("after-a-refusal", f"<failed xmlns='{SM}'/><resumed xmlns='{SM}' previd='ours' h='0'/>"),
    resumed("after-a-message", f"{MESSAGE}<resumed xmlns='{SM}' previd='ours' h='0'/>"),
    resumed("by-a-login", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
]


@pytest.mark.parametrize("scenario", LIES, ids=lambda scenario: scenario.name)
def test_a_resumption_of_something_else_is_not_believed(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)  # nothing of the message is shown


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


ELSEWHERE: dict[str, Any] = {**CUT_ONCE, "enable": ENABLED.replace("/>", " location='127.0.0.1:{other}'/>")}


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("location-of-a-stranger", ELSEWHERE, (0, 75), second=Spec(certificate="wrong-ca"), **WAY),
        Scenario("location-of-another-name", ELSEWHERE, (0, 75), second=Spec(certificate="wrong-name"), **WAY),
        Scenario("location-that-is-dead", ELSEWHERE, (0, 75), second=Spec(listens=False), **WAY),
    ],
    ids=lambda scenario: scenario.name,
)
def test_a_location_elsewhere_must_prove_the_domain_and_else_the_way_is_the_usual_one(
    scenario: Scenario, outcome: Outcome
) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) > 1
        assert all(bytes(connection.encrypted) == b"" for connection in run.second.connections)
