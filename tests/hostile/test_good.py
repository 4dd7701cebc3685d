"""The same server when it behaves: without this, a server that nobody can use would pass every test."""

from typing import Any

import pytest

from hostile.misbehaviour import BIND, MESSAGE, features
from hostile.scenario import PING, Outcome, Scenario, check

SPLIT: dict[str, Any] = {"connect_s": 10.0, "answer_s": 10.0, "within_s": 20.0}
GLUED = {  # whatever a server may say unasked, in one packet with what it was asked for
    "enable": "{good}<presence from='hostile.example'/>",
    "message": "<r xmlns='urn:xmpp:sm:3'/><presence/> \n <iq type='get' id='q'><x xmlns='urn:x'/></iq>",
    "ping": "<r xmlns='urn:xmpp:sm:3'/>{good}<presence/><message type='headline'/><r xmlns='urn:xmpp:sm:3'/>",
}
SCENARIOS = [
    Scenario("good-send", code=0),
    Scenario("good-ping", code=0, command=PING),
    Scenario("good-listen", code=0, command=("listen", "-W", "0.5")),
    Scenario("good-direct-tls", code=0, direct=True, options=("--tls", "direct")),
    Scenario("good-byte-by-byte", code=0, chunk=1, **SPLIT),
    Scenario("good-byte-by-byte-direct", code=0, chunk=1, direct=True, options=("--tls", "direct"), **SPLIT),
    Scenario("good-seven-bytes", code=0, chunk=7, **SPLIT),
    Scenario("good-in-one-packet", GLUED, code=0),
    Scenario("good-no-acks", {"features-auth": features(BIND)}, code=0),
    Scenario("good-enable-failed", {"enable": "<failed xmlns='urn:xmpp:sm:3'/>"}, code=0),
    Scenario("good-white-space-keepalive", {"enable": " {good} ", "message": " " * 1000}, code=0),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_server_that_behaves_is_served(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert [connection.close_notify for connection in run.first.connections] == [True]


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(f"good-listen-{chunk}", {"presence": MESSAGE.replace("CANARY", "said")}, 0, chunk=chunk,
                 command=("listen", "-C", "1"), text=True, **SPLIT)
        for chunk in (0, 1, 5)
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_a_message_is_shown_however_it_is_cut(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert '"body":"said-5f1c"' in outcome.json.out.replace(": ", ":")
    assert outcome.text is not None
    assert "said-5f1c" in outcome.text.out
