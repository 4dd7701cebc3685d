"""The gates: no SASL before TLS, no bind before SASL, nothing before the bind reaches the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hostile.misbehaviour import (
    BIND,
    CANARY,
    MESSAGE,
    Spec,
    features,
    mechanisms,
    sasl,
    sasl_failure,
    see_other_host,
    stanza_error,
    stream_error,
)
from hostile.scenario import LISTEN, PING, Outcome, Scenario, check
from hostile.server import DOMAIN, USER

if TYPE_CHECKING:
    from hostile.scenario import Steps

PROCEED = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
FAILURE = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"
BOUND = (
    f"<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>x@{DOMAIN}/y</jid></bind></iq>"
)
IQ = f"<iq type='get' id='q1' from='{CANARY}.example'><ping xmlns='urn:xmpp:ping'/></iq>"


def both(name: str, steps: Steps, layer: str = "stream", **more: Any) -> Scenario:
    """One scenario: `send` with errors as JSON, `ping` with errors as text."""
    return Scenario(name, steps, layer=layer, text_command=PING, **more)


STRIPPED = [
    *(
        both(f"strip-{name.lower()}", {"features": features(mechanisms(name))}, "tls", says="STARTTLS")
        for name in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "ANONYMOUS", "EXTERNAL", "DIGEST-MD5")
    ),
    both("strip-nothing", {"features": features("")}, "tls", says="STARTTLS"),
    both("strip-bind", {"features": features(BIND)}, "tls", says="STARTTLS"),
    both("strip-anonymous-asked-for", {"features": features(mechanisms("ANONYMOUS"))}, "tls",
         options=("--anonymous",)),
    both("strip-plain-asked-for", {"features": features(mechanisms("PLAIN"))}, "tls",
         options=("--mechanism", "PLAIN")),
    both("starttls-refused", {"starttls": FAILURE}, "tls", says="STARTTLS"),
    both("starttls-refused-then-plain", {"starttls": FAILURE.removesuffix("</stream:stream>")
         + features(mechanisms("PLAIN", "LOGIN"))}, "tls"),
]  # fmt: skip


@pytest.mark.parametrize("scenario", STRIPPED, ids=lambda scenario: scenario.name)
def test_nothing_secret_is_sent_without_tls(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.encrypted == b""
        assert b"juliet" not in run.clear, "the account's name went out in the clear (RFC 6120 §4.7.1)"


def injected(name: str, step: str, content: str, layer: str | tuple[str, ...] = "stream", **more: Any) -> Scenario:
    """Content that does not belong there; both commands would show a message, if they believed it."""
    return Scenario(name, {step: content}, layer=layer, command=LISTEN, **more)


ANY = ("stream", "tls", "sasl", "bind")  # which layer a stray element belongs to is a matter of taste
INJECTED = [
    injected("message-behind-proceed", "starttls", PROCEED + MESSAGE, "tls", footer=False),
    injected("message-begun-behind-proceed", "starttls", PROCEED + MESSAGE[:30], "tls", footer=False),
    injected("space-behind-proceed", "starttls", PROCEED + " ", "tls", footer=False),
    injected("features-behind-proceed", "starttls", PROCEED + features(BIND), "tls", footer=False),
    injected("message-before-header", "header", MESSAGE),
    injected("message-for-features", "features", MESSAGE, ANY),
    injected("message-for-proceed", "starttls", MESSAGE, ANY),
    injected("iq-before-tls", "features", IQ + "{good}", ANY),
    injected("success-before-tls", "features", sasl("success"), ANY),
    injected("bind-before-tls", "features", features(BIND) + BOUND, "tls"),
    injected("bound-before-tls", "features", BOUND, ANY),
    injected("proceed-unasked", "features", PROCEED, ANY),
    injected("message-before-login", "features-tls", MESSAGE + "{good}", ANY),
    injected("message-in-login", "auth", MESSAGE + "{good}", ANY),
    injected("message-before-bind", "features-auth", MESSAGE + "{good}", ANY),
    injected("message-for-bound", "bind", MESSAGE + "{good}", ANY),
    injected("no-login-but-bind", "features-tls", features(BIND), ("sasl", "stream")),
    injected("no-login-but-bound", "features-tls", BOUND, ANY),
    injected("no-login-but-empty-list", "features-tls", features(mechanisms()), "sasl", code=(76, 77)),
    injected("bound-instead-of-features", "features-auth", BOUND, ANY),
    # The id of the request must not be one that a server can know before it is asked (RFC 6120 §8.1.3).
    injected("bound-before-asked", "features-auth", "{good}" + BOUND, ("stream", "bind")),
    injected("starttls-twice", "features-tls", features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
             ("sasl", "stream")),
    injected("no-bind-feature", "features-auth", features(""), "bind"),
]  # fmt: skip


@pytest.mark.parametrize("scenario", INJECTED, ids=lambda scenario: scenario.name)
def test_what_does_not_belong_there_ends_the_stream(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.out == ""
        assert b"<presence" not in run.encrypted
        if scenario.name.startswith("no-login"):
            assert b"xmpp-bind" not in run.encrypted


OTHER = "127.0.0.1:{other}"
NOT_AUTHORIZED = sasl_failure("not-authorized")
REDIRECTED_EARLY = [
    both("redirect-for-features", {"features": see_other_host(OTHER)}, condition="see-other-host", second=Spec()),
    both("redirect-with-header", {"header": ("{good}", *see_other_host(OTHER))}, second=Spec()),
    both("redirect-for-proceed", {"starttls": see_other_host(OTHER)}, second=Spec()),
    both("redirect-before-login", {"features-tls": see_other_host(OTHER)}, second=Spec()),
    both("redirect-in-login", {"auth": see_other_host(OTHER)}, second=Spec()),
]


@pytest.mark.parametrize("scenario", REDIRECTED_EARLY, ids=lambda scenario: scenario.name)
def test_a_redirect_before_the_login_is_not_followed(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert run.second.connections == []


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(
            "redirect-for-ever", {"features-auth": see_other_host("127.0.0.1:{port}")}, condition="see-other-host"
        ),
        Scenario("redirect-for-ever-at-bind", {"bind": see_other_host("127.0.0.1:{port}")}, condition="see-other-host"),
        Scenario("redirect-in-a-circle", {"features-auth": see_other_host(OTHER)}, condition="see-other-host",
                 second=Spec({"features-auth": see_other_host(OTHER)})),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_a_redirect_is_followed_twice_at_most(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.first.connections) + len(run.second.connections) == 3


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("redirect-to-a-good-server", {"features-auth": see_other_host(OTHER)}, 0, second=Spec()),
        Scenario("redirect-at-bind-to-a-good-server", {"bind": see_other_host(OTHER)}, 0, second=Spec()),
    ],
    ids=lambda scenario: scenario.name,
)
def test_a_redirect_after_the_login_is_followed(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.second.connections) == 1
        assert b"<message" in run.second.connections[0].encrypted


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("redirect-to-a-certificate-of-its-own", {"features-auth": see_other_host("localhost:{other}")},
                 layer="tls", says=DOMAIN, second=Spec(certificate="dialled-host")),
        Scenario("redirect-to-a-server-without-tls", {"features-auth": see_other_host(OTHER)},
                 layer="tls", second=Spec({"features": features(mechanisms("PLAIN"))})),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_the_server_redirected_to_must_prove_the_domain(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert len(run.second.connections) >= 1
        assert all(not connection.encrypted for connection in run.second.connections)


THERE = rf"^{DOMAIN} redirects to 127\.0\.0\.1:(\d+): "
PORT_HINT = "is the port right? --host HOST:PORT; --tls direct for a port with direct TLS"
OPERATOR = "tell the server's operator; --host HOST[:PORT] connects to a server of your choice"


@pytest.mark.parametrize(
    ("scenario", "hint"),
    [
        (Scenario("redirect-to-no-name", {"features-auth": see_other_host("x..y")}, 68, "dns",
                  rf"^{DOMAIN} redirects to x\.\.y: x\.\.y is not a name that the DNS could hold$"), OPERATOR),
        (Scenario("redirect-to-a-dead-port", {"features-auth": see_other_host(OTHER)}, 69, "tcp",
                  THERE + r"no address answers \(127\.0\.0\.1:\1 refused\)$", second=Spec(listens=False)), OPERATOR),
        (Scenario("redirect-to-another-protocol", {"features-auth": see_other_host(OTHER)}, 76, "stream",
                  THERE + "the server does not speak XMPP: its answer begins with '220 mail'$",
                  second=Spec({"accept": "220 mail\r\n"})), PORT_HINT),
        (Scenario("redirect-to-another-login", {"features-auth": see_other_host(OTHER)}, 77, "sasl",
                  THERE + f"juliet@{DOMAIN}: the server refused the login", second=Spec({"auth": NOT_AUTHORIZED})),
         "check the name and the password (--password-file, --password-command); if they are right: --mechanism PLAIN"),
    ],
    ids=lambda case: getattr(case, "name", ""),
)  # fmt: skip
def test_what_goes_wrong_behind_a_redirect_is_told_with_it(scenario: Scenario, hint: str, outcome: Outcome) -> None:
    check(outcome)
    assert outcome.json.error["hint"] == hint


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(f"redirect-to-{name}", {"features-auth": see_other_host(target)})
        for name, target in {
            "nowhere": "",
            "junk": "not a host at all",
            "a-url": "https://evil.example/",
            "a-port-too-high": "127.0.0.1:99999",
            "half-an-address": "[::1",
            "a-control-character": "evil\u009b2Jexample:5222",
        }.items()
    ],
    ids=lambda scenario: scenario.name,
)
def test_a_redirect_to_no_host_is_a_fault_of_the_server(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


BIND_ANSWERS = [
    Scenario("bind-conflict", {"bind": f"<iq type='error' id='{{id}}'>{stanza_error('conflict')}</iq>"},
             layer="bind", condition="conflict"),
    Scenario("bind-resource-constraint", {"bind": "<iq type='error' id='{id}'>"
             + stanza_error("resource-constraint", "wait") + "</iq>"}, 75, "bind", condition="resource-constraint"),
    Scenario("bind-not-allowed", {"bind": f"<iq type='error' id='{{id}}'>{stanza_error('not-allowed')}</iq>"},
             77, "bind", condition="not-allowed"),
    Scenario("bind-error-without-error", {"bind": "<iq type='error' id='{id}'/>"}, layer="bind"),
    Scenario("bind-without-jid", {"bind": "<iq type='result' id='{id}'>" + BIND + "</iq>"}, layer="bind"),
    Scenario("bind-empty", {"bind": "<iq type='result' id='{id}'/>"}, layer="bind"),
    Scenario("bind-of-another-id", {"bind": BOUND.replace("'bind'", "'other'")}, layer=("bind", "stream")),
    Scenario("bind-answered-by-a-request", {"bind": "<iq type='set' id='{id}'>" + BIND + "</iq>"},
             layer=("bind", "stream")),
    *(
        Scenario(f"bind-jid-{name}", {"bind": BOUND.replace("'bind'>", "'{id}'>", 1).replace(f"x@{DOMAIN}/y", jid)},
                 layer="bind")
        for name, jid in {"malformed": "@@/", "bare": f"juliet@{DOMAIN}", "control": "a&#x9b;@b.example/c",
                          "long": "a@b.example/" + "r" * 1024}.items()
    ),
]  # fmt: skip


@pytest.mark.parametrize("scenario", BIND_ANSWERS, ids=lambda scenario: scenario.name)
def test_a_bind_that_fails_ends_the_stream(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert b"<message" not in run.encrypted


ANOTHER = BOUND.replace("'bind'>", "'{id}'>", 1)


@pytest.mark.parametrize("scenario", [Scenario("bind-of-another-user", {"bind": ANOTHER}, 0, command=PING)])
def test_whoever_is_bound_as_another_user_is_told(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
    for run in outcome.runs:
        assert f"the server has made this session x@{DOMAIN}, and not {USER}@{DOMAIN}" in run.err


@pytest.mark.parametrize(
    "scenario",
    [
        both("header-of-another-protocol", {"header": "<?xml version='1.0'?><html>"}, says="XMPP"),
        both("header-of-another-namespace", {"header": "<stream:stream xmlns:stream='urn:other' version='1.0'>"}),
        both("host-unknown", {"features": stream_error("host-unknown") + "</stream:stream>"}, code=68,
             condition="host-unknown"),
        both("limit-of-5000-digits", {"features-auth": features(
             BIND + f"<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{'9' * 5000}</max-bytes></limits>")},
             code=(0, 76)),
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_a_header_or_features_that_cannot_be_used_end_the_stream(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(f"clear-text-to-{host}", {}, 64, "usage", "--tls off", hosts=(host + ":{port}",), text=True,
                 options=("--tls", "off"))
        for host in ("192.0.2.1", "localhost.invalid", "127.0.0.1.invalid", "127.invalid")
    ],
    ids=lambda scenario: scenario.name,
)  # fmt: skip
def test_tls_off_is_for_loopback_addresses_alone(scenario: Scenario, outcome: Outcome) -> None:
    check(outcome)
