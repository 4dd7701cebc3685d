"""What comes back to `send` finds its message, however many there were."""

from xmppsh.commands.send.delivery import Delivery
from xmppsh.errors import XmppshError
from xmppsh.model import Element, Jid
from xmppsh.registry.kinds import Wait
from xmppsh.xmlio.reader import read_element

OWN, BOB, CAROL = map(Jid.parse, ("alice@a/x", "bob@b", "carol@b/phone"))


def test_a_bounce_counts_for_the_recipient_that_it_speaks_of() -> None:
    delivery = Delivery([BOB, CAROL], Wait("acked"), "chat", "same")
    for recipient in (BOB, CAROL):
        delivery.expect("same", recipient)
    delivery.bounced("same", "carol@b/phone", OWN, XmppshError("gone"))
    delivery.bounced("same", "mallory@m", OWN, XmppshError("not his business"))
    results = map(delivery.result, delivery.untold)
    assert [(str(to), str(error)) for to, _, error in results if error is not None] == [("carol@b/phone", "gone")]


def test_of_an_endless_input_the_last_messages_are_remembered_and_all_are_counted() -> None:
    delivery = Delivery([BOB], Wait("acked"), "chat")
    delivery.most = 2
    for stanza_id in ("first", "second", "third"):
        delivery.expect(stanza_id, BOB)
    delivery.bounced("first", "bob@b", OWN, XmppshError("late"))
    assert delivery.verdict() is None
    delivery.bounced("third", "bob@b", OWN, XmppshError("in time"))
    assert "1 of 3 messages failed" in str(delivery.verdict())


def test_a_receipt_of_a_stranger_confirms_nothing() -> None:
    delivery = Delivery([BOB], Wait("delivered"), "chat")
    delivery.expect("one", BOB)
    delivery.expect("two", BOB)
    delivery.confirmed("one", "bob@b/phone")
    delivery.confirmed("two", "mallory@m")
    assert not delivery.answered.is_set()
    delivery.confirmed("two", "bob@b")
    assert delivery.answered.is_set()


def test_in_a_room_nobody_answers_for_another_occupant() -> None:
    romeo, nurse = (f"room@c/{nick}" for nick in ("romeo", "nurse"))
    delivery = Delivery([Jid.parse(romeo), CAROL], Wait("reply"), "chat")
    delivery.rooms = {"room@c"}
    for recipient in delivery.recipients:
        delivery.expect(str(recipient), recipient)
    for sender in (nurse, "room@c", "carol@b/other", romeo, romeo):
        delivery.replied(said(sender))
        assert delivery.answered.is_set() is (sender == romeo)
    assert [reply.sender for reply in delivery.replies] == ["carol@b/other", romeo]


def said(sender: str) -> Element:
    return read_element(f"<message xmlns='jabber:client' from='{sender}' type='chat'><body>yes</body></message>")
