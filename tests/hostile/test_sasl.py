"""SASL: success counts only after the server has proved that it knows the password; failures say what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hostile.misbehaviour import edited, features, mechanisms, remembered, sasl, sasl_failure
from hostile.scenario import PING, Outcome, Scenario, check

if TYPE_CHECKING:
    from hostile.scenario import Steps

JUNK = "<{}  xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%%%not base64%%%</{}>"


def unproved(name: str, steps: Steps, **more: Any) -> Scenario:
    """A server that does not prove itself: 76, layer sasl."""
    return Scenario(name, steps, **{"layer": "sasl", **more})


UNPROVED = [
    unproved("success-before-challenge", {"auth": sasl("success")}),
    unproved("success-before-challenge-with-signature", {"auth": sasl("success", b"v=AAAA")}),
    unproved("success-before-challenge-with-server-first", {"auth": edited("", "", "success")}),
    unproved("success-without-signature", {"response": sasl("success")}),
    unproved("success-with-wrong-signature", {"response": edited("v=.{6}", "v=AAAAAA")}, text_command=PING),
    unproved("success-with-server-first", {"response": remembered}),
    unproved("success-with-error-data", {"response": sasl("success", b"e=other-error")}),
    unproved("success-with-junk", {"response": JUNK.format("success", "success")}),
    unproved("success-with-bytes-not-utf8", {"response": sasl("success", b"v=\xff\xfe")}),
    unproved("challenge-with-wrong-signature", {"response": edited("v=.{6}", "v=AAAAAA", "challenge")}),
    unproved("challenge-with-wrong-signature-and-success",
             {"response": (edited("v=.{6}", "v=AAAAAA", "challenge"), sasl("success"))}),
    unproved("challenge-after-signature",
             {"response": (edited("", "", "challenge"), edited("", "", "challenge"))}),
    unproved("nonce-not-ours", {"auth": edited("r=.{8}", "r=AAAAAAAA")}),
    unproved("nonce-too-short", {"auth": edited("r=(.{20})[^,]*", r"r=\1")}),
    unproved("iterations-1", {"auth": edited("i=4096", "i=1")}),
    unproved("iterations-4095", {"auth": edited("i=4096", "i=4095")}),
    unproved("iterations-100000000", {"auth": edited("i=4096", "i=100000000")}),
    unproved("iterations-0", {"auth": edited("i=4096", "i=0")}),
    unproved("iterations-negative", {"auth": edited("i=4096", "i=-4096")}),
    unproved("iterations-5000-digits", {"auth": edited("i=4096", "i=" + "9" * 5000)}),
    unproved("salt-junk", {"auth": edited("s=[^,]*", "s=%%%")}),
    unproved("salt-empty", {"auth": edited("s=[^,]*", "s=")}),
    unproved("salt-missing", {"auth": edited("s=[^,]*,", "")}),
    unproved("challenge-with-mandatory-extension", {"auth": edited("^r=", "m=x,r=")}),
    unproved("challenge-empty", {"auth": sasl("challenge")}),
    unproved("challenge-garbage", {"auth": sasl("challenge", b"=,=,,=")}),
    unproved("challenge-one-letter", {"auth": sasl("challenge", b"x")}),
    unproved("challenge-not-base64", {"auth": JUNK.format("challenge", "challenge")}),
    unproved("challenge-bytes-not-utf8", {"auth": sasl("challenge", b"r=\xff")}),
    unproved("challenge-for-plain",
             {"features-tls": features(mechanisms("PLAIN")), "auth": sasl("challenge", b"once more?")}),
]  # fmt: skip


@pytest.mark.parametrize("scenario", UNPROVED, ids=lambda scenario: scenario.name)
def test_a_server_that_does_not_prove_itself_gets_nothing(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert b"xmpp-bind" not in run.encrypted
        assert b"<message" not in run.encrypted
        if scenario.name.startswith(("nonce", "iterations", "salt")):
            assert b"<response" not in run.encrypted, "an answer to a challenge that should have been refused"


@pytest.mark.parametrize(
    "scenario",
    [
        # Ten million rounds are the ceiling: taken (then our server refuses the proof, 77) or given up at the
        # deadline (75), or refused (76); in any case the program ends in bounded time.
        unproved(
            "iterations-10000000",
            {"auth": edited("i=4096", "i=10000000")},
            code=(75, 76, 77),
            layer=("sasl", "stream"),
            connect_s=1.0,
            within_s=1.0,
        ),
    ],
    ids=lambda scenario: scenario.name,
)
def test_iterations_at_the_ceiling_end_in_bounded_time(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


@pytest.mark.parametrize(
    "scenario",
    [
        unproved(f"only-{name.lower()}", {"features-tls": features(mechanisms(name))}, code=77, says=name)
        for name in ("LOGIN", "DIGEST-MD5", "ANONYMOUS", "EXTERNAL", "X-OAUTH2", "SCRAM-SHA-256-PLUS")
    ],
    ids=lambda scenario: scenario.name,
)
def test_only_known_mechanisms_are_used(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert b"<auth" not in run.encrypted


@pytest.mark.parametrize(
    "scenario",
    [
        unproved("offers-very-many", {"features-tls": features(mechanisms(*(f"X-{i:0300}" for i in range(500))))},
                 code=77, says="and 492 more", text=True),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_of_what_a_server_lists_without_end_an_error_repeats_a_few(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.err) < 4096


WORDS = "Words of the server"
CODES: dict[str, Any] = {
    "not-authorized": 77,
    "account-disabled": 77,
    "temporary-auth-failure": 75,
    "credentials-expired": 77,
    "mechanism-too-weak": 77,
    "encryption-required": 77,
    "aborted": (76, 77),  # refused, or an answer to an abort that was never sent
    "malformed-request": (76, 77),
}
FAILURES = [
    Scenario(f"sasl-{condition}{'-to-' + step if step == 'auth' else ''}", {step: sasl_failure(condition, WORDS)},
             code, "sasl", condition=condition, says=f"{condition}.*{WORDS}", text=step == "auth")
    for condition, code in CODES.items()
    for step in ("response", "auth")
    if step == "response" or condition in ("not-authorized", "account-disabled", "temporary-auth-failure")
]  # fmt: skip
FAILURES += [
    Scenario("sasl-failure-empty", {"response": "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"}, 77, "sasl"),
    Scenario("sasl-failure-with-escapes", {"response": sasl_failure("not-authorized", "a&#x9b;31mb\nc&#x202e;d")},
             77, "sasl", condition="not-authorized", text=True),
]  # fmt: skip


@pytest.mark.parametrize("scenario", FAILURES, ids=lambda scenario: scenario.name)
def test_a_refused_login_says_why(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) == 1, "a refused login was tried again"
