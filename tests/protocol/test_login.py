"""The newer login (login.py, fast.py): SASL2 where it is offered, a token for the password, and what goes wrong."""

import hashlib
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any

import pytest
from protocol.playbook import (
    HEADER,
    NS,
    TOKEN,
    GoodServer,
    bound_features,
    fault_of,
    feed,
    mechanisms,
    modern,
    new_stream,
    step,
    written,
)
from protocol.test_ahead import ACK, MESSAGE, flights, known, until

from xmppsh.errors import ProtocolError, ProtocolViolation, SaslError
from xmppsh.model import Credentials
from xmppsh.protocol import events as ev
from xmppsh.protocol.ahead import Known, Rung, Surprise
from xmppsh.protocol.fast import Client, Exchange, Token, best
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State

NONE = "HT-SHA-256-NONE"
KEPT = Token(NONE, TOKEN, "2099-01-01T00:00:00Z", "SCRAM-SHA-1")
NOBODY = Client("8b0f0a52-7cb9-4d6e-9e30-7a2f1f4e9d10")
JULIET = replace(NOBODY, token=KEPT)
PROOF = Exchange(KEPT, "juliet", b"")._proof(b"Responder")


def fast_known(rung: Rung) -> Known:
    return replace(known(rung), tokens=frozenset({NONE}))


def success(inside: str = "", data: bytes = PROOF, who: str = "juliet@example.org") -> str:
    name = f"<authorization-identifier>{who}</authorization-identifier>" if who else ""
    said = f"<additional-data>{b64encode(data).decode()}</additional-data>" if data else ""
    return f"<success xmlns='{NS['sasl2']}'>{said}{name}{inside}</success>"


def failure(condition: str) -> str:
    return f"<failure xmlns='{NS['sasl2']}'><{condition} xmlns='{NS['sasl']}'/></failure>"


def at_login(server: GoodServer | None = None, **changes: Any) -> Stream:
    """A stream that has written its token."""
    stream = new_stream(**{"client": JULIET, **changes})
    until(State.SASL2, stream, server or GoodServer(tokens=(NONE,)))
    return stream


@pytest.mark.parametrize(("client", "tls", "rung", "expected"), [
    (NOBODY, "direct", Rung.NOTHING, 7), (NOBODY, "direct", Rung.STANZAS, 5), (NOBODY, "starttls", Rung.STANZAS, 6),
    (NOBODY, "starttls", Rung.NOTHING, 9),
    (JULIET, "direct", Rung.NOTHING, 6), (JULIET, "direct", Rung.BIND, 5), (JULIET, "starttls", Rung.BIND, 6),
    (JULIET, "direct", Rung.STANZAS, 4), (JULIET, "starttls", Rung.STANZAS, 5),
])  # fmt: skip
def test_round_trips_to_an_acknowledged_message_tcp_and_tls_included(
    client: Client, tls: str, rung: Rung, expected: int
) -> None:
    stream, server = new_stream(tls, known=fast_known(rung), client=client), GoodServer(tokens=(NONE,))
    outputs, sent = stream.open(), False
    server.hear(outputs)
    round_trips = 1 + flights(outputs)
    while stream.state is not State.LIVE:
        outputs = step(stream, server)
        if not sent and stream.takes_stanzas:
            outputs += [*stream.send(MESSAGE), *stream.request_ack()]
            sent = True
        round_trips += flights(outputs)
    assert feed(stream, ACK) == [ev.StanzasAcked(1)]
    assert round_trips == expected


def test_a_login_by_password_asks_for_a_token_and_gets_it() -> None:
    stream, server = new_stream("direct", client=NOBODY), GoodServer(tokens=(NONE,))
    server.hear(stream.open())
    outputs: list[Any] = []
    while stream.state is not State.LIVE:
        outputs += step(stream, server)
    assert f'<user-agent id="{NOBODY.id}">'.encode() in written(outputs)
    assert ev.TokenIssued(KEPT) in outputs
    assert stream.way == "SCRAM-SHA-1 (SASL2)"
    assert stream.learned.tokens == {NONE}


def test_a_token_logs_in_without_the_password_and_keeps_the_floor() -> None:
    stream = at_login()
    issued, *_ = feed(stream, success(f"<token xmlns='{NS['fast']}' token='next' expiry='2100-01-01T00:00:00Z'/>"))
    assert issued == ev.TokenIssued(Token(NONE, "next", "2100-01-01T00:00:00Z", "SCRAM-SHA-1"))
    assert stream.state is State.AUTHENTICATED
    assert stream.way == f"{NONE} (SASL2 with a FAST token)"
    feed(stream, bound_features())
    assert stream.state is State.BINDING
    assert stream.learned.mechanism == "SCRAM-SHA-1"


def test_without_who_asks_nothing_is_said_of_tokens() -> None:
    stream, server = new_stream("direct"), GoodServer(tokens=(NONE,))
    until(State.SECURED, stream, server)
    said = written(step(stream, server))
    assert b"<authenticate" in said
    assert NS["fast"].encode() not in said
    assert b"user-agent" not in said


@pytest.mark.parametrize("condition", ["not-authorized", "credentials-expired", "malformed-request", ""])
def test_a_token_that_is_refused_goes_and_the_password_comes_on_the_same_stream(condition: str) -> None:
    stream = at_login()
    gone, login = feed(stream, failure(condition) if condition else f"<failure xmlns='{NS['sasl2']}'/>")
    assert gone == ev.TokenRefused()
    assert b'mechanism="SCRAM-SHA-1"' in written([login])
    assert b"<request-token" in written([login])
    assert isinstance(fault_of(feed(stream, failure("not-authorized"))), SaslError)


def test_a_token_is_kept_where_the_server_cannot_tell_now() -> None:
    outputs = feed(at_login(), failure("temporary-auth-failure"))
    assert ev.TokenRefused() not in outputs
    assert b'mechanism="SCRAM-SHA-1"' in written(outputs)


def test_a_refused_token_gives_the_password_to_no_weaker_login() -> None:
    outputs = feed(at_login(GoodServer("PLAIN", tokens=(NONE,))), failure("not-authorized"))
    assert "the password is not sent" in str(fault_of(outputs))
    assert b"PLAIN" not in written(outputs)


@pytest.mark.parametrize(("said", "sentence"), [
    (success(data=b""), "without proving"), (success(data=b"x" * 32), "without proving"),
    (success(who=""), "as whom"), (success(who="@"), "as whom"),
    (success(who="romeo@example.org"), "as romeo@example.org"), (success(who="juliet@example.net"), "example.net"),
    (f"<challenge xmlns='{NS['sasl2']}'>AAAA</challenge>", "knows no challenges"),
])  # fmt: skip
def test_a_success_that_proves_nothing_or_is_for_another_is_none(said: str, sentence: str) -> None:
    error = fault_of(feed(at_login(), said))
    assert isinstance(error, ProtocolError)
    assert error.layer == "sasl"
    assert sentence in str(error)


def test_an_answer_that_comes_twice_ends_the_stream() -> None:
    assert isinstance(fault_of(feed(at_login(), success() * 2)), ProtocolViolation)


@pytest.mark.parametrize("tasks", ["", "<tasks><task>TOTP-EXAMPLE</task></tasks>"])
def test_more_than_the_password_is_a_refusal(tasks: str) -> None:
    error = fault_of(feed(at_login(), f"<continue xmlns='{NS['sasl2']}'>{tasks}</continue>"))
    assert isinstance(error, SaslError)
    assert "more than the password" in str(error)
    assert "TOTP" in str(error) or not tasks


def test_a_token_for_another_mechanism_than_the_offered_ones_is_not_shown() -> None:
    stream, server = new_stream("direct", client=JULIET), GoodServer(tokens=("HT-SHA-256-EXPR",))
    until(State.SECURED, stream, server)
    said = written(step(stream, server))
    assert b'mechanism="SCRAM-SHA-1"' in said
    assert b"fast" not in said


def test_a_server_that_has_no_sasl2_any_more_is_a_surprise_and_the_older_login_is_as_good() -> None:
    stream = new_stream("direct", client=JULIET, known=fast_known(Rung.BIND))
    until(State.SECURED, stream, GoodServer())
    assert isinstance(fault_of(step(stream, GoodServer())), Surprise)
    stream = new_stream("direct", client=JULIET, known=fast_known(Rung.NOTHING))
    until(State.SASL, stream, GoodServer())


SHA_1, SHA_256, SHA_512 = "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"
# What the older login lists, what SASL2 lists, and what is used.
LISTED = [
    ([SHA_256], ["PLAIN"], f"<auth {SHA_256}"),
    (["PLAIN", SHA_1], ["PLAIN"], f"<auth {SHA_1}"),
    ([SHA_512], [SHA_256, "PLAIN"], f"<auth {SHA_512}"),
    ([SHA_256], ["X-UNKNOWN"], f"<auth {SHA_256}"),
    ([SHA_256], [SHA_256], f"<authenticate {SHA_256}"),
    (["PLAIN"], ["PLAIN", SHA_1], f"<authenticate {SHA_1}"),
    (["PLAIN"], ["PLAIN"], "<authenticate PLAIN"),
    (["X-UNKNOWN"], ["PLAIN"], "<authenticate PLAIN"),
]


@pytest.mark.parametrize(("older", "newer", "used"), LISTED)
def test_of_both_logins_the_one_with_the_stronger_mechanism_is_used(
    older: list[str], newer: list[str], used: str
) -> None:
    stream = new_stream("direct")
    until(State.SECURED, stream, GoodServer())
    listed = "".join(f"<mechanism>{name}</mechanism>" for name in newer)
    both = mechanisms(*older, inside=f"<authentication xmlns='{NS['sasl2']}'>{listed}</authentication>")
    said = written(feed(stream, HEADER + both)).decode()
    name, mechanism = used.split()
    assert said.startswith(f"{name} ")
    assert f'mechanism="{mechanism}"' in said


@pytest.mark.parametrize(("changes", "tls"), [({"sasl2": False}, "direct"), ({}, "off")])
def test_sasl2_is_not_used_without_tls_or_where_it_is_not_to_be(changes: dict[str, Any], tls: str) -> None:
    stream, server = new_stream(tls, client=JULIET, **changes), GoodServer(tokens=(NONE,))
    until(State.SASL, stream, server)


def test_a_mechanism_that_was_asked_for_is_used_and_no_token() -> None:
    stream = new_stream("direct", client=JULIET, credentials=Credentials("pencil", mechanism="PLAIN"))
    until(State.SECURED, stream, server := GoodServer("PLAIN", "SCRAM-SHA-1", tokens=(NONE,)))
    assert b'mechanism="PLAIN"' in written(step(stream, server))


@pytest.mark.parametrize(("inside", "holds"), [("", True), ("\x1fx", False)])
def test_a_server_that_proves_its_offer_is_held_to_it(inside: str, holds: bool) -> None:
    """XEP-0474: the hash of the mechanisms that it has shown."""
    stream, server = new_stream("direct"), GoodServer(tokens=())
    until(State.SASL2, stream, server)
    first = b64decode(server._modern().partition(">")[2].partition("<")[0]).decode()
    digest = b64encode(hashlib.sha1(f"SCRAM-SHA-1{inside}".encode()).digest()).decode()
    challenge = b64encode(f"{first},h={digest}".encode()).decode()
    outputs = feed(stream, f"<challenge xmlns='{NS['sasl2']}'>{challenge}</challenge>")
    if holds:
        assert stream.state is State.SASL2_HASHING
    else:
        assert "not those that the server says" in str(fault_of(outputs))


def test_the_best_token_is_bound_to_the_channel() -> None:
    offered = (NONE, "HT-SHA-256-ENDP", "HT-SHA-256-EXPR")
    assert best(offered, can_bind=True) == "HT-SHA-256-ENDP"
    assert best(offered, can_bind=False) == NONE
    assert best(("HT-SHA-256-EXPR",), can_bind=True) is None
    token = Token("HT-SHA-256-ENDP", TOKEN, "", "")
    assert Exchange(token, "juliet", b"a").initial() != Exchange(token, "juliet", b"b").initial()


def test_features_that_hold_no_mechanism_for_us_say_so() -> None:
    stream, server = new_stream("direct"), GoodServer()
    until(State.SECURED, stream, server)
    assert "offers no login" in str(fault_of(feed(stream, HEADER + modern("OPAQUE"))))
