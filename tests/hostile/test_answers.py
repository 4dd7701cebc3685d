"""What stands in no answer was not answered: a missing list is no empty one, and no subscription is no success."""

import pytest

from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN

PUBSUB = "http://jabber.org/protocol/pubsub"
NONE = f"<pubsub xmlns='{PUBSUB}'><subscription node='n' subscription='none'/></pubsub>"
OTHER = "<query xmlns='jabber:iq:private'><item jid='romeo@example.net'/></query>"


def answered(name: str, payload: str, command: tuple[str, ...], says: str, code: int = 76) -> Scenario:
    """Each request gets a result with this payload."""
    sender = "" if command[0] in ("roster", "block") else " from='{to}'"  # our own account leaves it out
    step = f"<iq type='result' id='{{id}}'{sender}>{payload}</iq>"
    return Scenario(name, {"iq": step}, code, "stanza", says, command=command, text=True)


SCENARIOS = [
    answered("no-roster", "", ("roster", "list"), "answered without a roster"),
    answered("another-list-than-the-roster", OTHER, ("roster", "export"), "answered without a roster"),
    answered("no-block-list", "", ("block", "list"), "answered without a list of who is blocked"),
    answered("not-subscribed", NONE, ("pubsub", "subscribe", DOMAIN, "n"), "did not subscribe", 67),
    answered("not-watched", NONE, ("pubsub", "watch", DOMAIN, "n", "-W", "1"), "did not subscribe", 67),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_was_not_answered_is_no_success(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert all(run.out == "" for run in outcome.runs)
