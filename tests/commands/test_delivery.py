"""What comes back to `send` finds its message, however many there were."""

from xmppsh.commands.send.delivery import Delivery
from xmppsh.errors import XmppshError
from xmppsh.model import Jid
from xmppsh.registry.kinds import Wait

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
