"""What stands in no answer was not answered: a missing list is no empty one, and no subscription is no success."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN

if TYPE_CHECKING:
    from hostile.server import Connection

PUBSUB = "http://jabber.org/protocol/pubsub"
NONE = f"<pubsub xmlns='{PUBSUB}'><subscription node='n' subscription='none'/></pubsub>"
SERVICE = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='pubsub' type='service'/></query>"
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
    answered("no-version", "", ("version", DOMAIN), "answered without its version"),
    answered("no-time", OTHER, ("time", DOMAIN), "answered without its time"),
    answered("no-last-activity", "", ("last", DOMAIN), "answered without its last activity"),
    answered("nobody", OTHER, ("disco", "info", DOMAIN), "answered without saying what it is"),
    answered("not-subscribed", NONE, ("pubsub", "subscribe", DOMAIN, "n"), "did not subscribe", 67),
    answered(
        "no-form-of-a-node",
        SERVICE,
        ("pubsub", "create", DOMAIN, "n", "pubsub#access_model=whitelist"),
        "does not offer the configuration of new nodes",
    ),
    answered(
        "no-configuration-of-a-node", SERVICE, ("pubsub", "config", DOMAIN, "n"), "does not offer the configuration"
    ),
    answered("not-watched", NONE, ("pubsub", "watch", DOMAIN, "n", "-W", "1"), "did not subscribe", 67),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_was_not_answered_is_no_success(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert all(run.out == "" for run in outcome.runs)


def one_after_the_other(connection: Connection, _good: str) -> str:
    """As a server does that writes the whole roster for each contact."""
    connection.flush()
    time.sleep(0.4)
    return "<iq type='result' id='{id}'><query xmlns='jabber:iq:roster'/></iq>"


CONTACTS = "".join(f'{{"jid": "c{number}@example.org"}}\n' for number in range(12))
SLOW = Scenario("slow-roster", {"iq": one_after_the_other}, 0, answer_s=2.0, within_s=8.0, kept={"c": CONTACTS},
                command=("roster", "import", "../xdg_state_home/xmppsh/c"))  # fmt: skip


@pytest.mark.parametrize("scenario", [SLOW], ids=lambda scenario: scenario.name)
def test_an_import_waits_for_a_slow_server_as_long_as_it_answers(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert outcome.json.elapsed_s > scenario.answer_s, "nothing had to be waited for"


SLOT = (
    "<query xmlns='http://jabber.org/protocol/disco#items'/>"
    "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:http:upload:0'/></query>"
    "<slot xmlns='urn:xmpp:http:upload:0'><put url='http://127.0.0.1:9/f'/><get url='https://localhost/f'/></slot>"
)
UPLOAD = replace(
    answered("upload-unreachable", SLOT, ("send", f"romeo@{DOMAIN}", "look", "--attach", "../xdg_state_home/xmppsh/c"),
             "the connection to 127.0.0.1, which was to take the file, failed: connection refused", 69),
    layer="tcp", kept={"c": "content"},
)  # fmt: skip


@pytest.mark.parametrize("scenario", [UPLOAD], ids=lambda scenario: scenario.name)
def test_of_a_message_whose_file_cannot_be_uploaded_nothing_is_sent(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert all(b"<message" not in run.encrypted for run in outcome.runs)
