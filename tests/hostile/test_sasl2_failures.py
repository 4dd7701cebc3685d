"""Failures of SASL2 and of FAST tokens by their kind: each condition, each stage, each part of an answer."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from hostile.misbehaviour import (
    SASL2_NS,
    SASL_NS,
    authentication,
    edited,
    features,
    mechanisms,
    sasl2,
    sasl2_success,
)
from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN, USER
from hostile.test_ahead import known
from hostile.test_sasl import CODES
from hostile.test_sasl2 import ACCOUNT, NONE, failure, modern, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from hostile.server import Connection

WORDS = "Words of the server"
PROOF, WHO = r"<additional-data>[^<]*</additional-data>", r"<authorization-identifier>[^<]*</authorization-identifier>"


def refused(condition: str, text: str = "") -> str:
    said = f"<text>{text}</text>" if text else ""
    return failure(f"<{condition} xmlns='{SASL_NS}'/>{said}")


def changed(pattern: str, replacement: str) -> Callable[[Connection, str], str]:
    """The good answer in which something is replaced, once it is a success."""

    def change(_connection: Connection, good: str) -> str:
        found, count = re.subn(pattern, replacement, good)
        assert count == 1 or "<success" not in good, good
        return found

    return change


def by_password(name: str, steps: dict[str, Any], *args: Any, **more: Any) -> Scenario:
    return modern(name, steps, *args, **{"kept": {}, **more})


CONDITIONS = [
    by_password(f"{condition}-to-{step}", {step: refused(condition, WORDS)}, code, "sasl", f"{condition}.*{WORDS}",
                condition, text=True)
    for condition, code in CODES.items()
    for step in ("authenticate", "response")
]  # fmt: skip


@pytest.mark.parametrize("scenario", CONDITIONS, ids=lambda scenario: scenario.name)
def test_a_refusal_says_why_and_is_not_tried_again(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) == 1
        assert b"<auth " not in run.encrypted


def own_proof(connection: Connection, _good: str) -> str:
    """What a server says that does not know the token, and gives us our own proof back."""
    said = re.findall(rb"<initial-response>([^<]*)<", connection.encrypted)[-1]
    return sasl2_success(base64.b64encode(base64.b64decode(said).partition(b"\0")[2]).decode())


def signed_for_ever(connection: Connection, good: str) -> str:
    """The server's proof as a challenge, each time anew."""
    proof = re.search(PROOF, good)
    if proof is not None:
        connection.server_first = proof[0].removeprefix("<additional-data>").removesuffix("</additional-data>")
    return challenge(connection.server_first)


def challenge(data: str) -> str:
    return f"<challenge xmlns='{SASL2_NS}'>{data}</challenge>"


def unproved(name: str, says: str, steps: dict[str, Any], **more: Any) -> Scenario:
    return modern(name, steps, 76, "sasl", says, text=True, **{"kept": {}, **more})


NO_PROOF, NO_BASE64, NO_NAME = "without proving", "not base64", "does not say as whom"
UNPROVED = [
    unproved("success-without-proof", NO_PROOF, {"response": changed(PROOF, "")}),
    unproved("success-with-an-empty-proof", NO_PROOF, {"response": changed(PROOF, "<additional-data/>")}),
    unproved("success-with-a-proof-elsewhere", NO_PROOF,
             {"response": changed("additional-data>([^<]*)</additional-data", r"data>\1</data")}),
    unproved("success-with-another-proof", "its proof is another one",
             {"response": changed(PROOF, "<additional-data>dj1BQUFB</additional-data>")}),
    unproved("success-with-a-proof-that-is-no-base64", NO_BASE64,
             {"response": changed(PROOF, "<additional-data>%%%</additional-data>")}),
    unproved("success-at-once", NO_PROOF, {"authenticate": sasl2_success("dj1BQUFB")}),
    unproved("success-of-nobody", NO_NAME, {"response": changed(WHO, "")}),
    unproved("success-of-what-is-no-name", NO_NAME, {"response": changed(ACCOUNT, "@@/")}),
    unproved("success-of-another-domain", "as juliet@evil", {"response": changed(ACCOUNT, f"{USER}@evil.example")}),
    unproved("success-of-a-longer-domain", "as juliet@", {"response": changed(ACCOUNT, f"{ACCOUNT}.evil.example")}),
    unproved("success-of-the-domain", f"as {DOMAIN}", {"response": changed(ACCOUNT, DOMAIN)}),
    unproved("hash-that-is-empty", "not those that the server says",
             {"authenticate": lambda c, good: sasl2(edited("$", ",h=")(c, good))}),
    unproved("hash-of-a-list-without-ours", "not those that the server says", {
        "authenticate": lambda c, good: sasl2(edited("$", f",h={listed('PLAIN')}")(c, good))}),
    unproved("challenge-that-is-no-base64", NO_BASE64, {"authenticate": challenge("%%%")}),
    unproved("challenge-that-is-empty", "challenge is wrong", {"authenticate": challenge("")}),
    unproved("proof-for-ever", "goes on with challenges", {"response": signed_for_ever}),
    unproved("token-challenged", "knows no challenges", {"authenticate": challenge("cj0=")}, kept=token()),
    unproved("token-proved-by-our-own-proof", NO_PROOF, {"authenticate": own_proof}, kept=token()),
    unproved("token-proof-that-is-no-base64", NO_BASE64, {"authenticate": sasl2_success("%%%")}, kept=token()),
    unproved("token-of-another", "as mallory@", {"authenticate": changed(ACCOUNT, f"mallory@{DOMAIN}")}, kept=token()),
    unproved("token-of-nobody", NO_NAME, {"authenticate": changed(WHO, "")}, kept=token()),
]  # fmt: skip


def listed(*names: str) -> str:
    """XEP-0474: the hash of the mechanisms that were on offer."""
    return base64.b64encode(hashlib.sha256("\x1e".join(sorted(names)).encode()).digest()).decode()


@pytest.mark.parametrize("scenario", UNPROVED, ids=lambda scenario: scenario.name)
def test_a_success_that_proves_nothing_is_none_and_says_what_was_wrong(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) == 1
        assert b"xmpp-bind" not in run.encrypted
        assert b"<auth " not in run.encrypted
    assert outcome.json.error["hint"], "it says nothing to try"


TRUE_LIST = listed("SCRAM-SHA-256")
AGREED = by_password(
    "hash-of-the-true-list",
    {"authenticate": lambda c, good: sasl2(edited("$", f",h={TRUE_LIST}")(c, good))},
    77,
    "sasl",
    "not-authorized",
)


@pytest.mark.parametrize("scenario", [AGREED], ids=lambda scenario: scenario.name)
def test_the_true_list_of_mechanisms_is_believed(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)  # our server has signed a challenge without it, and refuses the answer
    assert b"<response" in outcome.json.encrypted


ONLY_PLAIN = features(authentication("PLAIN"))
BEFORE = known(1, offered=("SCRAM-SHA-256",), tokens=[NONE])
DOWNGRADED = [
    modern("plain-alone-where-it-was-scram", {"features-tls": ONLY_PLAIN, "authenticate": refused("invalid-mechanism")},
           77, "sasl", "is not sent", kept=BEFORE),
    modern("plain-alone-and-the-token-refused", {"features-tls": ONLY_PLAIN, "authenticate": refused("not-authorized")},
           77, "sasl", "is not sent", kept={**BEFORE, **token("another")}),
    modern("scram-too-weak", {"features-tls": features(authentication("PLAIN", "SCRAM-SHA-256")),
           "authenticate": refused("mechanism-too-weak")}, 77, "sasl", "mechanism-too-weak", kept=BEFORE),
    modern("scram-is-none", {"features-tls": features(authentication("PLAIN", "SCRAM-SHA-256")),
           "authenticate": refused("invalid-mechanism")}, 77, "sasl", "is not sent", kept=BEFORE),
]  # fmt: skip


@pytest.mark.parametrize("scenario", DOWNGRADED, ids=lambda scenario: scenario.name)
def test_the_password_itself_is_not_sent_where_a_proof_of_it_was_enough(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert b"PLAIN" not in run.encrypted


PLAIN_BESIDE = {"features-tls": features(mechanisms("SCRAM-SHA-256", "PLAIN") + authentication("PLAIN"))}
BESIDE = [
    by_password("plain-beside-older-scram-at-first", PLAIN_BESIDE),
    modern("plain-beside-older-scram-with-a-token", PLAIN_BESIDE),
    modern("plain-beside-older-scram-where-it-was-better", PLAIN_BESIDE, kept=BEFORE),
]


@pytest.mark.parametrize("scenario", BESIDE, ids=lambda scenario: scenario.name)
def test_where_the_newer_login_has_plain_alone_the_older_one_proves_the_password(
    scenario: Scenario, outcome: Outcome
) -> None:
    check(outcome)
    assert b"PLAIN" not in outcome.json.encrypted
    assert outcome.json.encrypted.count(b'<response xmlns="urn:ietf:params:xml:ns:xmpp-sasl"') == 1
    assert outcome.json.encrypted.count(b"<message") == 1


TASKS = {
    "without-tasks": ("", "something without a name"),
    "of-a-task": ("<tasks><task>TOTP-X</task></tasks>", "TOTP-X"),
    "of-endless-tasks": (f"<tasks>{'<task>T</task>' * 5000}</tasks>", "T, T"),
    "of-an-ugly-task": ("<tasks><task>A&#x9b;31m&#x202e;\nB</task></tasks>", "A"),
}
CONTINUED = [
    by_password(f"{step}-continued-{name}", {step: f"<continue xmlns='{SASL2_NS}'>{inner}</continue>"}, 77, "sasl",
                f"more than the password: {says}", text=True)
    for name, (inner, says) in TASKS.items()
    for step in ("authenticate", "response")
]  # fmt: skip


@pytest.mark.parametrize("scenario", CONTINUED, ids=lambda scenario: scenario.name)
def test_what_is_wanted_beside_the_password_is_told(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) == 1
        assert len(run.err) < 4096


def no_token(answer: str) -> Callable[[Connection, str], str]:
    """A login by token gets this answer, one by password a good one."""
    return lambda connection, good: good if b"<request-token" in connection.encrypted else answer


TOKENS = [
    *(modern(f"token-refused-{condition}", {"authenticate": no_token(refused(condition))}) for condition in CODES),
    modern("token-refused-by-an-unknown-word", {"authenticate": no_token(failure("<x xmlns='urn:x'/>"))}),
    modern("token-expired", {}, kept={name: text.replace("2099", "2001") for name, text in token().items()}),
    *(
        modern(f"token-where-there-is-{name or 'none'}",
               {"features-tls": features(authentication("SCRAM-SHA-256", tokens=name))})
        for name in ("HT-SHA-512-NONE", "HT-SHA-256-EXPR", "")
    ),
]  # fmt: skip


@pytest.mark.parametrize("scenario", TOKENS, ids=lambda scenario: scenario.name)
def test_the_password_lets_in_who_has_no_good_token_any_more(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    run = outcome.json
    assert len(run.first.connections) == 1
    assert run.encrypted.count(b"<response") == 1
    assert run.encrypted.count(b"<message") == 1
    assert (b"<fast" in run.encrypted) is ("refused" in scenario.name)


BOTH = [
    modern(f"both-refused-{condition}", {"authenticate": refused(condition, WORDS)}, code, "sasl",
           f"{condition}.*{WORDS}", condition, text=True)
    for condition, code in CODES.items()
]  # fmt: skip


@pytest.mark.parametrize("scenario", BOTH, ids=lambda scenario: scenario.name)
def test_where_token_and_password_are_refused_it_ends_after_one_of_each(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) == 1
        assert run.encrypted.count(b"<authenticate") == 2


ISSUED = {
    "without-a-secret": "expiry='2099-01-01T00:00:00Z'",
    "with-an-empty-secret": "token='' expiry='2099-01-01T00:00:00Z'",
    "without-an-expiry": "token='s'",
    "with-an-expiry-that-is-none": "token='s' expiry='soon'",
    "that-has-expired": "token='s' expiry='1999-01-01T00:00:00Z'",
    "of-other-characters": "token='a&#10;&quot;&#x2028;&#x9b;' expiry='&#x9b;31m'",
    "of-200-KB": f"token='{'x' * 200_000}' expiry='2099-01-01T00:00:00Z'",
}
NEW = [
    by_password(f"new-token-{name}",
                {"response": changed("</success>", f"<token xmlns='urn:xmpp:fast:0' {facts}/></success>")}, text=True)
    for name, facts in ISSUED.items()
]  # fmt: skip


@pytest.mark.parametrize("scenario", NEW, ids=lambda scenario: scenario.name)
def test_a_new_token_of_no_use_costs_nothing(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
