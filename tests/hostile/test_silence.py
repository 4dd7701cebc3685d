"""Silence at each step: 75 within the deadline, and the sentence names the step. A dead target costs no connection."""

from typing import Any

import pytest

from hostile.misbehaviour import BIND, CLOSE, SILENCE, SKIP, Spec, features, slowly
from hostile.scenario import PING, SEND, Outcome, Scenario, check
from hostile.server import HEADER

SHORT: dict[str, Any] = {"connect_s": 4.0, "within_s": 4.0}  # also a busy machine comes to each step by then


def silent(name: str, step: str, says: str, **more: Any) -> Scenario:
    """Silence on the way to a session."""
    return Scenario(f"silent-{name}", {step: SILENCE}, 75, ("stream", "tls", "sasl", "bind"), says,
                    text_command=PING, **SHORT, **more)  # fmt: skip


SILENT = [
    silent("at-once", "header", "does not answer|silent"),
    # It has answered, so "does not answer" would be untrue.
    silent("behind-the-header", "features", "(?i)features|header|silent|no more|stops"),
    silent("for-starttls", "starttls", "TLS"),
    silent("in-the-handshake", "tls", "TLS handshake", footer=False),
    silent("behind-the-handshake", "header-tls", "TLS"),
    silent("for-mechanisms", "features-tls", "TLS|login|mechanisms"),
    silent("for-auth", "auth", "login"),
    silent("for-response", "response", "login"),
    silent("behind-the-login", "header-auth", "login"),
    silent("for-bind-feature", "features-auth", "login|bind"),
    silent("for-bind", "bind", "bind"),
    silent("for-enable", "enable", "stream management"),
    Scenario("trickle", {"header": slowly}, 75, footer=False, **SHORT),
    Scenario("trickle-under-tls", {"header-tls": slowly}, 75, ("stream", "tls"), "TLS", footer=False, **SHORT),
    Scenario("trickle-of-spaces", {"header": (HEADER, lambda connection, _: slowly(connection, " " * 100))}, 75,
             footer=False, **SHORT),
]  # fmt: skip


@pytest.mark.parametrize("scenario", SILENT, ids=lambda scenario: scenario.name)
def test_silence_ends_at_the_deadline_and_is_named(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.elapsed_s > scenario.connect_s, "gave up before the deadline"


NO_ACKS = features(BIND)
LIVE: dict[str, Any] = {"answer_s": 1.5, "within_s": 4.5}
UNANSWERED = [
    Scenario("silent-for-ping", {"ping": SKIP}, 75, "stanza", "answer", command=PING, **LIVE),
    Scenario("silent-for-ping-to-a-user", {"ping": SILENCE}, 75, "stanza", "romeo",
             command=("ping", "romeo@hostile.example"), **LIVE),
    # The bytes left, the proof never came: it may have arrived.
    Scenario("silent-for-message", {"message": SILENCE}, 79, command=SEND, **LIVE),
    Scenario("silent-for-ack-request", {"r": SKIP}, 79, command=SEND, **LIVE),
    Scenario("acks-nothing", {"r": "<a xmlns='urn:xmpp:sm:3' h='0'/>"}, 79, command=SEND, **LIVE),
    Scenario("no-acks-and-no-pong", {"features-auth": NO_ACKS, "ping": SKIP}, 79, command=SEND, **LIVE),
    Scenario("no-acks-and-silent", {"features-auth": NO_ACKS, "message": SILENCE}, 79, command=SEND, **LIVE),
    Scenario("enable-failed-and-no-pong", {"enable": "<failed xmlns='urn:xmpp:sm:3'/>", "ping": SKIP}, 79,
             command=SEND, **LIVE),
    Scenario("pong-of-another-id", {"ping": "<iq type='result' id='x{id}'/>"}, 75, "stanza", command=PING, **LIVE),
    Scenario("pong-of-a-stranger", {"ping": "<iq type='result' id='{id}' from='mallory@evil.example'/>"}, 75,
             "stanza", command=PING, **LIVE),
]  # fmt: skip


@pytest.mark.parametrize("scenario", UNANSWERED, ids=lambda scenario: scenario.name)
def test_no_answer_is_no_success(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


@pytest.mark.parametrize(
    "scenario",
    [
        # The recipient's domain may never answer pings; our server's ack is what counts.
        Scenario("no-pong-from-the-recipients-domain", {"ping": SKIP}, 0, answer_s=1.5),
    ],
    ids=lambda scenario: scenario.name,
)
def test_an_ack_is_enough(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


HOSTS = ("127.0.0.1:{port}", "127.0.0.1:{other}")
FIRST_DEAD = [
    Scenario("first-refuses", code=0, listens=False, hosts=HOSTS, second=Spec()),
    Scenario("first-is-a-black-hole", code=0, fills_backlog=True, hosts=HOSTS, second=Spec()),
    Scenario("first-is-silent", {"header": SILENCE}, 0, hosts=HOSTS, second=Spec()),
    Scenario("first-closes", {"accept": CLOSE}, 0, hosts=HOSTS, footer=False, second=Spec()),
    Scenario("first-is-silent-in-tls", {"tls": SILENCE}, 0, hosts=HOSTS, footer=False, second=Spec()),
]


@pytest.mark.parametrize("scenario", FIRST_DEAD, ids=lambda scenario: scenario.name)
def test_the_second_host_is_reached_in_time(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert b"<message" in run.second.connections[-1].encrypted


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("nobody-listens", {}, 69, "tcp", "127.0.0.1:[0-9]+ refused", listens=False, text_command=PING),
        Scenario("black-hole", {}, (69, 75), "tcp", "timed out", fills_backlog=True, text_command=PING, **SHORT),
    ],
    ids=lambda scenario: scenario.name,
)
def test_no_way_to_the_server_is_said_with_the_address(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
