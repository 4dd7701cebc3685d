"""Sessions that outlive their socket (XEP-0198 §5): asked for, resumed, refused."""

import pytest
from protocol.playbook import (
    BIND_RESULT,
    ENABLED,
    HEADER,
    MESSAGE,
    NS,
    RESUMED,
    bound_features,
    feed,
    former_session,
    stream_at,
)

from xmppsh.errors import ProtocolError
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Write
from xmppsh.protocol.sm import Resumption
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import Xml

BIND = (
    '<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>balcony</resource></bind></iq>'
)


def sends(text: str) -> Write:
    return Write(text.encode())


def test_a_session_that_shall_outlive_its_socket_is_asked_for_and_its_grant_told() -> None:
    stream, _ = stream_at(State.BINDING, resumable_s=120)
    assert feed(stream, BIND_RESULT) == [sends('<enable xmlns="urn:xmpp:sm:3" resume="true" max="120"/>')]
    granted = f"<enabled xmlns='{NS['sm']}' resume='true' id='sm1' max='60' location='other.example:5222'/>"
    (told,) = feed(stream, granted)
    assert isinstance(told, ev.SessionEstablished)
    assert told.resumption == Resumption("sm1", "other.example:5222", 60)


@pytest.mark.parametrize("answer", ["", "resume='false' id='sm1'", "resume='true'", "resume='true' id=''"])
def test_a_grant_that_cannot_be_used_is_none(answer: str) -> None:
    stream, _ = stream_at(State.BOUND, resumable_s=120)
    (told,) = feed(stream, f"<enabled xmlns='{NS['sm']}' {answer}/>")
    assert isinstance(told, ev.SessionEstablished)
    assert (told.acks, told.resumption) == (True, None)


def test_a_resumed_session_goes_on_where_it_stopped() -> None:
    stream, _ = stream_at(State.AUTHENTICATED, resume=former_session())
    assert feed(stream, HEADER + bound_features()) == [
        ev.HandledNoted(3),
        sends('<resume xmlns="urn:xmpp:sm:3" previd="sm1" h="3"/>'),
    ]
    assert feed(stream, RESUMED) == [ev.SessionResumed(1)]  # of seven, four were acked and the fifth is now
    assert stream.send(Xml("<presence/>")) == [sends("<presence/>")]
    assert feed(stream, f"<a xmlns='{NS['sm']}' h='6'/>") == [ev.StanzasAcked(1)]
    (arrived,) = feed(stream, MESSAGE)
    assert isinstance(arrived, ev.StanzaArrived)
    assert arrived.number == 4


@pytest.mark.parametrize(("attribute", "h"), [("", None), ("h='6'", 6)])
def test_a_resumption_that_fails_is_told_and_a_new_session_is_bound(attribute: str, h: int | None) -> None:
    stream, _ = stream_at(State.RESUMING)
    failed = f"<failed xmlns='{NS['sm']}' {attribute}><item-not-found xmlns='{NS['stanzas']}'/></failed>"
    assert feed(stream, failed) == [ev.ResumeFailed(h, "item-not-found"), sends(BIND)]
    feed(stream, BIND_RESULT)
    (told,) = feed(stream, ENABLED)
    assert isinstance(told, ev.SessionEstablished)
    assert told.resumption is None
    assert stream.sm is not None
    assert stream.sm.sent == 0


def test_without_acks_on_offer_nothing_is_resumed() -> None:
    stream, _ = stream_at(State.AUTHENTICATED, resume=former_session())
    assert feed(stream, HEADER + bound_features(sm=False)) == [sends(BIND)]


@pytest.mark.parametrize("h", ["8", "3", "", "x"])
def test_a_resumption_with_a_count_that_cannot_be_ends_the_stream(h: str) -> None:
    stream, _ = stream_at(State.RESUMING)
    outputs = feed(stream, RESUMED.replace("'5'", f"'{h}'"))
    assert isinstance(outputs[-1], ev.StreamEnded)
    assert isinstance(outputs[-1].error, ProtocolError)
