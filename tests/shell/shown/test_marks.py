"""How far a message has come: receipts and read marks, from whom it was written to."""

import asyncio

import pytest

from xmppsh.model import Jid
from xmppsh.shell.shown import marks as module
from xmppsh.shell.shown.marks import MAX_REMEMBERED, Marks
from xmppsh.xmlio.reader import read_element

ROMEO, OTHER = "romeo@example.net", "tybalt@example.net"


def message(sender: str, *told: str, kind: str = "chat") -> str:
    return f"<message xmlns='jabber:client' from='{sender}/x' type='{kind}'>{''.join(told)}</message>"


def received(stanza_id: str) -> str:
    return f"<received xmlns='urn:xmpp:receipts' id='{stanza_id}'/>"


def displayed(stanza_id: str) -> str:
    return f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{stanza_id}'/>"


def asked(*ids: str, to: str = ROMEO) -> Marks:
    marks = Marks()
    for one in ids:
        marks.sent(one, Jid.parse(f"{to}/x"))
    return marks


def told(marks: Marks, xml: str) -> list[tuple[set[str], str]]:
    return [(set(news.ids), news.mark) for news in marks.note(read_element(xml))]


def test_a_receipt_is_for_one_message_and_who_has_read_it_has_read_those_before_it() -> None:
    marks = asked("a", "b", "c")
    assert told(marks, message(ROMEO, received("b"))) == [({"b"}, "delivered")]
    assert told(marks, message(ROMEO, displayed("b"))) == [({"a", "b"}, "read")]
    assert told(marks, message(ROMEO, received("a"))) == []
    assert (marks.of("a"), marks.of_last(ROMEO)) == ("read", None)
    assert told(marks, message(ROMEO, received("c"))) == [({"c"}, "delivered")]
    assert marks.of_last(ROMEO) == "delivered"


@pytest.mark.parametrize(
    "xml",
    [
        message(OTHER, displayed("a")),
        message(ROMEO, displayed("a"), kind="error"),
        message(ROMEO, displayed("a"), kind="groupchat"),
        message(ROMEO, displayed("z"), received("")),
    ],
)
def test_nobody_else_tells_that_a_message_was_read(xml: str) -> None:
    marks = asked("a")
    marks.sent("t", Jid.parse(OTHER))
    assert told(marks, xml) == []
    assert marks.of("a") is None


def test_old_messages_are_forgotten() -> None:
    marks = asked(*map(str, range(MAX_REMEMBERED + 1)))
    assert told(marks, message(ROMEO, received("0"))) == []
    assert told(marks, message(ROMEO, received("1"))) == [({"1"}, "delivered")]


async def test_who_tells_nothing_soon_is_not_waited_for_again_until_he_tells() -> None:
    marks = asked("a", "b")
    assert await marks.soon("a", ROMEO) is None
    assert await asyncio.wait_for(marks.soon("b", ROMEO), 0.1) is None
    told(marks, message(ROMEO, received("a")))
    marks.sent("c", Jid.parse(ROMEO))
    waiting = asyncio.ensure_future(marks.soon("c", ROMEO))
    await asyncio.sleep(0)
    told(marks, message(ROMEO, received("c")))
    assert await waiting == "delivered"


async def test_a_message_that_asked_for_nothing_is_not_waited_for_and_may_come_back() -> None:
    marks = Marks()
    marks.sent("a", Jid.parse(ROMEO), asks=False)
    assert await asyncio.wait_for(marks.soon("a", ROMEO), 0.1) is None
    error = read_element(f"<message xmlns='jabber:client' from='{ROMEO}' id='a' type='error'/>")
    assert [news.mark for news in marks.came_back(error)] == ["came back"]
    marks.sent("b", Jid.parse(ROMEO))
    waiting = asyncio.ensure_future(marks.soon("b", ROMEO))
    await asyncio.sleep(0)
    told(marks, message(ROMEO, received("b")))
    assert await waiting == "delivered"


async def test_what_is_to_be_shown_now_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 60)
    marks = asked("a")
    waiting = asyncio.ensure_future(marks.soon("a", ROMEO))
    await asyncio.sleep(0)
    marks.hurry()
    assert await asyncio.wait_for(waiting, 1) is None


def test_an_error_from_whom_it_was_written_to_says_that_a_message_came_back() -> None:
    marks = asked("a", "b")
    for sender, stanza_id, news in ((OTHER, "a", []), (ROMEO, "a", [{"a"}]), (ROMEO, "a", [])):
        error = read_element(f"<message xmlns='jabber:client' from='{sender}' id='{stanza_id}' type='error'/>")
        assert [set(one.ids) for one in marks.came_back(error)] == news
    assert (marks.of("a"), marks.of("b")) == ("came back", None)
