"""What goes ahead of the server's answers (ahead.py, binding.py): how many round trips it saves, and a wrong guess."""

from typing import Any

import pytest
from protocol.playbook import (
    BIND_RESULT,
    ENABLED,
    HEADER,
    NS,
    GoodServer,
    bound_features,
    fault_of,
    feed,
    mechanisms,
    new_stream,
    step,
    written,
)

from xmppsh.errors import SaslError
from xmppsh.model import Jid
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import StartTls, Write
from xmppsh.protocol.ahead import Known, Rung, Surprise
from xmppsh.protocol.sm import UNCOUNTED
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.reader import Limits

ACK = f"<a xmlns='{NS['sm']}' h='1'/>"
MESSAGE = Xml("<message/>")


def known(rung: Rung, *offered: str, acks: bool = True) -> Known:
    names = offered or ("SCRAM-SHA-1",)
    return Known(frozenset(names), frozenset(), names[0], acks, Limits().stanza_bytes, rung)


def flights(outputs: list[Any]) -> int:
    """Whatever is written in one turn is one flight, and so is a TLS handshake."""
    return int(any(isinstance(output, Write | StartTls) for output in outputs))


def until(state: State, stream: Stream, server: GoodServer) -> None:
    server.hear(stream.open())
    while stream.state is not state:
        step(stream, server)


@pytest.mark.parametrize(("tls", "rung", "expected"), [
    ("starttls", Rung.NOTHING, 10), ("starttls", Rung.BIND, 7), ("starttls", Rung.STANZAS, 6),
    ("direct", Rung.NOTHING, 8), ("direct", Rung.BIND, 6), ("direct", Rung.STANZAS, 5),
])  # fmt: skip
def test_round_trips_to_an_acknowledged_message_tcp_and_tls_included(tls: str, rung: Rung, expected: int) -> None:
    stream, server, sent = new_stream(tls, known=known(rung)), GoodServer(), False
    outputs = stream.open()
    server.hear(outputs)
    round_trips = 1 + flights(outputs)
    while True:
        outputs = step(stream, server)
        if not sent and stream.takes_stanzas:
            outputs += [*stream.send(MESSAGE), *stream.request_ack()]
            sent = True
        round_trips += flights(outputs)
        if stream.state is State.LIVE:
            break
    assert feed(stream, ACK) == [ev.StanzasAcked(1)]
    assert round_trips == expected


def test_what_was_presumed_is_confirmed_and_counted_from_enabled_on() -> None:
    stream, server = new_stream(known=known(Rung.STANZAS)), GoodServer()
    until(State.AUTHENTICATED, stream, server)
    assert stream.is_presumed
    stream.send(MESSAGE)
    feed(stream, HEADER + bound_features() + BIND_RESULT)
    (early,) = feed(stream, "<message/>")
    assert isinstance(early, ev.StanzaArrived)
    assert early.number == UNCOUNTED
    assert feed(stream, ENABLED) == [ev.SessionConfirmed()]
    assert not stream.is_presumed
    assert feed(stream, "<message/>")[0].number == 1  # type: ignore[union-attr]
    assert stream.learned == known(Rung.STANZAS)


def test_no_stanza_goes_ahead_by_a_resource_that_the_server_may_change() -> None:
    jid = Jid.parse("juliet@example.org/balcón")
    stream, server = new_stream(known=known(Rung.STANZAS), jid=jid), GoodServer()
    until(State.AUTHENTICATED, stream, server)
    assert not stream.takes_stanzas


@pytest.mark.parametrize("said", [
    bound_features(sm=False),
    bound_features() + BIND_RESULT.replace("balcony", "orchard"),
    bound_features() + BIND_RESULT + f"<failed xmlns='{NS['sm']}'/>",
    bound_features(inside="<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"),
])  # fmt: skip
def test_a_server_that_has_changed_is_a_surprise(said: str) -> None:
    stream, server = new_stream(known=known(Rung.STANZAS)), GoodServer()
    until(State.AUTHENTICATED, stream, server)
    assert isinstance(fault_of(feed(stream, HEADER + said)), Surprise)


def test_a_login_by_an_old_offer_is_begun_again_by_the_new_one() -> None:
    stream, server = new_stream(known=known(Rung.BIND, "SCRAM-SHA-256")), GoodServer()
    until(State.SECURED, stream, server)
    assert written(feed(stream, HEADER + mechanisms("SCRAM-SHA-1"))) == b""
    outputs = feed(stream, f"<failure xmlns='{NS['sasl']}'><invalid-mechanism/></failure>")
    assert b'mechanism="SCRAM-SHA-1"' in written(outputs)


def test_a_wrong_password_is_tried_once() -> None:
    stream, server = new_stream(known=known(Rung.BIND)), GoodServer()
    until(State.SECURED, stream, server)
    feed(stream, HEADER + mechanisms("SCRAM-SHA-1"))
    outputs = feed(stream, f"<failure xmlns='{NS['sasl']}'><not-authorized/></failure>")
    assert isinstance(fault_of(outputs), SaslError)


@pytest.mark.parametrize("rung", Rung)
def test_a_server_that_took_scram_does_not_get_the_password(rung: Rung) -> None:
    stream, server = new_stream(known=known(rung)), GoodServer()
    until(State.SECURED, stream, server)
    outputs = feed(stream, HEADER + mechanisms("PLAIN"))
    if rung is not Rung.NOTHING:
        outputs = feed(stream, f"<failure xmlns='{NS['sasl']}'><invalid-mechanism/></failure>")
    assert "the password is not sent" in str(fault_of(outputs))
    assert b"PLAIN" not in written(outputs)


def test_what_is_remembered_alone_refuses_no_login() -> None:
    odd = Known(frozenset({"PLAIN"}), frozenset(), "SCRAM-SHA-1", True, Limits().stanza_bytes, Rung.BIND)
    stream, server = new_stream(known=odd), GoodServer()
    until(State.SECURED, stream, server)
    assert b'mechanism="SCRAM-SHA-1"' in written(feed(stream, HEADER + mechanisms("PLAIN", "SCRAM-SHA-1")))


def test_a_session_that_may_outlive_its_socket_is_never_presumed() -> None:
    stream, server = new_stream(known=known(Rung.STANZAS), resumable_s=120), GoodServer()
    until(State.AUTHENTICATED, stream, server)
    assert not stream.takes_stanzas
    until_live = [step(stream, server) for _ in range(3)]
    assert stream.state is State.LIVE, until_live
