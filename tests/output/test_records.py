"""The record of a stanza, whatever somebody put into it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from xmppsh.output.records import record
from xmppsh.xmlio.reader import read_element

NOW = datetime(2026, 11, 22, 16, 30, 0, 123456, tzinfo=UTC)
STAMP = "2026-11-22T16:30:00.123Z"
MESSAGE = {
    "kind": "message", "from": None, "to": None, "type": "normal", "id": None, "body": None, "subject": None,
    "thread": None, "lang": None, "stamp": STAMP, "delayed": False, "carbon": None, "room": False, "encrypted": False,
    "oob": [], "payloads": [],
}  # fmt: skip
PRESENCE = {
    "kind": "presence", "from": None, "to": None, "type": "available", "show": None, "status": None, "priority": 0,
    "stamp": STAMP,
}  # fmt: skip


def of(xml: str) -> dict[str, Any]:
    return record(read_element(xml), lambda: NOW).data()


CHAT = (
    "<message from='romeo@example.net/o' to='juliet@example.org' type='chat' id='1' xml:lang='en'>"
    "<body>a &lt; b\n</body><subject>s</subject><thread>t</thread></message>"
)
OOB = "<x xmlns='jabber:x:oob'><url>https://example.org/?a&amp;b</url><desc>d</desc></x>"
DELAY = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>"
EME = "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>"
MESSAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "empty": ("<message/>", {}),
    "chat": (CHAT, {
        "from": "romeo@example.net/o", "to": "juliet@example.org", "type": "chat", "id": "1", "body": "a < b\n",
        "subject": "s", "thread": "t", "lang": "en",
    }),
    "empty body": ("<message><body/></message>", {"body": ""}),
    "subject alone": ("<message type='groupchat'><subject/></message>",
                      {"type": "groupchat", "subject": "", "room": True}),
    "the body's own language": ("<message xml:lang='en'><body xml:lang='de'>x</body></message>",
                                {"body": "x", "lang": "de"}),
    "two bodies": ("<message><body>x</body><body xml:lang='de'>y</body></message>", {"body": "x"}),
    "a body of another namespace": ("<message><body xmlns='urn:x'>x</body></message>", {"payloads": ["{urn:x}body"]}),
    "oob": (f"<message><body>x</body>{OOB}{OOB}</message>",
            {"body": "x", "oob": ["https://example.org/?a&b"] * 2, "payloads": ["{jabber:x:oob}x"] * 2}),
    "an oob without a URL": ("<message><x xmlns='jabber:x:oob'/></message>", {"payloads": ["{jabber:x:oob}x"]}),
    "delayed": (f"<message>{DELAY}</message>",
                {"stamp": "2026-01-02T03:04:05.000Z", "delayed": True, "payloads": ["{urn:xmpp:delay}delay"]}),
    "encrypted by its label": (f"<message>{EME}</message>",
                               {"encrypted": True, "payloads": ["{urn:xmpp:eme:0}encryption"]}),
    "encrypted": ("<message><encrypted xmlns='eu.siacs.conversations.axolotl'/></message>",
                  {"encrypted": True, "payloads": ["{eu.siacs.conversations.axolotl}encrypted"]}),
    "error": ("<message type='error' from='a@b'><body>x</body><error type='cancel'>"
              "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
              {"type": "error", "from": "a@b", "body": "x"}),
    "a child without a namespace": ("<message><x xmlns=''/></message>", {"payloads": ["x"]}),
}  # fmt: skip


@pytest.mark.parametrize(("xml", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_the_record_of_a_message(xml: str, expected: dict[str, Any]) -> None:
    assert of(xml) == {**MESSAGE, **expected}


def test_a_record_has_its_keys_in_the_order_of_the_manual() -> None:
    assert list(of("<message/>")) == list(MESSAGE)
    assert list(of("<presence/>")) == list(PRESENCE)


PRESENCES: dict[str, tuple[str, dict[str, Any]]] = {
    "available": ("<presence/>", {}),
    "away": ("<presence from='a@b/c'><show>away</show><status>out</status><priority>-5</priority></presence>",
             {"from": "a@b/c", "show": "away", "status": "out", "priority": -5}),
    "unavailable": ("<presence type='unavailable'/>", {"type": "unavailable"}),
    "subscribe": ("<presence type='subscribe'/>", {"type": "subscribe"}),
    "a priority in spaces": ("<presence><priority> 7 </priority></presence>", {"priority": 7}),
    "a priority that is none": ("<presence><priority>high</priority></presence>", {}),
    "an empty priority": ("<presence><priority/></presence>", {}),
    "a signed priority": ("<presence><priority>+5</priority></presence>", {"priority": 5}),
}  # fmt: skip


@pytest.mark.parametrize(("xml", "expected"), PRESENCES.values(), ids=PRESENCES)
def test_the_record_of_presence(xml: str, expected: dict[str, Any]) -> None:
    assert of(xml) == {**PRESENCE, **expected}


@pytest.mark.parametrize("priority", ["+-5", "--5", "-+1", "9" * 5000])
def test_a_priority_that_is_none_never_raises(priority: str) -> None:
    assert of(f"<presence><priority>{priority}</priority></presence>")["priority"] == 0


def test_the_record_of_an_iq() -> None:
    assert of("<iq type='get' id='1' from='a@b'><query xmlns='jabber:iq:version'/></iq>") == {
        "kind": "iq", "from": "a@b", "to": None, "type": "get", "id": "1", "payloads": ["{jabber:iq:version}query"],
    }  # fmt: skip


STAMPS = {
    "2026-01-02T03:04:05Z": "2026-01-02T03:04:05.000Z",
    "2026-01-02T03:04:05.678901Z": "2026-01-02T03:04:05.678Z",
    "2026-01-02T03:04:05.1Z": "2026-01-02T03:04:05.100Z",
    "2026-01-02T03:04:05+02:00": "2026-01-02T01:04:05.000Z",
    "2026-01-02T03:04:05-23:59": "2026-01-03T03:03:05.000Z",
    "2026-01-02T03:04:05": "2026-01-02T03:04:05.000Z",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59Z": "9999-12-31T23:59:59.000Z",
    "2024-02-29T00:00:00Z": "2024-02-29T00:00:00.000Z",
}
NO_STAMPS = [
    *("", "now", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"),
    *("0001-01-01T00:00:00+14:00", "2026-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "2026-01-01T24:00:01Z"),
    *("2026-12-31T23:59:60Z", "2026-01-01T00:00:00+99:00", "\u0661\u0662", "2026-01-01T00:00:00Z ", "9" * 5000),
]


@pytest.mark.parametrize(("stamp", "expected"), [*STAMPS.items(), *((stamp, STAMP) for stamp in NO_STAMPS)])
def test_a_delay_stamp_is_utc_or_else_the_time_of_arrival(stamp: str, expected: str) -> None:
    found = of(f"<message><delay xmlns='urn:xmpp:delay' stamp='{stamp}'/></message>")
    assert (found["stamp"], found["delayed"]) == (expected, True)


def test_a_delay_without_a_stamp_is_a_delay() -> None:
    found = of("<presence><delay xmlns='urn:xmpp:delay'/></presence>")
    assert found["stamp"] == STAMP
