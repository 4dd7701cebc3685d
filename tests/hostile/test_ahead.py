"""A program that writes ahead of the answers (protocol/ahead.py): no gate opens earlier, and a surprise is survived."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from hostile.misbehaviour import CUT, SILENCE, features, mechanisms, sasl_failure, stanza_error
from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN, USER

if TYPE_CHECKING:
    from hostile.misbehaviour import Reply
    from hostile.server import Connection


def known(
    rung: int,
    *,
    acks: bool = True,
    offered: tuple[str, ...] = ("PLAIN", "SCRAM-SHA-256"),
    tokens: list[str] | None = None,
) -> dict[str, str]:
    entry = {
        "seen": time.time(),
        "mechanisms": list(offered),
        "bindings": [],
        "mechanism": offered[-1],
        "acks": acks,
        "max_bytes": 262144,
        "rung": rung,
        "tokens": tokens,
    }
    return {"servers.json": json.dumps({f"{USER}@{DOMAIN}": entry})}


def at_first(reply: Reply) -> Any:
    """On the first connection alone."""
    return lambda connection, good: reply if _is_first(connection) else good


def _is_first(connection: Connection) -> bool:
    return connection.number == 1


GOOD = [
    Scenario("ahead-of-a-good-server", {}, 0, kept=known(1, acks=False)),
    Scenario("ahead-of-a-good-server-by-bytes", {}, 0, kept=known(1, acks=False), chunk=1),
    Scenario("ahead-by-direct-tls", {}, 0, kept=known(1, acks=False), direct=True, options=("--tls", "direct")),
]


@pytest.mark.parametrize("scenario", GOOD, ids=lambda scenario: scenario.name)
def test_a_good_server_is_asked_once(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert len(outcome.json.first.connections) == 1
    assert outcome.json.encrypted.count(b"<message") == 1


OFFENDED = [
    Scenario("ahead-of-a-server-that-hangs-up", {"auth": at_first(CUT)}, 0, kept=known(1)),
    Scenario("ahead-of-a-server-that-falls-silent", {"header-tls": at_first(SILENCE)}, 0, kept=known(1)),
    Scenario("ahead-of-a-server-without-acks", {"features-auth": at_first(features("<bind xmlns="
             "'urn:ietf:params:xml:ns:xmpp-bind'/>"))}, 0, kept=known(1)),
]  # fmt: skip


@pytest.mark.parametrize("scenario", OFFENDED, ids=lambda scenario: scenario.name)
def test_a_server_that_takes_offence_is_taken_step_by_step(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert len(outcome.json.first.connections) == 2
    assert outcome.json.encrypted.count(b"<message") == 1


def refuse_sha_512(_connection: Connection, good: str) -> Reply:
    """The server below speaks SCRAM-SHA-256 and takes any other mechanism at once."""
    return sasl_failure("invalid-mechanism") if "<success" in good else good


CHANGED = Scenario(
    "ahead-of-another-mechanism", {"auth": refuse_sha_512}, 0, kept=known(1, offered=("SCRAM-SHA-512",), acks=False)
)
BIND_ERROR = f"<iq type='error' id='{{id}}'>{stanza_error('conflict')}</iq>"
UNCERTAIN = [  # 75 where the server's answer was there before the stanza had left
    Scenario("stanza-ahead-of-a-refused-bind", {"bind": BIND_ERROR}, (75, 76, 79), kept=known(2),
             layer=("stream", "bind"), says="conflict"),
    Scenario("stanza-ahead-of-another-address", {}, (75, 79), kept=known(2), says="another address"),
    Scenario("stanza-ahead-of-a-cut", {"features-auth": CUT}, (69, 79), kept=known(2), layer=("stream", "tcp"),
             footer=False),
]  # fmt: skip


@pytest.mark.parametrize("scenario", UNCERTAIN, ids=lambda scenario: scenario.name)
def test_a_stanza_that_went_ahead_is_never_sent_twice(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert len(outcome.json.first.connections) == 1
    assert outcome.json.encrypted.count(b"<message") <= (outcome.json.code == 79)


GATES = [
    Scenario("ahead-without-starttls", {"features": features(mechanisms("PLAIN"))}, layer="tls", says="STARTTLS",
             kept=known(2), footer=False),
    Scenario("ahead-of-another-certificate", {}, layer="tls", tls="wrong-name", kept=known(2), footer=False),
]  # fmt: skip


@pytest.mark.parametrize("scenario", GATES, ids=lambda scenario: scenario.name)
def test_nothing_but_the_request_for_tls_goes_ahead_of_it(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.encrypted == b""
        assert b"juliet" not in run.clear


@pytest.mark.parametrize("scenario", [CHANGED], ids=lambda scenario: scenario.name)
def test_a_login_that_went_ahead_in_vain_is_begun_anew_on_the_same_stream(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert len(outcome.json.first.connections) == 1


DOWNGRADE = Scenario(
    "downgrade-to-plain", {"features-tls": features(mechanisms("PLAIN"))}, 77, "sasl", "the password is not sent",
    kept=known(0),
)  # fmt: skip


@pytest.mark.parametrize("scenario", [DOWNGRADE], ids=lambda scenario: scenario.name)
def test_who_took_scram_does_not_get_the_password(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert b"<auth" not in outcome.json.encrypted
