"""What others say in somebody's name, on the wire of a real session: it is shown as theirs or not at all, it decides
nothing, and what is genuine arrives all the same.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from hostile.misbehaviour import stanza_error
from hostile.scenario import Outcome, Scenario, check
from hostile.server import DOMAIN, USER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hostile.server import Connection

OWN, US, ROMEO = f"{USER}@{DOMAIN}", f"{USER}@{DOMAIN}/r1", f"romeo@{DOMAIN}"
STRANGERS = (
    "mallory@evil.example/x", "room@conf.evil.example", "room@conf.evil.example/romeo", f"{OWN}/other",
    OWN.replace("u", "\u03c5"), f"{OWN}.evil.example", f"{USER}.{DOMAIN}", f"nurse@{DOMAIN}", "@@", "a b@c/\u202ex",
)  # fmt: skip
THEIRS = "<message xmlns='jabber:client' from='romeo@example.net/o' type='chat'><body>forged</body></message>"
FORWARDED = f"<forwarded xmlns='urn:xmpp:forward:0'>{THEIRS}</forwarded>"
ROOM_USER = "http://jabber.org/protocol/muc#user"
GOOD = "<message from='romeo@example.net/o' type='chat' id='good'><body>genuine</body></message>"
REFUSED = stanza_error("forbidden")
# The kind and type of a stanza, and what is in it.
PAYLOADS = [
    ("message", "", f"<received xmlns='urn:xmpp:carbons:2'>{FORWARDED}</received>"),
    ("message", "", f"<sent xmlns='urn:xmpp:carbons:2'>{FORWARDED}</sent>"),
    ("message", "", f"<received xmlns='urn:xmpp:carbons:1'/>{FORWARDED}"),
    ("message", "", f"<result xmlns='urn:xmpp:mam:2' queryid='q' id='a'>{FORWARDED}</result>"),
    ("message", "", f"<privilege xmlns='urn:xmpp:privilege:2'>{FORWARDED}</privilege>"),
    ("message", "", f"<body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='{OWN}' id='good'/>"),
    ("message", "", "<received xmlns='urn:xmpp:receipts' id='good'/>"),
    ("message", "", "<retract xmlns='urn:xmpp:message-retract:1' id='good'/>"),
    ("message", "", f"<x xmlns='{ROOM_USER}'><invite from='romeo@example.net/o'/></x>"),
    ("message", "error", f"<body>x</body>{REFUSED}"),
    ("iq", "set", "<query xmlns='jabber:iq:roster'><item jid='forged@evil.example' subscription='both'/></query>"),
    ("iq", "set", "<block xmlns='urn:xmpp:blocking'><item jid='romeo@example.net'/></block>"),
    ("iq", "result", "<fin xmlns='urn:xmpp:mam:2' complete='true'/>"),
    ("presence", "", f"<x xmlns='{ROOM_USER}'><item role='none'/><status code='110'/><status code='307'/></x>"),
    ("presence", "unavailable", f"<x xmlns='{ROOM_USER}'><destroy jid='evil@evil.example'/></x>"),
    ("presence", "subscribe", ""),
]


def stanza(kind: str, sender: str, stanza_type: str, payload: str, stanza_id: str = "i") -> str:
    """What somebody sends to us."""
    said = f" type='{stanza_type}'" if stanza_type else ""
    return f"<{kind}{said} id='{stanza_id}' from='{sender}' to='{US}'>{payload}</{kind}>"


def by_all(kind: str, stanza_type: str, payload: str, stanza_id: str, senders: Iterable[str] = STRANGERS) -> str:
    """The same by each of them."""
    return "".join(stanza(kind, sender, stanza_type, payload, stanza_id) for sender in senders)


def answered(forged: str, good: str, sender: str = "") -> str:
    """A request is answered by everybody who may not, and then by who may."""
    said = f" from='{sender}'" if sender else ""
    everybody = by_all("iq", "result", forged, "{id}") + by_all("iq", "error", REFUSED, "{id}")
    return f"{everybody}<iq type='result' id='{{id}}'{said}>{good}</iq>"


def roster(contact: str) -> str:
    return f"<query xmlns='jabber:iq:roster'><item jid='{contact}@example.net' subscription='both'/></query>"


def version(name: str) -> str:
    return f"<query xmlns='jabber:iq:version'><name>{name}</name></query>"


def from_the_archive(connection: Connection, _good: str) -> str:
    """The open query gets results by strangers, then the true one."""
    query = re.findall(r"queryid=.([^'\"]+)", connection.encrypted.decode())[-1]
    stamp = "<delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/>"

    def found(body: str) -> str:
        forwarded = FORWARDED.replace("forged", body).replace("<message", f"{stamp}<message")
        return f"<result xmlns='urn:xmpp:mam:2' queryid='{query}' id='{body}'>{forwarded}</result>"

    fin = "<fin xmlns='urn:xmpp:mam:2' complete='true'/>"
    good = f"<message to='{US}'>{found('genuine')}</message><iq type='result' id='{{id}}'>{fin}</iq>"
    return by_all("message", "", found("forged"), "i") + by_all("iq", "result", fin, "{id}") + good


def refused_by_all(connection: Connection, _good: str) -> str:
    """A message comes back from everybody but who got it, and is answered by everybody."""
    sent = re.findall(r"<message[^>]*?\bid=.([^'\"]+)", connection.encrypted.decode())[-1]
    receipt = f"<received xmlns='urn:xmpp:receipts' id='{sent}'/>"
    strangers = by_all("message", "error", REFUSED, sent) + by_all("message", "", f"{receipt}<body>forged</body>", "i")
    return strangers + stanza("message", f"{ROMEO}/o", "chat", "<body>genuine</body>")


MERCUTIO = "mercutio@example.org/q"
SCENARIOS = [
    Scenario("roster", {"iq": answered(roster("forged"), roster("genuine"))}, 0, command=("roster", "list")),
    Scenario("version", {"iq": answered(version("forged"), version("genuine"), MERCUTIO)}, 0,
             command=("version", MERCUTIO)),
    Scenario("iq", {"iq": answered(version("forged"), version("genuine"), MERCUTIO)}, 0,
             command=("iq", "get", MERCUTIO, "<query xmlns='jabber:iq:version'/>")),
    Scenario("history", {"iq": from_the_archive}, 0, command=("history", "list")),
    Scenario("reply", {"message": refused_by_all}, 0, command=("send", ROMEO, "hi", "--wait", "reply:3")),
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_an_answer_is_taken_from_whom_we_asked_though_others_were_faster(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    assert "genuine" in outcome.json.out
    assert "forged" not in outcome.json.out


BOUNCED = [
    Scenario("send", {"message": refused_by_all}, 0, command=("send", ROMEO, "hi"), text=True),
    Scenario("raw", {"message": refused_by_all}, 0, text=True,
             command=("raw", f"<message to='{ROMEO}' id='m'><body>hi</body></message>")),
    Scenario("raw to what is no address", {"message": refused_by_all}, 0, text=True,
             command=("raw", "<message to='no address@x' id='m'><body>hi</body></message>")),
]  # fmt: skip


@pytest.mark.parametrize("scenario", BOUNCED, ids=lambda scenario: scenario.name)
def test_who_had_no_part_in_it_cannot_make_a_message_fail(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


ALL = "".join(stanza(kind, sender, type_, payload) for sender in STRANGERS for kind, type_, payload in PAYLOADS)
PUSHED = Scenario("listen", {"presence": ALL + GOOD}, 0, command=("listen", "-W", "3", "--all"), within_s=9.0)


@pytest.mark.parametrize("scenario", [PUSHED], ids=lambda scenario: scenario.name)
def test_what_strangers_push_is_printed_as_theirs_and_what_comes_after_it_too(
    scenario: Scenario, outcome: Outcome
) -> None:
    check(outcome)
    *records, last = map(json.loads, outcome.json.out.splitlines())
    assert last["id"] == "good"
    assert {record["from"] for record in records} <= set(STRANGERS)
    assert not any(record["body"] == "forged" or record["carbon"] for record in records)
