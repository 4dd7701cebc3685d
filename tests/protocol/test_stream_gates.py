"""The gates: what a state does not allow ends the stream, and writes nothing secret."""

import inspect
import itertools

import pytest
from protocol.playbook import (
    BIND_RESULT,
    ENABLED,
    FOOTER,
    HEADER,
    MESSAGE,
    NS,
    PROCEED,
    RESUMED,
    bound_features,
    fault_of,
    feed,
    mechanisms,
    new_stream,
    stream_at,
    written,
)

from xmppsh.errors import ConnectionLost, ProtocolError, ProtocolViolation, SaslError, StreamError
from xmppsh.model import Credentials, Element
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Disconnect, StartTls, Write
from xmppsh.protocol.table import TABLE, State
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.reader import Limits, Run, read_element

NONZAS: dict[type, str] = {
    ev.FeaturesReceived: "<stream:features/>",
    ev.StreamErrorReceived: f"<stream:error><conflict xmlns='{NS['streams']}'/></stream:error>",
    ev.ProceedReceived: PROCEED,
    ev.TlsFailureReceived: f"<failure xmlns='{NS['tls']}'/>",
    ev.ChallengeReceived: f"<challenge xmlns='{NS['sasl']}'/>",
    ev.SuccessReceived: f"<success xmlns='{NS['sasl']}'/>",
    ev.SaslFailureReceived: f"<failure xmlns='{NS['sasl']}'><not-authorized/></failure>",
    ev.Sasl2ChallengeReceived: f"<challenge xmlns='{NS['sasl2']}'/>",
    ev.Sasl2SuccessReceived: f"<success xmlns='{NS['sasl2']}'/>",
    ev.Sasl2FailureReceived: f"<failure xmlns='{NS['sasl2']}'><not-authorized xmlns='{NS['sasl']}'/></failure>",
    ev.ContinueReceived: f"<continue xmlns='{NS['sasl2']}'/>",
    ev.StanzaReceived: MESSAGE,
    ev.EnabledReceived: ENABLED,
    ev.ResumedReceived: RESUMED,
    ev.SmFailureReceived: f"<failed xmlns='{NS['sm']}'/>",
    ev.AckReceived: f"<a xmlns='{NS['sm']}' h='0'/>",
    ev.AckRequestReceived: f"<r xmlns='{NS['sm']}'/>",
    ev.UnknownReceived: "<x xmlns='urn:unknown'/>",
}
EVENTS: dict[type, object] = {
    **{kind: kind(read_element(xml)) for kind, xml in NONZAS.items()},
    ev.RunReceived: ev.RunReceived(Run([MESSAGE], [(None, None, None, None, None, "><body>x</body>")])),
    ev.HeaderReceived: ev.HeaderReceived("{http://etherx.jabber.org/streams}stream", {}),
    ev.FooterReceived: ev.FooterReceived(),
    ev.TlsEstablished: ev.TlsEstablished(None),
    ev.PasswordHashed: ev.PasswordHashed(b"the secret"),
    ev.LinkLost: ev.LinkLost(),
}
OUTWARD = {
    *(ev.TokenIssued, ev.TokenRefused),
    *(ev.RegistrationOpen, ev.ResourceBound, ev.SessionEstablished, ev.SessionConfirmed),
    *(ev.SessionResumed, ev.ResumeFailed),
    *(ev.StanzaArrived, ev.RunArrived, ev.HandledNoted, ev.StanzasAcked, ev.StreamEnded),
}
FORBIDDEN = [pair for pair in itertools.product(State, EVENTS) if pair not in TABLE and pair[0] is not State.CLOSED]


def test_every_event_is_tried() -> None:
    defined = {kind for _, kind in inspect.getmembers(ev, inspect.isclass) if kind.__module__ == ev.__name__}
    assert defined - OUTWARD - {ev.ElementReceived} == set(EVENTS)


@pytest.mark.parametrize(("state", "kind"), FORBIDDEN, ids=lambda part: getattr(part, "__name__", str(part)))
def test_what_a_state_does_not_allow_ends_the_stream(state: State, kind: type) -> None:
    stream, _ = stream_at(state)
    outputs = stream.handle(EVENTS[kind])
    assert stream.is_closed
    *before, disconnect, ended = outputs
    assert disconnect == Disconnect()
    assert isinstance(ended, ev.StreamEnded)
    assert isinstance(ended.error, ProtocolViolation)
    assert str(state) in str(ended.error)
    assert before in ([], [Write(FOOTER.encode())])


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_a_closed_stream_does_nothing_more(kind: type) -> None:
    stream, _ = stream_at(State.CLOSED)
    assert stream.handle(EVENTS[kind]) == []
    assert feed(stream, MESSAGE) == []
    assert stream.close() == []
    assert stream.abort(None) == []
    assert stream.request_ack() == []


# What the table must say, apart from what it says: nobody logs in, binds or is heard too early.
@pytest.mark.parametrize(("kind", "allowed"), [
    (ev.ProceedReceived, {State.STARTTLS}),
    (ev.TlsEstablished, {State.HANDSHAKE}),
    (ev.ChallengeReceived, {State.SASL}),
    (ev.SuccessReceived, {State.SASL}),
    (ev.Sasl2ChallengeReceived, {State.SASL2}),
    (ev.Sasl2SuccessReceived, {State.SASL2}),
    (ev.PasswordHashed, {State.HASHING, State.SASL2_HASHING}),
    (ev.EnabledReceived, {State.BOUND}),
    (ev.ResumedReceived, {State.RESUMING}),
    (ev.StanzaReceived, {State.REGISTERING, State.BINDING, State.BOUND, State.LIVE, State.CLOSING}),
    (ev.RunReceived, {State.LIVE, State.CLOSING}),
    (ev.AckReceived, {State.LIVE, State.CLOSING}),
    (ev.FeaturesReceived, {State.PLAIN, State.SECURED, State.AUTHENTICATED}),
])  # fmt: skip
def test_each_event_has_its_states_and_no_others(kind: type, allowed: set[State]) -> None:
    found = {state for state, event in TABLE if event is kind}
    assert found - {State.CLOSING} == allowed - {State.CLOSING}
    assert State.CLOSED not in found


@pytest.mark.parametrize("behind", [" ", "<", MESSAGE, HEADER, "\x00"])
def test_clear_text_behind_proceed_ends_the_stream_unread(behind: str) -> None:
    stream, _ = stream_at(State.STARTTLS)
    outputs = feed(stream, PROCEED + behind)
    assert StartTls() not in outputs
    assert not written(outputs)
    assert str(fault_of(outputs)) == "the server sent clear text after <proceed/>"
    assert fault_of(outputs).layer == "tls"


def test_clear_text_after_proceed_ends_the_stream() -> None:
    stream, _ = stream_at(State.STARTTLS)
    assert feed(stream, PROCEED) == [StartTls()]
    assert str(fault_of(feed(stream, "x"))) == "the server sent clear text where TLS was to start"
    assert stream.handle(ev.TlsEstablished(None)) == []


def test_nothing_is_remembered_from_before_tls() -> None:
    stream, _ = stream_at(State.HANDSHAKE)
    stream.handle(ev.TlsEstablished(None))
    outputs = feed(stream, "<stream:features/>")  # the header of the clear stream does not count
    assert isinstance(fault_of(outputs), ProtocolError)


@pytest.mark.parametrize("behind", [MESSAGE, "<stream:features/>", "<", "text"])
def test_what_follows_success_in_the_old_stream_is_not_read(behind: str) -> None:
    stream, _ = stream_at(State.SECURED)
    feed(stream, HEADER + mechanisms("PLAIN"))
    outputs = feed(stream, f"<success xmlns='{NS['sasl']}'/>{behind}")
    if behind == "<":  # a rest is thrown away with its reader
        assert stream.state is State.AUTHENTICATED
    else:
        assert isinstance(fault_of(outputs), ProtocolError)
    assert b"<bind" not in written(outputs)


@pytest.mark.parametrize("offer", ["", f"<mechanisms xmlns='{NS['sasl']}'><mechanism>PLAIN</mechanism></mechanisms>"])
def test_without_starttls_nothing_is_sent(offer: str) -> None:
    stream, _ = stream_at(State.PLAIN)
    outputs = feed(stream, f"{HEADER}<stream:features>{offer}</stream:features>")
    assert written(outputs) == FOOTER.encode()
    error = fault_of(outputs)
    assert str(error) == "example.org offers no STARTTLS, and without TLS nothing is sent"
    hint = "--tls direct --host HOST:5223, if it has direct TLS; or its operator must switch STARTTLS on"
    assert error.hint == hint


def test_success_without_the_server_s_proof_is_none() -> None:
    for data in ("", "=", "dj1hYmM=", "dj0="):
        stream, _ = stream_at(State.HASHING)
        stream.handle(ev.PasswordHashed(b"c=biws,r=x,p=y"))
        outputs = feed(stream, f"<success xmlns='{NS['sasl']}'>{data}</success>")
        assert isinstance(fault_of(outputs), ProtocolError)
        assert b"<bind" not in written(outputs)


def test_success_before_any_challenge_is_none() -> None:
    stream, _ = stream_at(State.SASL)
    error = fault_of(feed(stream, f"<success xmlns='{NS['sasl']}'/>"))
    assert str(error) == "the server says success without proving that it knows the password"
    assert error.hint == "someone may be between you and the server"


def test_a_refused_login_says_whose_and_why() -> None:
    stream, _ = stream_at(State.SASL)
    failure = f"<failure xmlns='{NS['sasl']}'><not-authorized/><text>No such luck</text></failure>"
    error = fault_of(feed(stream, failure))
    assert isinstance(error, SaslError)
    assert str(error) == "juliet@example.org: the server refused the login: not-authorized (No such luck)"
    assert (error.exit_code, error.condition) == (77, "not-authorized")


@pytest.mark.parametrize("answer", [
    "<iq type='result' id='other'/>",
    "<iq type='result'/>",
    MESSAGE,
    "<presence/>",
    "<iq type='result' id='bind'/>",
    f"<iq type='result' id='bind'><bind xmlns='{NS['bind']}'/></iq>",
    f"<iq type='result' id='bind'><bind xmlns='{NS['bind']}'><jid>juliet@example.org</jid></bind></iq>",
    BIND_RESULT.replace("'result'", "'set'"),
])  # fmt: skip
def test_an_answer_that_binds_nothing_ends_the_stream(answer: str) -> None:
    stream, _ = stream_at(State.BINDING)
    outputs = feed(stream, answer)
    assert isinstance(fault_of(outputs), ProtocolError)
    assert fault_of(outputs).exit_code == 76


@pytest.mark.parametrize("address", ["@@example.org", "juliet@evil.example"])
def test_a_bound_jid_that_is_none_or_of_another_domain_is_the_server_s_fault(address: str) -> None:
    stream, _ = stream_at(State.BINDING)
    error = fault_of(feed(stream, BIND_RESULT.replace("juliet@example.org", address)))
    assert (error.exit_code, error.layer) == (76, "bind")


@pytest.mark.parametrize("h", ["", "-1", "x", "1.0", "٣", " 1", "4294967296", "0x1", "1"])
def test_an_ack_that_is_no_number_or_too_high_ends_the_stream(h: str) -> None:
    stream, _ = stream_at(State.LIVE)
    outputs = feed(stream, f"<a xmlns='{NS['sm']}' h='{h}'/>")
    assert isinstance(fault_of(outputs), ProtocolError)
    assert written(outputs).endswith(b"</stream:error>" + FOOTER.encode())


HUGE = "9" * 5000


def test_an_ack_of_five_thousand_digits_ends_the_stream() -> None:
    stream, _ = stream_at(State.LIVE)
    assert isinstance(fault_of(feed(stream, f"<a xmlns='{NS['sm']}' h='{HUGE}'/>")), ProtocolError)


def limits(text: str) -> str:
    return f"<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{text}</max-bytes></limits>"


@pytest.mark.parametrize(("first", "then", "expected"), [
    (limits("10000"), limits("500000"), 262144),
    (limits("10000"), limits("20000"), 20000),
    (limits("10000"), "", 262144),
    ("", limits("5000"), 10000),  # RFC 6120 §13.12: no server may allow less
    ("", limits("0"), 10000),
    ("", limits("x"), 262144),
    ("", limits("-1"), 262144),
    ("", limits("٣"), 262144),
])  # fmt: skip
def test_the_latest_limit_of_the_server_counts_and_only_downwards(first: str, then: str, expected: int) -> None:
    stream, _ = stream_at(State.SECURED)
    feed(stream, HEADER + mechanisms("PLAIN", inside=first))
    if "10000" in first:
        assert stream.max_stanza_bytes == 10000
    feed(stream, f"<success xmlns='{NS['sasl']}'/>")
    feed(stream, HEADER + bound_features(inside=then))
    assert stream.max_stanza_bytes == expected


def test_a_limit_of_five_thousand_digits_is_no_limit() -> None:
    stream, _ = stream_at(State.SECURED)
    feed(stream, HEADER + mechanisms("PLAIN", inside=limits(HUGE)))
    assert stream.max_stanza_bytes == 262144


@pytest.mark.parametrize(("bad", "condition"), [
    ("<message></presence>", "not-well-formed"),
    ("<!-- x -->", "restricted-xml"),
    ("<message>" + "x" * 20_000 + "</message>", "policy-violation"),
])  # fmt: skip
def test_bad_xml_is_answered_with_its_stream_error(bad: str, condition: str) -> None:
    stream, _ = stream_at(State.LIVE, limits=Limits(stanza_bytes=1024))
    arrived, *outputs = feed(stream, MESSAGE + bad)
    assert isinstance(arrived, ev.StanzaArrived)
    error = f'<stream:error><{condition} xmlns="{NS["streams"]}"/></stream:error>'
    assert written(outputs) == (error + FOOTER).encode()
    assert fault_of(outputs).condition in (None, condition)


def redirect(target: str) -> str:
    return f"<stream:error><see-other-host xmlns='{NS['streams']}'>{target}</see-other-host></stream:error>"


@pytest.mark.parametrize("state", [State.PLAIN, State.STARTTLS, State.SECURED, State.SASL, State.HASHING])
def test_a_server_that_has_not_proved_itself_cannot_redirect(state: State) -> None:
    stream, _ = stream_at(state)
    before = HEADER if state in (State.PLAIN, State.SECURED) else ""
    ended = feed(stream, before + redirect("evil.example:5222"))[-1]
    assert isinstance(ended, ev.StreamEnded)
    assert ended.redirect is None
    assert str(ended.error) == "a server that has not proved who it is redirects to evil.example:5222"


@pytest.mark.parametrize("state", [State.AUTHENTICATED, State.RESUMING, State.BINDING, State.BOUND, State.LIVE])
def test_a_server_that_has_proved_itself_can_redirect(state: State) -> None:
    stream, _ = stream_at(state)
    before = HEADER if state is State.AUTHENTICATED else ""
    ended = feed(stream, before + redirect(" other.example:5222\n"))[-1]
    assert isinstance(ended, ev.StreamEnded)
    assert ended.redirect == "other.example:5222"
    assert isinstance(ended.error, StreamError)


def test_without_tls_plain_is_never_used() -> None:
    stream = new_stream("off")
    stream.open()
    outputs = feed(stream, HEADER + mechanisms("PLAIN"))
    assert isinstance(fault_of(outputs), SaslError)
    assert b"<auth" not in written(outputs)


def test_secrets_do_not_show_in_what_is_printed_of_them() -> None:
    stream, _ = stream_at(State.HASHING)
    shown = repr([stream.config, Credentials("pencil"), ev.PasswordHashed(b"pencil"), ev.TlsEstablished(b"pencil")])
    assert "pencil" not in shown
    assert "Element" in repr(Element("a", {}, "<a/>"))


def test_a_link_that_breaks_before_a_word_says_so() -> None:
    stream, _ = stream_at(State.PLAIN)
    error = fault_of(stream.handle(ev.LinkLost("connection reset by peer")))
    assert isinstance(error, ConnectionLost)
    assert str(error) == "no XMPP from the server: connection reset by peer"


@pytest.mark.parametrize("state", [State.STARTTLS, State.SASL, State.BINDING, State.BOUND])
def test_a_link_that_breaks_before_the_session_begins_says_so_with_a_way_out(state: State) -> None:
    stream, _ = stream_at(state)
    error = fault_of(stream.handle(ev.LinkLost("connection reset by peer")))
    assert str(error) == "the connection to example.org broke before the session began: connection reset by peer"
    assert error.hint == "try again later"


def test_a_link_that_breaks_later_names_the_cause_alone() -> None:
    stream, _ = stream_at(State.LIVE)
    assert str(fault_of(stream.handle(ev.LinkLost()))) == "the connection broke: the server closed it"


def test_a_registration_is_offered_under_tls_alone_and_never_leads_to_a_session() -> None:
    stream, _ = stream_at(State.REGISTERING)
    (write,) = stream.ask_to_register(Xml("<iq type='get' id='1'/>"))
    assert written([write]) == b"<iq type='get' id='1'/>"
    assert all(state in (State.REGISTERING, State.CLOSING) for (at, _), step in TABLE.items()
               if at is State.REGISTERING for state in step.to)  # fmt: skip
    before = {at for (at, _), step in TABLE.items() if State.REGISTERING in step.to} - {State.REGISTERING}
    assert before == {State.SECURED}
