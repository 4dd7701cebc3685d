"""What contacts are told about what they wrote."""

import pytest

from xmppsh.shell.shown.answers import Answers
from xmppsh.shell.shown.people import People
from xmppsh.xep.roster import Contact
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.reader import read_element

ROMEO = "romeo@example.net"
REQUEST, MARKABLE = "<request xmlns='urn:xmpp:receipts'/>", "<markable xmlns='urn:xmpp:chat-markers:0'/>"


def told(*messages: tuple[str, bool], subscription: str = "from") -> list[str]:
    sent: list[Xml] = []
    people = People()
    people.set_contact(Contact(ROMEO, subscription=subscription))
    answers = Answers(sent.append, people)
    for xml, read in messages:
        answers.shown(read_element(xml), read=read)
    answers.read(ROMEO)
    answers.read(ROMEO)
    return [f"{read_element(one).attributes['to']} {xml.partition(' ')[0]} {xml.partition(' id=')[2][1:3]}"
            for one in sent for xml in one.split("<")[2:3]]  # fmt: skip


def message(*asking: str, stanza_id: str = "m1", kind: str = "chat") -> str:
    return f"<message xmlns='jabber:client' from='{ROMEO}/x' type='{kind}' id='{stanza_id}'>{''.join(asking)}</message>"


def test_what_is_shown_was_delivered_and_the_newest_is_read_once() -> None:
    first, second = (message(REQUEST, MARKABLE, stanza_id=one) for one in ("m1", "m2"))
    assert told((first, False), (second, False)) == [
        f"{ROMEO}/x received m1",
        f"{ROMEO}/x received m2",
        f"{ROMEO}/x displayed m2",
    ]
    assert told((first, True)) == [f"{ROMEO}/x received m1", f"{ROMEO}/x displayed m1"]


def test_an_answer_that_comes_back_is_known_by_its_id() -> None:
    sent: list[Xml] = []
    people = People()
    people.set_contact(Contact(ROMEO, subscription="both"))
    answers = Answers(sent.append, people)
    answers.shown(read_element(message(REQUEST, MARKABLE)), read=True)
    assert len(sent) == 2
    for one in sent:
        assert answers.is_refused(read_element(message(stanza_id=read_element(one).id or "", kind="error")))
    assert not answers.is_refused(read_element(message(stanza_id="m1", kind="error")))


@pytest.mark.parametrize(
    ("xml", "subscription"),
    [
        (message(), "both"),
        (message(REQUEST, MARKABLE), "to"),
        (message(REQUEST, MARKABLE), "remove"),
        (message(REQUEST, MARKABLE, kind="groupchat"), "both"),
        (message(REQUEST, MARKABLE, kind="error"), "both"),
        (message(REQUEST, MARKABLE, stanza_id=""), "both"),
    ],
)
def test_nothing_is_told_that_was_not_asked_by_who_sees_us(xml: str, subscription: str) -> None:
    assert told((xml, True), subscription=subscription) == []
