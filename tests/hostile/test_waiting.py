"""A session that ends while an answer is waited for: that is told at once, and nobody blamed whom nobody could hear."""

from __future__ import annotations

import pytest

from hostile.misbehaviour import CLOSE, SKIP, stream_error
from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN

ROMEO = f"romeo@{DOMAIN}"
IQ = f"<iq type='get' to='{ROMEO}/r' id='q1'><query xmlns='jabber:iq:foo'/></iq>"
BROKE = "the server closed the stream|the connection broke"
REMOVED = (stream_error("conflict"), "</stream:stream>")  # after which nobody comes back


def lost(name: str, steps: dict[str, object], *command: str, code: int = 69, says: str = BROKE) -> Scenario:
    """It waits for ten minutes, if it is let."""
    return Scenario(name, steps, code, ("stream", "tcp"), says, command=command, answer_s=600.0, footer=False)  # type: ignore[arg-type]


SCENARIOS = [
    lost("ends-while-waited-reply", {"ping": ("{good}", CLOSE)}, "send", ROMEO, "x", "--wait", "reply:600"),
    lost("ends-while-waited-delivered", {"ping": ("{good}", CLOSE)}, "send", ROMEO, "x", "--wait", "delivered:600"),
    lost("ends-while-waited-raw", {"iq": SKIP, "r": ("{good}", CLOSE)}, "raw", IQ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_session_that_ends_is_not_waited_on(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


IQS = f"{IQ}\n"
PIPED = [
    Scenario(
        "ends-while-waited-piped",
        {"iq": SKIP, "r": ("{good}", *REMOVED)},
        76,
        says="conflict",
        condition="conflict",
        kept={"c": IQS},
        command=("pipe", "../xdg_state_home/xmppsh/c"),
        answer_s=600.0,
    )
]


@pytest.mark.parametrize("scenario", PIPED, ids=lambda scenario: scenario.name)
def test_an_iq_that_nobody_can_answer_any_more_has_failed(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert '"acked": 0, "failed": 1' in outcome.json.out
