"""Good sessions as playbooks: what comes in, and exactly what goes out."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from protocol.playbook import (
    BIND_RESULT,
    ENABLED,
    FOOTER,
    HEADER,
    JULIET,
    MESSAGE,
    NS,
    PROCEED,
    STARTTLS_FEATURES,
    GoodServer,
    bound_features,
    fault_of,
    feed,
    mechanisms,
    new_stream,
    step,
    stream_at,
)

from xmppsh.errors import ProtocolViolation, StanzaError
from xmppsh.model import Credentials, Jid
from xmppsh.protocol import events as ev
from xmppsh.protocol import scram
from xmppsh.protocol.actions import Disconnect, HashPassword, StartTls, Write
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import Xml

OURS = 'xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">'
CLEAR_HEADER = f'<?xml version=\'1.0\'?><stream:stream to="example.org" version="1.0" xml:lang="en" {OURS}'
OWN_HEADER = CLEAR_HEADER.replace("<stream:stream ", '<stream:stream from="juliet@example.org" ')
STARTTLS = '<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>'
BIND = (
    '<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>balcony</resource></bind></iq>'
)
ENABLE = '<enable xmlns="urn:xmpp:sm:3" resume="false"/>'
SUCCESS = f"<success xmlns='{NS['sasl']}'/>"


def sends(text: str, *, secret: bool = False) -> Write:
    return Write(text.encode(), secret)


def auth(mechanism: str, message: bytes) -> Write:
    content = b64encode(message).decode() if message else "="
    return sends(f'<auth xmlns="{NS["sasl"]}" mechanism="{mechanism}">{content}</auth>', secret=True)


def challenge(text: str) -> str:
    return f"<challenge xmlns='{NS['sasl']}'>{b64encode(text.encode()).decode()}</challenge>"


def success(text: str) -> str:
    return f"<success xmlns='{NS['sasl']}'>{b64encode(text.encode()).decode()}</success>"


def established(mechanism: str, *, acks: bool = True, jid: str = "juliet@example.org/balcony") -> object:
    return ev.SessionEstablished(Jid.parse(jid), mechanism, acks)


class _Play:
    """One line of a playbook: `said >> [what follows]`."""

    def __init__(self, said: Any) -> None:
        self.said = said
        self.expected: list[object] = []

    def __rshift__(self, expected: list[object]) -> "_Play":
        self.expected = expected
        return self


def bound(mechanism: str, *, first: str = SUCCESS) -> list[_Play]:
    return [
        _Play(first) >> [sends(OWN_HEADER)],
        _Play(HEADER + bound_features()) >> [sends(BIND), sends(ENABLE)],
        _Play(BIND_RESULT) >> [],
        _Play(ENABLED) >> [established(mechanism)],
        _Play(f"<r xmlns='{NS['sm']}'/>") >> [ev.HandledNoted(0), sends('<a xmlns="urn:xmpp:sm:3" h="0"/>')],
        _Play(FOOTER) >> [sends(FOOTER), Disconnect(), ...],
    ]


PLAIN = auth("PLAIN", b"\0juliet\0pencil")
FIRST = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
PROOF = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

SESSIONS: dict[str, tuple[dict[str, Any], list[_Play]]] = {
    "starttls and PLAIN": (
        {"tls": "starttls"},
        [
            _Play(Stream.open) >> [sends(CLEAR_HEADER)],
            _Play(HEADER + STARTTLS_FEATURES) >> [sends(STARTTLS)],
            _Play(PROCEED) >> [StartTls()],
            _Play(ev.TlsEstablished(None)) >> [sends(OWN_HEADER)],
            _Play(HEADER + mechanisms("PLAIN")) >> [PLAIN],
            *bound("PLAIN"),
        ],
    ),
    "direct TLS and EXTERNAL": (
        {"tls": "direct", "credentials": Credentials(certificate=True)},
        [
            _Play(Stream.open) >> [StartTls()],
            _Play(ev.TlsEstablished(None)) >> [sends(OWN_HEADER)],
            _Play(HEADER + mechanisms("PLAIN", "EXTERNAL")) >> [auth("EXTERNAL", b"juliet@example.org")],
            *bound("EXTERNAL"),
        ],
    ),
    "no TLS and ANONYMOUS": (
        {"tls": "off", "credentials": Credentials(anonymous=True)},
        [
            _Play(Stream.open) >> [sends(OWN_HEADER)],
            _Play(HEADER + mechanisms("ANONYMOUS")) >> [auth("ANONYMOUS", b"")],
            *bound("ANONYMOUS"),
        ],
    ),
    "no TLS and SCRAM": (
        {"tls": "off", "jid": Jid.parse("user@example.org/balcony")},
        [
            _Play(Stream.open) >> [...],
            _Play(HEADER + mechanisms("SCRAM-SHA-256", "PLAIN"))
            >> [auth("SCRAM-SHA-256", b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")],
            _Play(challenge(FIRST)) >> [...],
            _Play(ev.PasswordHashed(FINAL)) >> [...],
            _Play(success(PROOF)) >> [...],
        ],
    ),
}


@pytest.fixture
def _known_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nonce of RFC 7677 §3 for every SCRAM client."""
    monkeypatch.setattr(scram, "new_nonce", lambda: "rOprNGfwEbeRWgbNEkqO")


def perform(stream: Stream, play: _Play, pieces: list[bytes] | None = None) -> list[Any]:
    if play.said is Stream.open:
        return list(stream.open())
    if not isinstance(play.said, str):
        return list(stream.handle(play.said))
    return [output for piece in pieces or [play.said.encode()] for output in feed(stream, piece)]


def agree(got: list[Any], expected: list[Any]) -> bool:
    if ... in expected:
        expected = expected[:-1]
        got = got[: len(expected)]
    return got == expected


@pytest.mark.usefixtures("_known_nonce")
@pytest.mark.parametrize(("changes", "plays"), SESSIONS.values(), ids=SESSIONS)
def test_a_good_session_goes_by_the_book(changes: dict[str, Any], plays: list[_Play]) -> None:
    stream = new_stream(**changes)
    for play in plays:
        got = perform(stream, play)
        assert agree(got, play.expected), (play.said, got)


def _cut_sessions() -> Iterator[Any]:
    for name in ("starttls and PLAIN", "direct TLS and EXTERNAL", "no TLS and ANONYMOUS"):
        changes, plays = SESSIONS[name]
        for index, play in enumerate(plays):
            if isinstance(play.said, str):
                yield pytest.param(changes, plays, index, id=f"{name}-{index}")


@pytest.mark.parametrize(("changes", "plays", "index"), list(_cut_sessions()))
def test_a_good_session_is_the_same_wherever_the_server_s_bytes_are_cut(
    changes: dict[str, Any], plays: list[_Play], index: int
) -> None:
    data = plays[index].said.encode()
    cuts = [[data[:point], data[point:]] for point in range(1, len(data))]
    for pieces in [*cuts, [data[point : point + 1] for point in range(len(data))]]:
        stream = new_stream(**changes)
        for play in plays[:index]:
            perform(stream, play)
        assert agree(perform(stream, plays[index], pieces), plays[index].expected), pieces


@pytest.mark.usefixtures("_known_nonce")
def test_scram_goes_by_the_vectors_of_rfc_7677() -> None:
    stream = new_stream("off", jid=Jid.parse("user@example.org"))
    stream.open()
    (first,) = feed(stream, HEADER + mechanisms("SCRAM-SHA-256"))
    assert first == auth("SCRAM-SHA-256", b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    (work,) = feed(stream, challenge(FIRST))
    assert isinstance(work, HashPassword)
    assert work.work() == FINAL
    (response,) = stream.handle(ev.PasswordHashed(FINAL))
    assert response == sends(
        f'<response xmlns="{NS["sasl"]}">{b64encode(FINAL).decode()}</response>', secret=True
    )  # fmt: skip
    assert stream.state is State.SASL
    feed(stream, success(PROOF))
    assert stream.state is State.AUTHENTICATED


@pytest.mark.usefixtures("_known_nonce")
def test_the_server_s_proof_may_come_in_a_challenge() -> None:
    stream = new_stream("off", jid=Jid.parse("user@example.org"))
    stream.open()
    feed(stream, HEADER + mechanisms("SCRAM-SHA-256"))
    (work,) = feed(stream, challenge(FIRST))
    stream.handle(ev.PasswordHashed(work.work()))  # type: ignore[union-attr]
    assert feed(stream, challenge(PROOF)) == [sends(f'<response xmlns="{NS["sasl"]}"/>', secret=True)]
    feed(stream, SUCCESS)
    assert stream.state is State.AUTHENTICATED


def test_a_session_without_a_resource_asks_for_none() -> None:
    stream, _ = stream_at(State.AUTHENTICATED, jid=JULIET.bare)
    assert feed(stream, HEADER + bound_features()) == [
        sends('<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'),
        sends(ENABLE),
    ]


@pytest.mark.parametrize(("jid", "asked"), [(JULIET.bare, "x1"), (JULIET, "balcony")])
def test_a_resource_of_ours_is_asked_for_where_the_address_names_none(jid: Jid, asked: str) -> None:
    stream, _ = stream_at(State.AUTHENTICATED, jid=jid, resource="x1")
    request, _ = feed(stream, HEADER + bound_features())
    assert isinstance(request, Write)
    assert f"<resource>{asked}</resource>".encode() in request.data


@pytest.mark.parametrize("how", ["not offered", "not wanted", "refused"])
def test_a_session_without_acks_is_established_and_says_so(how: str) -> None:
    stream, _ = stream_at(State.AUTHENTICATED, acks=how != "not wanted")
    feed(stream, HEADER + bound_features(sm=how != "not offered"))
    outputs = feed(stream, BIND_RESULT)
    if how == "refused":
        assert outputs == []
        outputs = feed(stream, f"<failed xmlns='{NS['sm']}'><internal-server-error xmlns='{NS['stanzas']}'/></failed>")
    assert outputs == [established("SCRAM-SHA-1", acks=False)]
    assert stream.request_ack() == []
    (arrived,) = feed(stream, MESSAGE)
    assert isinstance(arrived, ev.StanzaArrived)
    assert stream.taken(0) == []


TOO_EARLY = f"<failed xmlns='{NS['sm']}'><unexpected-request xmlns='{NS['stanzas']}'/></failed>"


@pytest.mark.parametrize("texts", [(TOO_EARLY, BIND_RESULT), (BIND_RESULT, TOO_EARLY)], ids=["before", "after"])
def test_acks_are_asked_for_once_more_where_the_server_had_not_bound_us_yet(texts: tuple[str, str]) -> None:
    stream, _ = stream_at(State.BINDING)
    assert feed(stream, texts[0]) == []
    assert feed(stream, texts[1]) == [sends(ENABLE)]
    assert feed(stream, TOO_EARLY) == [established("SCRAM-SHA-1", acks=False)], "and not a third time"


def test_a_refusal_of_acks_that_nobody_asked_for_ends_the_stream() -> None:
    stream, _ = stream_at(State.BINDING, acks=False)
    assert isinstance(fault_of(feed(stream, TOO_EARLY)), ProtocolViolation)


def test_the_jid_that_the_server_binds_is_the_session_s() -> None:
    stream, _ = stream_at(State.BINDING)
    feed(stream, BIND_RESULT.replace("balcony", "balcony-7f3a"))
    assert feed(stream, ENABLED) == [established("SCRAM-SHA-1", jid="juliet@example.org/balcony-7f3a")]


def test_a_bind_error_ends_the_stream_with_what_the_server_said() -> None:
    stream, _ = stream_at(State.BINDING)
    error = f"<error type='wait'><resource-constraint xmlns='{NS['stanzas']}'/></error>"
    *_, disconnect, ended = feed(stream, f"<iq type='error' id='bind'>{error}</iq>")
    assert disconnect == Disconnect()
    assert isinstance(ended, ev.StreamEnded)
    assert isinstance(ended.error, StanzaError)
    assert (ended.error.layer, ended.error.condition, ended.error.exit_code) == ("bind", "resource-constraint", 75)


def test_stanzas_are_counted_both_ways_and_acks_release_the_oldest() -> None:
    stream, _ = stream_at(State.LIVE)
    stanza = Xml("<message to='a@b'/>")
    for _ in range(3):
        assert stream.send(stanza) == [sends(stanza)]
    assert stream.request_ack() == [sends('<r xmlns="urn:xmpp:sm:3"/>')]
    assert feed(stream, f"<a xmlns='{NS['sm']}' h='2'/>") == [ev.StanzasAcked(2)]
    assert feed(stream, f"<a xmlns='{NS['sm']}' h='2'/>") == [ev.StanzasAcked(0)]  # it lives
    assert feed(stream, f"<a xmlns='{NS['sm']}' h='3'/>") == [ev.StanzasAcked(1)]
    outputs = feed(stream, MESSAGE + MESSAGE)
    assert [output.number for output in outputs] == [1, 2]  # type: ignore[union-attr]


def test_an_ack_request_is_answered_with_what_was_taken_and_again_when_the_rest_is() -> None:
    stream, _ = stream_at(State.LIVE)
    feed(stream, MESSAGE + MESSAGE)
    assert stream.taken(1) == []
    assert feed(stream, f"<r xmlns='{NS['sm']}'/>") == [ev.HandledNoted(1), sends('<a xmlns="urn:xmpp:sm:3" h="1"/>')]
    assert stream.taken(2) == [ev.HandledNoted(2), sends('<a xmlns="urn:xmpp:sm:3" h="2"/>')]


def test_a_stanza_taken_at_once_counts_in_the_ack_of_the_same_read() -> None:
    stream, _ = stream_at(State.LIVE)
    answers = []
    for output in stream.receive(f"{MESSAGE}<r xmlns='{NS['sm']}'/>".encode()):
        answers.append(output)
        if isinstance(output, ev.StanzaArrived):
            stream.taken(output.number)
    assert answers[1:] == [ev.HandledNoted(1), sends('<a xmlns="urn:xmpp:sm:3" h="1"/>')]


def test_a_nonza_that_nobody_knows_is_passed_over_in_a_live_stream() -> None:
    stream, _ = stream_at(State.LIVE)
    assert feed(stream, "<csi xmlns='urn:unknown'/>") == []
    assert stream.state is State.LIVE


def test_a_trace_sees_every_item_of_the_server() -> None:
    stream, server = new_stream(), GoodServer()
    seen: list[str] = []
    stream.on_item = lambda item: seen.append(getattr(item, "kind", type(item).__name__))
    server.hear(stream.open())
    while stream.state is not State.LIVE:
        step(stream, server)
    assert seen == [
        *("Header", "features", "proceed", "Header", "features", "challenge", "success"),
        *("Header", "features", "iq", "enabled"),
    ]
