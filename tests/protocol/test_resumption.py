"""Playbooks of XEP-0198 §3–§5: who may resume what, every grant and refusal, and an `<a/>` in every state."""

import base64
from typing import Any

import pytest
from protocol.playbook import (
    BIND_RESULT,
    ENABLED,
    HEADER,
    MESSAGE,
    NS,
    bound_features,
    feed,
    former_session,
    step,
    stream_at,
    written,
)

from xmppsh.errors import ProtocolError, ProtocolViolation
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Write
from xmppsh.protocol.sm import HandledCountTooHigh, Resumption, StreamManagement
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import Xml

MODULUS = 2**32
SM = NS["sm"]
FAILED = f"<failed xmlns='{SM}'><item-not-found xmlns='{NS['stanzas']}'/></failed>"


def resumed(h: object, previd: str = "sm1") -> str:
    return f"<resumed xmlns='{SM}' previd='{previd}' h='{h}'/>"


def ack(h: object) -> str:
    return f"<a xmlns='{SM}' h='{h}'/>"


def former(acked: int, sent: int, handled: int = 0) -> StreamManagement:
    return StreamManagement.restored(Resumption("sm1"), acked=acked % MODULUS, sent=sent % MODULUS, handled=handled)


def ended(outputs: list[Any]) -> Any:
    assert isinstance(outputs[-1], ev.StreamEnded), outputs
    return outputs[-1].error


# ── Resumed ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("acked", [0, MODULUS - 1, MODULUS - 3, 2**31 - 1])
@pytest.mark.parametrize("released", range(4))
def test_a_resumption_releases_what_its_count_covers_and_expects_the_rest_again(acked: int, released: int) -> None:
    stream, _ = stream_at(State.RESUMING, resume=former(acked, acked + 3))
    assert feed(stream, resumed((acked + released) % MODULUS)) == [ev.SessionResumed(released)]
    for _ in range(3 - released):
        stream.send(Xml("<message/>"))
    assert stream.sm is not None
    assert stream.sm.unacked == 3 - released
    last = feed(stream, ack((acked + 3) % MODULUS))
    assert last == [ev.StanzasAcked(3 - released)]


@pytest.mark.parametrize("handled", [0, 1, MODULUS - 1])
def test_the_count_of_what_we_took_is_told_and_goes_on(handled: int) -> None:
    stream, _ = stream_at(State.AUTHENTICATED, resume=former(0, 0, handled))
    assert f'h="{handled}"'.encode() in written(feed(stream, HEADER + bound_features()))
    first, arrived = feed(stream, resumed(0) + MESSAGE)
    assert isinstance(first, ev.SessionResumed)
    assert arrived.number == (handled + 1) % MODULUS  # type: ignore[union-attr]
    assert stream.taken(arrived.number) == []  # type: ignore[union-attr]
    assert feed(stream, f"<r xmlns='{SM}'/>") == [
        ev.HandledNoted((handled + 1) % MODULUS),
        Write(f'<a xmlns="{SM}" h="{(handled + 1) % MODULUS}"/>'.encode()),
    ]


@pytest.mark.parametrize("acked", [0, 5, MODULUS - 1, 2**31])
@pytest.mark.parametrize("beyond", [1, 2, 2**31])
def test_a_resumption_that_covers_what_was_never_sent_ends_the_stream(acked: int, beyond: int) -> None:
    previous = former(acked, acked + 3)
    stream, _ = stream_at(State.RESUMING, resume=previous)
    h = (acked + 3 + beyond) % MODULUS
    outputs = feed(stream, resumed(h))
    error = ended(outputs)
    assert isinstance(error, HandledCountTooHigh)
    assert str(error) == f"the server acknowledges {h} stanzas where {(acked + 3) % MODULUS} were sent"
    assert b"<undefined-condition" in written(outputs)
    assert (previous.acked, previous.unacked) == (acked, 3), "nothing is released by a count that cannot be"


def test_the_resumption_of_another_session_is_none_of_ours() -> None:
    stream, _ = stream_at(State.RESUMING)
    assert isinstance(ended(feed(stream, resumed(5, previd="somebody-else"))), ProtocolError)


def test_the_count_in_a_request_to_resume_is_noted_before_it_is_written() -> None:
    stream, _ = stream_at(State.AUTHENTICATED, resume=former_session())
    assert feed(stream, HEADER + bound_features())[0] == ev.HandledNoted(3)


def test_a_session_is_resumed_once() -> None:
    stream, _ = stream_at(State.RESUMING)
    feed(stream, resumed(5))
    assert isinstance(ended(feed(stream, resumed(5))), ProtocolViolation)


def test_a_session_survives_any_number_of_cuts() -> None:
    sm = former(MODULUS - 2, MODULUS - 2)
    for turn in range(6):
        stream, _ = stream_at(State.RESUMING, resume=sm)
        feed(stream, resumed(sm.acked))
        assert stream.sm is sm
        stream.send(Xml("<message/>"))
        feed(stream, ack((MODULUS - 1 + turn) % MODULUS))
        stream.handle(ev.LinkLost("reset"))
    assert (sm.sent, sm.acked) == (4, 4)


@pytest.mark.parametrize("said", [MESSAGE, ENABLED, "<r xmlns='urn:xmpp:sm:3'/>", BIND_RESULT, ack(5)])
def test_nothing_but_an_answer_may_follow_a_request_to_resume(said: str) -> None:
    stream, _ = stream_at(State.RESUMING)
    assert isinstance(ended(feed(stream, said)), ProtocolViolation)


# ── Where h is a snapshot ───────────────────────────────────────────────────────────────────────────────────────

ERLANG_ID = base64.b64encode(b"\x83session of ejabberd").decode()


def of_ejabberd() -> StreamManagement:
    return StreamManagement.restored(Resumption(ERLANG_ID), acked=4, sent=7, handled=3)


def asked(outputs: list[Any]) -> str:
    """The session that these outputs ask to resume."""
    return written(outputs).decode().partition('previd="')[2].partition('"')[0]


def asking(sm: StreamManagement) -> tuple[Any, list[Any]]:
    """A stream whose fences are answered, and its request to resume."""
    stream, _ = stream_at(State.AUTHENTICATED, resume=sm)
    feed(stream, HEADER + bound_features())
    return stream, [*feed(stream, FAILED), *feed(stream, FAILED)][-2:]


def test_two_fences_that_fit_no_session_go_before_the_request_and_are_not_counted() -> None:
    stream, _ = stream_at(State.AUTHENTICATED, resume=of_ejabberd())
    for said in (HEADER + bound_features(), FAILED):
        (fence,) = feed(stream, said)
        assert isinstance(fence, Write)
        assert asked([fence]) != ERLANG_ID
        assert base64.b64decode(asked([fence]))[:-1] == base64.b64decode(ERLANG_ID)[:-1]
    noted, request = feed(stream, FAILED)
    assert (noted, asked([request])) == (ev.HandledNoted(3), ERLANG_ID)
    assert feed(stream, f"<resumed xmlns='{SM}' previd='{ERLANG_ID}' h='5'/>") == [ev.SessionResumed(1)]


@pytest.mark.parametrize("unanswered", range(4))
def test_a_refusal_is_asked_for_once_more_for_each_stream_that_may_still_be_at_work(unanswered: int) -> None:
    sm = of_ejabberd()
    for _ in range(unanswered):
        asking(sm)[0].handle(ev.LinkLost("reset"))
    stream, request = asking(sm)
    for _ in range(unanswered):
        assert asked(request) == ERLANG_ID
        request = feed(stream, FAILED)
    assert isinstance(feed(stream, FAILED)[0], ev.ResumeFailed)
    assert sm.holders <= 0


BUSY = FAILED.replace("</failed>", f"<text xmlns='{NS['stanzas']}'>Session state copying timed out</text></failed>")


@pytest.mark.parametrize("busy", [None, 0, 1, 2], ids=["never", "first fence", "second fence", "request"])
def test_a_refusal_proves_nothing_when_the_server_did_not_wait_for_the_former_stream(busy: int | None) -> None:
    stream, _ = stream_at(State.AUTHENTICATED, resume=of_ejabberd())
    feed(stream, HEADER + bound_features())
    answers = [BUSY if number == busy else FAILED for number in range(3)]
    failed = [feed(stream, answer) for answer in answers][-1][0]
    assert failed == ev.ResumeFailed(None, "item-not-found", is_proof=busy is None)


def test_a_session_that_was_resumed_and_closed_is_asked_for_once() -> None:
    sm = of_ejabberd()
    stream, _ = asking(sm)
    feed(stream, f"<resumed xmlns='{SM}' previd='{ERLANG_ID}' h='5'/>")
    sm.on_closed()
    stream, _ = asking(sm)
    assert isinstance(feed(stream, FAILED)[0], ev.ResumeFailed)
    assert sm.holders <= 0


def test_a_count_in_the_refusal_needs_no_second_question() -> None:
    sm = of_ejabberd()
    asking(sm)[0].handle(ev.LinkLost("reset"))
    stream, _ = asking(sm)
    assert feed(stream, FAILED.replace("'><", "' h='6'><", 1))[0] == ev.ResumeFailed(6, "item-not-found")


def test_a_count_below_the_former_one_is_that_of_an_older_request_and_no_fault() -> None:
    sm = of_ejabberd()
    asking(sm)[0].handle(ev.LinkLost("reset"))
    stream, _ = asking(sm)
    assert feed(stream, f"<resumed xmlns='{SM}' previd='{ERLANG_ID}' h='2'/>") == [ev.SessionResumed(0)]
    assert sm.acked == 2


# ── Refused ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("h", [None, 0, 4, 7, MODULUS - 1])
def test_after_a_refusal_a_new_session_begins_on_the_same_stream_with_counters_of_its_own(h: int | None) -> None:
    previous = former_session()
    stream, server = stream_at(State.RESUMING, resume=previous, resumable_s=60)
    refusal = FAILED if h is None else FAILED.replace("'><", f"' h='{h}'><", 1)
    told, _, request, _ = feed(stream, refusal)
    assert told == ev.ResumeFailed(h, "item-not-found")
    assert isinstance(request, Write)
    assert stream.state is State.BINDING
    step(stream, server)
    (established,) = feed(stream, f"<enabled xmlns='{SM}' resume='true' id='sm2'/>")
    assert isinstance(established, ev.SessionEstablished)
    assert established.resumption == Resumption("sm2")
    assert stream.sm is not previous
    stream.send(Xml("<message/>"))
    assert feed(stream, ack(1)) == [ev.StanzasAcked(1)]
    assert (previous.acked, previous.sent) == (4, 7), "the counts of the lost session are its own"


@pytest.mark.parametrize("h", ["x", "-1", str(MODULUS), "1.5"])
def test_a_refusal_with_a_count_that_is_none_is_an_error_or_no_proof(h: str) -> None:
    stream, _ = stream_at(State.RESUMING)
    outputs = feed(stream, FAILED.replace("'><", f"' h='{h}'><", 1))
    if isinstance(outputs[-1], ev.StreamEnded):
        assert isinstance(outputs[-1].error, ProtocolError)
    else:
        assert outputs[0] == ev.ResumeFailed(None, "item-not-found")


def test_a_server_that_offers_it_no_more_binds_anew_and_tells_nothing_of_the_old_session() -> None:
    stream, server = stream_at(State.AUTHENTICATED, resume=former_session(), resumable_s=60)
    outputs = feed(stream, HEADER + bound_features(sm=False))
    assert stream.state is State.BINDING
    assert b"<resume" not in written(outputs)
    (established,) = step(stream, server)
    assert isinstance(established, ev.SessionEstablished)
    assert (established.acks, established.resumption, stream.sm) == (False, None, None)


def test_a_former_session_that_was_never_resumable_is_not_asked_for() -> None:
    stream, _ = stream_at(State.AUTHENTICATED, resume=StreamManagement())
    assert b"<resume" not in written(feed(stream, HEADER + bound_features()))


# ── Asked for and granted ───────────────────────────────────────────────────────────────────────────────────────

GRANTS = {
    "resume='true' id='a'": Resumption("a"),
    "resume='1' id='a'": Resumption("a"),
    "resume='true' id='a' max='0'": Resumption("a", None, 0),
    "resume='true' id='a' max='300'": Resumption("a", None, 300),
    "resume='true' id='a' max='soon'": Resumption("a"),
    "resume='true' id='a' max='-5'": Resumption("a"),
    "resume='true' id='a' location='[2001:db8::1]:5222'": Resumption("a", "[2001:db8::1]:5222"),
    "resume='true' id='&lt;&amp;&apos;'": Resumption("<&'"),
    "resume='false' id='a'": None,
    "resume='0' id='a'": None,
    "resume='yes' id='a'": None,
    "resume='TRUE' id='a'": None,
    "resume='true'": None,
    "id='a'": None,
    "max='300' location='x'": None,
    "": None,
}


@pytest.mark.parametrize(("said", "granted"), GRANTS.items())
def test_a_grant_is_what_the_server_says(said: str, granted: Resumption | None) -> None:
    stream, _ = stream_at(State.BOUND, resumable_s=120)
    (told,) = feed(stream, f"<enabled xmlns='{SM}' {said}/>")
    assert isinstance(told, ev.SessionEstablished)
    assert (told.acks, told.resumption) == (True, granted)
    assert stream.sm is not None
    assert stream.sm.resumption == granted


def test_what_was_not_asked_for_is_not_used() -> None:
    stream, _ = stream_at(State.BOUND)
    (told,) = feed(stream, f"<enabled xmlns='{SM}' resume='true' id='a'/>")
    assert isinstance(told, ev.SessionEstablished)
    assert told.resumption is None


def test_a_server_that_refuses_to_count_is_used_without_acks() -> None:
    stream, _ = stream_at(State.BOUND, resumable_s=120)
    (told,) = feed(stream, f"<failed xmlns='{SM}'><internal-server-error xmlns='{NS['stanzas']}'/></failed>")
    assert isinstance(told, ev.SessionEstablished)
    assert (told.acks, told.resumption) == (False, None)
    assert stream.request_ack() == []


# ── An <a/> in every state ──────────────────────────────────────────────────────────────────────────────────────

READING = [
    *(State.PLAIN, State.STARTTLS, State.SECURED, State.SASL, State.HASHING, State.AUTHENTICATED),
    *(State.RESUMING, State.BINDING, State.BOUND),
]


@pytest.mark.parametrize("state", READING)
@pytest.mark.parametrize("what", [ack(0), ack(1), f"<r xmlns='{SM}'/>"])
def test_nobody_acknowledges_before_the_session_lives(state: State, what: str) -> None:
    stream, _ = stream_at(state)
    assert isinstance(ended(feed(stream, HEADER * (not stream.has_header) + what)), ProtocolViolation)


@pytest.mark.parametrize("state", [State.LIVE, State.CLOSING])
@pytest.mark.parametrize(("h", "released"), [(0, 0), (1, 1), (2, 2)])
def test_an_ack_counts_while_the_session_lives_and_while_it_is_closed(state: State, h: int, released: int) -> None:
    stream, _ = stream_at(State.LIVE)
    for _ in range(2):
        stream.send(Xml("<message/>"))
    if state is State.CLOSING:
        stream.close()
    assert feed(stream, ack(h)) == [ev.StanzasAcked(released)]
    assert feed(stream, ack(h)) == [ev.StanzasAcked(0)], "said again, it releases nothing"
    assert isinstance(ended(feed(stream, ack(3))), HandledCountTooHigh)


@pytest.mark.parametrize("h", ["", "x", "-1", "1e3", " 1", "٣", str(2**32), "9" * 400])
def test_an_ack_without_a_number_ends_the_stream_and_releases_nothing(h: str) -> None:
    stream, _ = stream_at(State.LIVE)
    stream.send(Xml("<message/>"))
    assert isinstance(ended(feed(stream, ack(h))), ProtocolError)
    assert stream.sm is not None
    assert stream.sm.unacked == 1


@pytest.mark.parametrize("what", [ack(0), f"<r xmlns='{SM}'/>"])
def test_a_server_without_acks_must_not_send_them(what: str) -> None:
    stream, _ = stream_at(State.LIVE, acks=False)
    assert isinstance(ended(feed(stream, what)), ProtocolViolation)


def test_a_closed_stream_hears_no_ack() -> None:
    stream, _ = stream_at(State.CLOSED)
    assert feed(stream, ack(1)) == []
