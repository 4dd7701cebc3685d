"""SASL2 with FAST tokens: a refusal is final, a token's is not; who breaks this login is asked by the older one."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from hostile.misbehaviour import (
    CUT,
    SASL2_NS,
    SILENCE,
    authentication,
    edited,
    features,
    mechanisms,
    sasl2,
    sasl2_success,
    sasl_failure,
)
from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN, PASSWORD, TOKEN, USER
from hostile.test_ahead import at_first, known

if TYPE_CHECKING:
    from hostile.misbehaviour import Reply
    from hostile.server import Connection

ACCOUNT, NONE = f"{USER}@{DOMAIN}", "HT-SHA-256-NONE"


def token(secret: str = TOKEN.decode()) -> dict[str, str]:
    entry = {
        "id": "8b0f0a52-7cb9-4d6e-9e30-7a2f1f4e9d10",
        "mechanism": NONE,
        "token": secret,
        "expiry": "2099-01-01T00:00:00Z",
        "by": "SCRAM-SHA-256",
        "check": hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), secret.encode(), 4096)[:2].hex(),
    }
    return {"tokens.json": json.dumps({ACCOUNT: entry})}


def modern(name: str, steps: dict[str, Reply] | None = None, code: Any = 0, *args: Any, **more: Any) -> Scenario:
    """A server with SASL2 beside the older login, met with a token unless told otherwise."""
    offered = features(mechanisms("SCRAM-SHA-256") + authentication("SCRAM-SHA-256"))
    return Scenario(
        f"sasl2-{name}", {"features-tls": offered, **(steps or {})}, code, *args, **{"kept": token(), **more}
    )


def failure(condition: str) -> str:
    return f"<failure xmlns='{SASL2_NS}'>{condition}</failure>"


def first_refused(connection: Connection, good: str) -> str:
    """Refuse the token without a reason, not the password."""
    return failure("") if b"<fast" in connection.encrypted and b"<request-token" not in connection.encrypted else good


GOOD = [
    modern("password", kept={}),
    modern("token"),
    modern("token-by-bytes", chunk=1, connect_s=10.0, answer_s=10.0, within_s=20.0),
    modern("token-unknown", kept=token("another")),
    modern("token-refused-without-condition", {"authenticate": first_refused}),
]


@pytest.mark.parametrize("scenario", GOOD, ids=lambda scenario: scenario.name)
def test_one_connection_is_enough_also_where_the_token_is_refused(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    run = outcome.json
    assert len(run.first.connections) == 1
    by_token = scenario.name in ("sasl2-token", "sasl2-token-by-bytes")
    assert (b"<response" not in run.encrypted) is by_token
    assert (b"<request-token" not in run.encrypted) is by_token
    assert run.encrypted.count(b"<message") == 1


REFUSED = [
    modern("refused", {"response": sasl2(sasl_failure("not-authorized"))}, 77, "sasl", "not-authorized", kept={}),
    modern("refused-without-condition", {"response": failure("")}, 77, "sasl", kept={}),
    modern("more-than-the-password", {"authenticate": f"<continue xmlns='{SASL2_NS}'><tasks><task>TOTP-X</task></tasks>"
           "</continue>"}, 77, "sasl", "TOTP-X"),
    modern("nobody", {"authenticate": sasl2_success(who="")}, 76, "sasl"),
    modern("another", {"response": sasl2_success(who="mallory@hostile.example")}, 76, "sasl", kept={}),
    modern("no-proof", {"authenticate": sasl2_success()}, 76, "sasl", "knows the token"),
    modern("tampered", {"authenticate": lambda c, good: sasl2(edited("$", ",h=AAAA")(c, good))}, 76, "sasl",
           "not those that the server says", kept={}),
    modern("token-refused-plain-left", {"features-tls": features(authentication("PLAIN"))}, 77, "sasl",
           "the password is not sent", kept=token("another")),
]  # fmt: skip


@pytest.mark.parametrize("scenario", REFUSED, ids=lambda scenario: scenario.name)
def test_a_refusal_and_a_success_that_proves_nothing_are_final(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) == 1
        assert b"xmpp-bind" not in run.encrypted
        assert b"<auth " not in run.encrypted


OFFENDED = [
    modern("hangs-up", {"authenticate": at_first(CUT)}),
    modern("falls-silent", {"authenticate": at_first(SILENCE)}, connect_s=6.0),
    modern("answers-twice", {"authenticate": lambda _, good: good * 2}),
    modern("gone", {"features-tls": features(mechanisms("SCRAM-SHA-256"))},
           kept={**known(1, offered=("SCRAM-SHA-256",), tokens=[NONE]), **token()}),
]  # fmt: skip


@pytest.mark.parametrize("scenario", OFFENDED, ids=lambda scenario: scenario.name)
def test_who_breaks_this_login_is_asked_by_the_older_one(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    run = outcome.json
    assert len(run.first.connections) == 2
    assert b"<auth " in run.encrypted
    assert run.encrypted.count(b"<message") == 1
