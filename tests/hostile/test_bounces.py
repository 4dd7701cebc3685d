"""A message that comes back with an error: the condition decides the exit code (docs/cli.md, "Exit codes")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hostile.misbehaviour import SKIP, stanza_error
from hostile.scenario import BODY, SEND, Outcome, Scenario, check
from hostile.server import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from hostile.misbehaviour import Reply
    from hostile.server import Connection

AFAR = "afar.example"
CODES = {
    "item-not-found": 67, "recipient-unavailable": 67, "gone": 67,
    "remote-server-not-found": 68, "remote-server-timeout": 68,
    "resource-constraint": 75, "policy-violation": 75,
    "forbidden": 77, "not-authorized": 77, "not-allowed": 77, "registration-required": 77,
    "subscription-required": 77,
    "bad-request": 76, "conflict": 76, "feature-not-implemented": 76, "internal-server-error": 76, "jid-malformed": 76,
    "not-acceptable": 76, "redirect": 76, "undefined-condition": 76,
    "unexpected-request": 76,
}  # fmt: skip


def bounce(sender: str, condition: str, kind: str = "cancel") -> str:
    """The error stanza for the message that just came."""
    return f"<message type='error' id='{{id}}'{sender}>{stanza_error(condition, kind)}</message>"


def bounced(name: str, condition: str, code: int, sender: str, kind: str = "cancel", to: str = f"romeo@{DOMAIN}",
            **more: Any) -> Scenario:  # fmt: skip
    """One `send` that bounces."""
    return Scenario(f"{condition}-{name}", {"message": bounce(sender, condition, kind)}, code, "stanza",
                    says=condition, condition=condition, command=("send", to, BODY), **more)  # fmt: skip


FROM_USER, FROM_DOMAIN, FROM_NOBODY = " from='{to}'", f" from='{DOMAIN}'", ""
BOUNCES = [
    *(bounced("from-the-user", condition, code, FROM_USER) for condition, code in CODES.items()),
    *(
        bounced("from-the-domain", condition, CODES[condition], FROM_DOMAIN)
        for condition in ("item-not-found", "remote-server-timeout", "policy-violation", "forbidden", "bad-request")
    ),
    bounced("from-the-user", "service-unavailable", 67, FROM_USER),
    bounced("from-the-users-resource", "service-unavailable", 67, f" from='romeo@{DOMAIN}/orchard'"),
    bounced("from-the-domain", "service-unavailable", 76, FROM_DOMAIN),
    bounced("for-a-message-to-the-domain", "service-unavailable", 76, FROM_USER, to=AFAR),
    bounced("for-a-message-to-a-resource", "service-unavailable", 67, FROM_USER, to=f"romeo@{DOMAIN}/orchard"),
    bounced("from-afar", "remote-server-not-found", 68, FROM_USER, to=f"romeo@{AFAR}"),
    bounced("from-their-domain", "remote-server-not-found", 68, f" from='{AFAR}'", to=f"romeo@{AFAR}"),
    bounced("from-our-server-for-afar", "remote-server-not-found", 68, FROM_DOMAIN, to=f"romeo@{AFAR}"),
    # RFC 6120 §8.1.2.1: without `from` it is our own server that says so.
    bounced("from-nobody", "remote-server-not-found", 68, FROM_NOBODY, text=True),
    bounced("of-type-wait", "undefined-condition", 75, FROM_USER, "wait"),
    bounced("of-type-wait", "internal-server-error", 75, FROM_USER, "wait"),
    bounced("of-type-wait", "service-unavailable", 67, FROM_USER, "wait"),
]


@pytest.mark.parametrize("scenario", BOUNCES, ids=lambda scenario: scenario.name)
def test_a_bounce_decides_the_exit_code(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("bounce-of-a-stranger", {"message": bounce(" from='mallory@evil.example'", "item-not-found")}, 0),
        Scenario("bounce-of-another-id", {"message": bounce(FROM_USER, "gone").replace("{id}", "x{id}")}, 0),
        Scenario("no-bounce-but-an-answer", {"message": "<message id='{id}' from='{to}'><body>hi</body></message>"}, 0),
    ],
    ids=lambda scenario: scenario.name,
)
def test_what_is_no_bounce_of_ours_decides_nothing(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("bounce-without-error", {"message": "<message type='error' id='{id}' from='{to}'/>"}, 76, "stanza"),
        Scenario("bounce-with-escapes", {"message": bounce(FROM_USER, "gone").replace(
            "</error>", "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>a&#x9b;31m\nb&#x202e;</text></error>")},
            67, "stanza", text=True),
        Scenario("bounce-of-one-of-two", {"message": bounce(f" from='romeo@{DOMAIN}'", "gone")}, (67, 80), "stanza",
                 command=(*SEND, "--to", f"tybalt@{DOMAIN}", "--id", "same")),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_a_strange_bounce_is_a_bounce(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


def all_but_the_first() -> Callable[[Connection, str], Reply]:
    """Answer no first ping: it follows the presence and asks for the end of the store of offline messages."""
    pinged: set[Connection] = set()

    def answer(connection: Connection, good: str) -> Reply:
        is_first = connection not in pinged
        pinged.add(connection)
        return SKIP if is_first else good

    return answer


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(
            "bounce-before-the-stored-messages",
            {"message": bounce(FROM_USER, "item-not-found"), "ping": all_but_the_first()},
            67,
            "stanza",
            command=("connect", "-e"),
            stdin=f"/to romeo@{DOMAIN}\n{BODY}\n".encode(),
        )
    ],
    ids=lambda scenario: scenario.name,
)
def test_a_script_tells_of_a_bounce_that_comes_before_the_stored_messages(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
