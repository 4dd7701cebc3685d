"""Sessions that outlive their socket (XEP-0198 §5): asked for, resumed, refused."""

from typing import Any

import pytest
from protocol.playbook import (
    BIND_RESULT,
    ENABLED,
    HEADER,
    JULIET,
    MESSAGE,
    NS,
    RESUMED,
    bound_features,
    feed,
    former_session,
    step,
    stream_at,
    written,
)

from xmppsh.errors import ProtocolError
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Write
from xmppsh.protocol.sm import UNCOUNTED, Resumption
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import Xml

BIND = (
    '<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>balcony</resource></bind></iq>'
)


ENABLE = '<enable xmlns="urn:xmpp:sm:3" resume="false"/>'


def sends(text: str) -> Write:
    return Write(text.encode())


def test_a_session_that_shall_outlive_its_socket_is_asked_for_and_its_grant_told() -> None:
    stream, _ = stream_at(State.AUTHENTICATED, resumable_s=120)
    assert feed(stream, HEADER + bound_features()) == [
        ev.ResourceBound(JULIET),  # before: no answer may ever be seen
        sends(BIND),
        sends('<enable xmlns="urn:xmpp:sm:3" resume="true" max="120"/>'),
    ]
    assert feed(stream, BIND_RESULT) == []
    granted = f"<enabled xmlns='{NS['sm']}' resume='true' id='sm1' max='60' location='other.example:5222'/>"
    (told,) = feed(stream, granted)
    assert isinstance(told, ev.SessionEstablished)
    assert told.resumption == Resumption("sm1", "other.example:5222", 60)


def test_the_address_that_is_told_is_the_one_that_the_server_chose() -> None:
    stream, _ = stream_at(State.BINDING, resumable_s=120)
    (told,) = feed(stream, BIND_RESULT.replace("/balcony", "/of its own"))
    assert told == ev.ResourceBound(JULIET.bare.with_resource("of its own"))


def test_where_the_server_chooses_the_resource_its_address_is_told_before_the_session_may_outlive_its_socket() -> None:
    stream, _ = stream_at(State.AUTHENTICATED, jid=JULIET.bare, resumable_s=120)
    assert b"<enable " not in written(feed(stream, HEADER + bound_features()))
    told, enable = feed(stream, BIND_RESULT)
    assert told == ev.ResourceBound(JULIET)
    assert b"<enable " in written([enable])


@pytest.mark.parametrize(("offered", "asked"), [(True, {}), (False, {"resumable_s": 120}), (True, {"acks": False})])
def test_a_session_that_dies_with_its_socket_is_not_told_before_it_lives(offered: bool, asked: dict[str, Any]) -> None:
    stream, server = stream_at(State.AUTHENTICATED, **asked)
    told = feed(stream, HEADER + bound_features(sm=offered))
    while stream.state is not State.LIVE:
        told += step(stream, server)
    assert [type(one) for one in told if not isinstance(one, Write)] == [ev.SessionEstablished]
    assert (b"<enable " in written(told)) == (offered and not asked)


def test_a_resumed_session_is_not_told_again_and_the_one_after_a_refusal_is() -> None:
    stream, _ = stream_at(State.RESUMING, resume=former_session(), resumable_s=120)
    assert [type(one) for one in feed(stream, RESUMED)] == [ev.SessionResumed]
    stream, _ = stream_at(State.RESUMING, resume=former_session(), resumable_s=120)
    assert ev.ResourceBound(JULIET) in feed(stream, f"<failed xmlns='{NS['sm']}'/>")


def test_acks_are_asked_for_together_with_the_bind_and_what_comes_before_them_is_told() -> None:
    stream, _ = stream_at(State.AUTHENTICATED)
    enable = sends('<enable xmlns="urn:xmpp:sm:3" resume="false"/>')
    assert feed(stream, HEADER + bound_features()) == [sends(BIND), enable]
    assert feed(stream, BIND_RESULT) == []
    (early,) = feed(stream, MESSAGE)
    assert isinstance(early, ev.StanzaArrived)
    assert early.number == UNCOUNTED
    (told,) = feed(stream, ENABLED)
    assert isinstance(told, ev.SessionEstablished)
    (arrived,) = feed(stream, MESSAGE)
    assert isinstance(arrived, ev.StanzaArrived)
    assert feed(stream, f"<r xmlns='{NS['sm']}'/>")[-1] == sends('<a xmlns="urn:xmpp:sm:3" h="0"/>')


@pytest.mark.parametrize(("offered", "asked"), [(False, True), (True, False)])
def test_a_session_without_acks_only_binds(offered: bool, asked: bool) -> None:
    stream, _ = stream_at(State.AUTHENTICATED, acks=asked)
    assert feed(stream, HEADER + bound_features(sm=offered)) == [sends(BIND)]
    (told,) = feed(stream, BIND_RESULT)
    assert isinstance(told, ev.SessionEstablished)
    assert not told.acks


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
    assert feed(stream, failed) == [ev.ResumeFailed(h, "item-not-found"), sends(BIND), sends(ENABLE)]
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
