"""The end: the last ack where one is owed, one footer, one StreamEnded, from every state."""

import pytest
from protocol.playbook import FOOTER, HEADER, MESSAGE, NS, feed, step, stream_at, written

from xmppsh.errors import ConnectionLost, DeadlineExceeded
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Disconnect, Write
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State

CLEAN = [Disconnect(), ev.StreamEnded(None)]
SILENT = (State.CONNECTED, State.HANDSHAKE)
OPEN = tuple(state for state in State if state not in (*SILENT, State.CLOSING, State.CLOSED))
ENDABLE = tuple(state for state in OPEN if state is not State.RESUMING)


@pytest.mark.parametrize("state", SILENT)
def test_a_stream_that_has_not_begun_ends_at_once(state: State) -> None:
    stream, _ = stream_at(state)
    assert stream.close() == CLEAN
    assert stream.is_closed


def test_giving_up_an_unanswered_resume_drops_the_link_so_that_the_session_stays() -> None:
    stream, _ = stream_at(State.RESUMING)
    assert stream.close() == CLEAN
    stream, _ = stream_at(State.RESUMING)
    assert stream.abort(DeadlineExceeded("too late"))[0] == Disconnect()


@pytest.mark.parametrize("state", ENDABLE)
def test_an_open_stream_ends_with_one_footer_each_way(state: State) -> None:
    stream, _ = stream_at(state)
    assert stream.close() == [Write(FOOTER.encode())]
    assert stream.close() == []
    header = HEADER if state in (State.PLAIN, State.SECURED, State.AUTHENTICATED) else ""
    if not header:
        assert feed(stream, FOOTER) == CLEAN


@pytest.mark.parametrize("state", ENDABLE)
def test_a_link_that_ends_after_our_footer_is_a_clean_end(state: State) -> None:
    stream, _ = stream_at(state)
    stream.close()
    assert stream.handle(ev.LinkLost("reset")) == CLEAN


@pytest.mark.parametrize("state", [state for state in ENDABLE if state is not State.LIVE])
def test_what_was_in_flight_when_we_closed_is_no_fault(state: State) -> None:
    stream, server = stream_at(state)
    said = server.next(stream)
    stream.close()
    outputs = feed(stream, said + FOOTER) if isinstance(said, str) else [*stream.handle(said), *feed(stream, FOOTER)]
    assert outputs == CLEAN


BEFORE_BIND = (State.STARTTLS, State.SASL, State.HASHING, State.BINDING)


@pytest.mark.parametrize("state", BEFORE_BIND)
def test_a_stanza_never_arrives_on_a_stream_that_was_closed_before_it_was_bound(state: State) -> None:
    stream, _ = stream_at(state)
    stream.close()
    assert not any(isinstance(output, ev.StanzaArrived) for output in feed(stream, MESSAGE))


@pytest.mark.parametrize("state", OPEN)
def test_the_server_s_footer_is_answered_with_ours(state: State) -> None:
    stream, _ = stream_at(state)
    header = HEADER if state in (State.PLAIN, State.SECURED, State.AUTHENTICATED) else ""
    footer, disconnect, ended = feed(stream, header + FOOTER)
    assert (footer, disconnect) == (Write(FOOTER.encode()), Disconnect())
    assert isinstance(ended, ev.StreamEnded)
    assert isinstance(ended.error, ConnectionLost)


def test_the_last_ack_goes_before_the_footer_where_one_is_owed() -> None:
    stream, _ = stream_at(State.LIVE)
    feed(stream, MESSAGE + MESSAGE)
    stream.taken(1)
    assert written(stream.close()) == f'<a xmlns="{NS["sm"]}" h="1"/>{FOOTER}'.encode()


def test_no_last_ack_where_none_is_owed() -> None:
    stream, _ = stream_at(State.LIVE)
    feed(stream, MESSAGE)
    assert written(stream.close()) == FOOTER.encode()

    stream, _ = stream_at(State.LIVE)
    feed(stream, MESSAGE)
    stream.taken(1)
    feed(stream, f"<r xmlns='{NS['sm']}'/>")
    assert written(stream.close()) == FOOTER.encode()


def test_acks_still_count_while_the_stream_closes_and_nothing_is_written() -> None:
    stream, _ = stream_at(State.LIVE)
    stream.send(MESSAGE)  # type: ignore[arg-type]
    stream.close()
    outputs = feed(stream, f"<r xmlns='{NS['sm']}'/><a xmlns='{NS['sm']}' h='1'/>{MESSAGE}")
    assert outputs[0] == ev.StanzasAcked(1)
    assert isinstance(outputs[1], ev.StanzaArrived)
    assert stream.taken(1) == []
    assert feed(stream, FOOTER) == CLEAN


def test_a_stream_error_while_closing_is_not_answered_again() -> None:
    stream, _ = stream_at(State.CLOSING)
    outputs = feed(stream, f"<stream:error><reset xmlns='{NS['streams']}'/></stream:error>")
    assert outputs[0] == Disconnect()
    assert written(outputs) == b""


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
def test_giving_up_ends_every_stream_at_once(state: State) -> None:
    stream, _ = stream_at(state)
    error = DeadlineExceeded("too late")
    *before, disconnect, ended = stream.abort(error)
    assert (disconnect, ended) == (Disconnect(), ev.StreamEnded(error))
    assert written(before) == (FOOTER.encode() if state in ENDABLE else b"")
    assert stream.abort(error) == []


def test_a_stream_error_is_answered_with_the_footer() -> None:
    stream, _ = stream_at(State.LIVE)
    said = f"<stream:error><conflict xmlns='{NS['streams']}'/><text xmlns='{NS['streams']}'>Replaced</text>"
    footer, _, ended = feed(stream, said + "</stream:error>")
    assert footer == Write(FOOTER.encode())
    assert isinstance(ended, ev.StreamEnded)
    assert str(ended.error) == "the server closed the stream: conflict (Replaced)"


def test_a_reader_that_closes_between_two_stanzas_still_gets_the_second() -> None:
    stream, server = stream_at(State.LIVE)
    outputs = []
    for output in stream.receive((MESSAGE + MESSAGE).encode()):
        outputs.append(output)
        if len(outputs) == 1:
            outputs += stream.close()
    assert [type(output) for output in outputs] == [ev.StanzaArrived, Write, ev.StanzaArrived]
    assert step(stream, server) == CLEAN


def test_a_reader_that_gives_up_between_two_stanzas_gets_no_more() -> None:
    stream, _ = stream_at(State.LIVE)
    outputs = []
    for output in stream.receive((MESSAGE + MESSAGE).encode()):
        outputs += [output, *stream.abort(None)]
    assert [type(output) for output in outputs] == [ev.StanzaArrived, Write, Disconnect, ev.StreamEnded]
    assert isinstance(stream, Stream)
