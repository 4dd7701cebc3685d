"""What a service tells of its nodes, in words."""

import pytest

from xmppsh import ns
from xmppsh.output.records import MessageRecord
from xmppsh.shell.shown.events import EVENT, happened, is_event

TOLD = {
    "<items node='news'><item id='a'/></items>": "published a in news",
    "<items node='news'><item id='a'/><item id='b'/><item id='c'/></items>": "published a and 2 more in news",
    "<items node='news'><item id='a'/><retract id='b'/></items>": "published a in news, retracted b in news",
    "<items node='a&#x202e;b'><item id='&#x9b;'/></items>": "published \\x9b in a\\u202eb",
    "<delete node='news'/><purge node='old'/>": "deleted news; purged old",
    "<items node='news'/>": "says nothing of news",
    "<surprise node='news'/>": "surprise news",
    "": "tells of nothing",
}


def record(below: str, body: str | None = None) -> MessageRecord:
    xml = f"<message xmlns='{ns.CLIENT}'><event xmlns='{ns.PUBSUB_EVENT}'>{below}</event></message>"
    return MessageRecord(
        from_="pubsub.example.net", to=None, type="headline", id=None, body=body, subject=None, thread=None, lang=None,
        stamp="2026-03-01T11:59:00.000Z", delayed=False, carbon=None, room=False, encrypted=False, oob=(),
        payloads=(EVENT,), xml=xml,
    )  # fmt: skip


@pytest.mark.parametrize(("below", "told"), TOLD.items())
def test_what_happened_is_told_in_words(below: str, told: str) -> None:
    assert happened(record(below)) == told


def test_a_message_with_a_text_of_its_own_is_a_message() -> None:
    assert is_event(record(""))
    assert not is_event(record("", body="read my news"))
