"""Servers that are not ours: another mechanism on the same stream, and the session request of RFC 3921."""

import re
from typing import Any

import pytest
from protocol.playbook import (
    BIND_RESULT,
    HEADER,
    NS,
    bound_features,
    fault_of,
    feed,
    mechanisms,
    new_stream,
    stream_at,
    written,
)

from xmppsh.errors import SaslError, StanzaError
from xmppsh.model import Credentials
from xmppsh.protocol import events as ev
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State

SESSION = "urn:ietf:params:xml:ns:xmpp-session"


def failure(condition: str) -> str:
    return f"<failure xmlns='{NS['sasl']}'><{condition}/></failure>"


def secured(*offered: str, **changes: Any) -> tuple[Stream, str]:
    """A stream that has begun its login; the mechanism."""
    stream, _ = stream_at(State.SECURED, **changes)
    return stream, mechanism_of(feed(stream, HEADER + mechanisms(*offered)))


def mechanism_of(outputs: list[Any]) -> str:
    found = re.search(rb'mechanism="([^"]+)"', written(outputs))
    return "" if found is None else found.group(1).decode()


@pytest.mark.parametrize("condition", ["invalid-mechanism", "mechanism-too-weak"])
@pytest.mark.parametrize(("offered", "order"), [
    (("SCRAM-SHA-512", "SCRAM-SHA-1"), ["SCRAM-SHA-512", "SCRAM-SHA-1"]),
    (("SCRAM-SHA-1", "SCRAM-SHA-256", "ANONYMOUS"), ["SCRAM-SHA-256", "SCRAM-SHA-1"]),
    (("PLAIN",), ["PLAIN"]),
    (("LOGIN", "SCRAM-SHA-1", "DIGEST-MD5"), ["SCRAM-SHA-1"]),
])  # fmt: skip
def test_the_next_mechanism_is_tried_on_the_same_stream_each_once(
    condition: str, offered: tuple[str, ...], order: list[str]
) -> None:
    stream, first = secured(*offered)
    tried = [first]
    while not stream.is_closed:
        outputs = feed(stream, failure(condition))
        if stream.is_closed:
            error = fault_of(outputs)
        else:
            tried.append(mechanism_of(outputs))
    assert tried == order
    assert isinstance(error, SaslError)
    assert error.condition == condition


def test_plain_is_next_for_a_server_that_cannot_do_scram_and_not_for_one_that_finds_it_too_weak() -> None:
    stream, _ = secured("SCRAM-SHA-1", "PLAIN")
    assert mechanism_of(feed(stream, failure("invalid-mechanism"))) == "PLAIN"
    stream, _ = secured("SCRAM-SHA-1", "PLAIN")
    assert fault_of(feed(stream, failure("mechanism-too-weak"))).condition == "mechanism-too-weak"


def test_only_the_mechanism_that_was_asked_for_is_tried() -> None:
    stream, _ = secured("SCRAM-SHA-1", "PLAIN", credentials=Credentials("pencil", mechanism="SCRAM-SHA-1"))
    assert fault_of(feed(stream, failure("invalid-mechanism"))).condition == "invalid-mechanism"


def test_plain_is_not_the_next_mechanism_without_tls() -> None:
    stream = new_stream(tls="off")
    list(stream.open())
    assert mechanism_of(feed(stream, HEADER + mechanisms("SCRAM-SHA-1", "PLAIN"))) == "SCRAM-SHA-1"
    assert fault_of(feed(stream, failure("mechanism-too-weak"))).condition == "mechanism-too-weak"


@pytest.mark.parametrize("condition", ["not-authorized", "account-disabled", "temporary-auth-failure", "aborted"])
def test_no_other_failure_is_answered_with_another_mechanism(condition: str) -> None:
    stream, _ = secured("SCRAM-SHA-1", "PLAIN")
    assert fault_of(feed(stream, failure(condition))).condition == condition


@pytest.mark.parametrize(("offered", "hint"), [
    (("SCRAM-SHA-1", "PLAIN"), "; if they are right: --mechanism PLAIN"),
    (("SCRAM-SHA-512", "SCRAM-SHA-256", "LOGIN"), "; if they are right: --mechanism SCRAM-SHA-256"),
    (("SCRAM-SHA-1", "LOGIN"), "--password-command)"),
])  # fmt: skip
def test_a_refused_login_names_another_mechanism_that_is_on_offer(offered: tuple[str, ...], hint: str) -> None:
    stream, _ = secured(*offered)
    assert fault_of(feed(stream, failure("not-authorized"))).hint.endswith(hint)


def test_a_refused_login_says_that_the_password_was_sent_as_it_is() -> None:
    stream, _ = secured("SCRAM-SHA-1", credentials=Credentials("🔑"))
    assert "was sent as it is" in fault_of(feed(stream, failure("not-authorized"))).hint


# ── <session/> ──────────────────────────────────────────────────────────────────────────────────────────────────────


def authenticated(session: str, *, sm: bool = True, **changes: Any) -> tuple[Stream, list[Any]]:
    stream, _ = stream_at(State.AUTHENTICATED, **changes)
    feed(stream, HEADER + bound_features(sm=sm, inside=session))
    return stream, feed(stream, BIND_RESULT)


@pytest.mark.parametrize("sm", [True, False])
def test_an_old_server_is_asked_for_a_session_before_anything_else(sm: bool) -> None:
    stream, outputs = authenticated(f"<session xmlns='{SESSION}'/>", sm=sm)
    asked = written(outputs)
    assert asked == b'<iq type="set" id="bind-session"><session xmlns="' + SESSION.encode() + b'"/></iq>'
    outputs = feed(stream, "<iq type='result' id='bind-session'/>")
    assert stream.state is (State.BOUND if sm else State.LIVE)
    assert (b"<enable" in written(outputs)) is sm


@pytest.mark.parametrize("session", ["", f"<session xmlns='{SESSION}'><optional/></session>"])
def test_a_server_to_which_the_session_is_optional_is_not_asked(session: str) -> None:
    stream, outputs = authenticated(session)
    assert b"session" not in written(outputs)
    assert stream.state is State.BOUND


def test_a_refused_session_is_the_server_s_error() -> None:
    stream, _ = authenticated(f"<session xmlns='{SESSION}'/>")
    refusal = "<error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    error = fault_of(feed(stream, f"<iq type='error' id='bind-session'>{refusal}</iq>"))
    assert isinstance(error, StanzaError)
    assert error.layer == "bind"


@pytest.mark.parametrize("answer", ["<iq type='result' id='other'/>", "<message><body>early</body></message>"])
def test_what_is_no_answer_to_the_session_request_breaks_the_protocol(answer: str) -> None:
    stream, _ = authenticated(f"<session xmlns='{SESSION}'/>")
    assert fault_of(feed(stream, answer)).exit_code == 76
    assert not any(isinstance(event, ev.SessionEstablished) for event in feed(stream, ""))
