"""Exit codes and sentences, as docs/cli.md, "Exit codes", promises them."""

import ssl

import pytest

from xmppsh import errors
from xmppsh.errors import (
    ConnectError,
    DeadlineExceeded,
    ExitCode,
    IoError,
    MalformedJid,
    Partial,
    ProtocolError,
    SaslError,
    StanzaError,
    StreamError,
    XmlError,
    XmppshError,
    translate,
)

USER, SERVER = "romeo@example.net/orchard", "example.net"


@pytest.mark.parametrize(("condition", "sender", "error_type", "code"), [
    ("item-not-found", USER, "cancel", 67),
    ("recipient-unavailable", USER, "wait", 67),
    ("gone", USER, "cancel", 67),
    ("service-unavailable", USER, "cancel", 67),
    ("service-unavailable", "romeo@example.net", "cancel", 67),
    ("service-unavailable", SERVER, "cancel", 76),
    ("service-unavailable", "example.net/a@b", "cancel", 76),
    ("service-unavailable", SERVER, "wait", 75),
    ("remote-server-not-found", USER, "cancel", 68),
    ("remote-server-timeout", USER, "wait", 68),
    ("resource-constraint", SERVER, "wait", 75),
    ("policy-violation", SERVER, "modify", 75),
    ("forbidden", USER, "auth", 77),
    ("not-authorized", USER, "auth", 77),
    ("not-allowed", USER, "cancel", 77),
    ("registration-required", USER, "auth", 77),
    ("subscription-required", USER, "auth", 77),
    ("bad-request", USER, "modify", 76),
    ("internal-server-error", SERVER, "cancel", 76),
    ("internal-server-error", SERVER, "wait", 75),
    ("undefined-condition", USER, "wait", 75),
    ("something-new", USER, "cancel", 76),
])  # fmt: skip
def test_a_bounce_has_the_exit_code_of_its_condition_and_sender(
    condition: str, sender: str, error_type: str, code: int
) -> None:
    error = StanzaError(sender, condition, error_type=error_type)
    assert error.exit_code == code
    assert error.record()["layer"] == "stanza"


@pytest.mark.parametrize(("condition", "code"), [
    ("host-unknown", 68), ("host-gone", 68), ("system-shutdown", 69), ("reset", 69), ("remote-connection-failed", 69),
    ("connection-timeout", 75), ("resource-constraint", 75), ("policy-violation", 75), ("not-authorized", 77),
    ("conflict", 76), ("not-well-formed", 76), ("undefined-condition", 76), ("something-new", 76),
])  # fmt: skip
def test_a_stream_error_has_the_exit_code_of_its_condition(condition: str, code: int) -> None:
    assert StreamError(condition).exit_code == code


def test_a_server_that_lets_no_more_wait_for_acks_is_not_told_to_be_sent_less() -> None:
    assert "max_ack_queue" in str(StreamError("policy-violation", "Too many unacked stanzas").hint)
    assert "more slowly" in str(StreamError("policy-violation", "Too many stanzas").hint)


@pytest.mark.parametrize(("condition", "text"), [("conflict", "User removed"), ("not-authorized", "Account deleted")])
def test_an_account_that_was_removed_is_told_as_that_and_not_as_a_resource_that_is_taken(
    condition: str, text: str
) -> None:
    error = StreamError(condition, text)
    assert (error.exit_code, error.hint) == (77, "the account was removed on the server: ask its operator")


@pytest.mark.parametrize(("error", "code", "name", "layer"), [
    (errors.UsageError("x"), 64, "USAGE", "usage"),
    (MalformedJid("@", "x"), 64, "USAGE", "usage"),
    (errors.DataError("x"), 65, "DATA", "stanza"),
    (XmlError("x"), 65, "DATA", "stanza"),
    (errors.NoInputError("x"), 66, "NOINPUT", "io"),
    (errors.NameNotFound("x"), 68, "NOHOST", "dns"),
    (ConnectError("x"), 69, "UNAVAILABLE", "tcp"),
    (errors.ConnectionLost("x"), 69, "UNAVAILABLE", "tcp"),
    (errors.ServiceRefused("x"), 69, "UNAVAILABLE", "dns"),
    (XmppshError("x"), 70, "SOFTWARE", "internal"),
    (IoError("x"), 74, "IOERR", "io"),
    (errors.LookupFailed("x"), 75, "TEMPFAIL", "dns"),
    (DeadlineExceeded("x"), 75, "TEMPFAIL", "stream"),
    (DeadlineExceeded("x", layer="tcp"), 75, "TEMPFAIL", "tcp"),
    (ProtocolError("x", layer="bind"), 76, "PROTOCOL", "bind"),
    (errors.TlsError("x"), 76, "PROTOCOL", "tls"),
    (SaslError("x"), 77, "NOPERM", "sasl"),
    (errors.ConfigError("x"), 78, "CONFIG", "config"),
    (errors.Unconfirmed("x"), 79, "UNCONFIRMED", "stream"),
    (Partial("x"), 80, "PARTIAL", "stanza"),
])  # fmt: skip
def test_each_error_has_its_code_name_and_layer(error: XmppshError, code: int, name: str, layer: str) -> None:
    record = error.record()
    assert (record["code"], record["name"], record["layer"], record["text"]) == (code, name, layer, str(error))
    assert list(record) == ["code", "name", "layer", "condition", "text", "hint"]


def test_the_exit_codes_are_the_promised_ones() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0, "USAGE": 64, "DATA": 65, "NOINPUT": 66, "NOUSER": 67, "NOHOST": 68, "UNAVAILABLE": 69, "SOFTWARE": 70,
        "IOERR": 74, "TEMPFAIL": 75, "PROTOCOL": 76, "NOPERM": 77, "CONFIG": 78, "UNCONFIRMED": 79, "PARTIAL": 80,
        "QUEUED": 81,
    }  # fmt: skip


@pytest.mark.parametrize(("error", "text", "hint"), [
    (StanzaError(USER, "item-not-found"), "romeo@example.net/orchard: item-not-found", "check the address"),
    (StanzaError(USER, "gone", "moved on"), "romeo@example.net/orchard: gone (moved on)", "check the address"),
    (StanzaError(USER, "remote-server-not-found"), f"{USER}: remote-server-not-found",
     "check the domain of the address"),
    (StanzaError(USER, "forbidden"), f"{USER}: forbidden", "ask its owner, or the operator of its server"),
    (StanzaError(USER, "bad-request"), f"{USER}: bad-request", None),
    (StreamError("conflict", "Replaced"), "the server closed the stream: conflict (Replaced)",
     "choose another resource where another program uses it: --jid user@host/resource"),
    (StreamError("reset"), "the server closed the stream: reset", None),
    (SaslError.refused("a@b", "not-authorized"), "a@b: the server refused the login: not-authorized",
     "check the name and the password (--password-file, --password-command)"),
    (SaslError.refused("a@b", "aborted", "why"), "a@b: the server refused the login: aborted (why)",
     "ask the server's operator"),
    (XmlError("mismatched tag", line=3, column=7), "line 3, column 7: mismatched tag", None),
    (XmlError("mismatched tag"), "mismatched tag", None),
])  # fmt: skip
def test_an_error_is_one_sentence_and_what_to_try(error: XmppshError, text: str, hint: str | None) -> None:
    assert (str(error), error.hint) == (text, hint)


def test_a_login_that_failed_for_now_can_be_tried_again() -> None:
    error = SaslError.refused("a@b", "temporary-auth-failure")
    assert (error.exit_code, error.hint, error.condition) == (75, "try again later", "temporary-auth-failure")
    assert SaslError("x").exit_code == 77


@pytest.mark.parametrize(("foreign", "text"), [
    (FileNotFoundError(2, "No such file or directory", "/x"), "No such file or directory"),
    (OSError("odd"), "odd"),
    (ValueError("bad value"), "bad value"),
    (TimeoutError(), "TimeoutError"),
])  # fmt: skip
def test_a_foreign_error_becomes_ours_with_its_sentence(foreign: Exception, text: str) -> None:
    with pytest.raises(IoError) as caught, translate((OSError, ValueError), IoError):
        raise foreign
    assert str(caught.value) == text
    assert caught.value.__cause__ is foreign


def test_an_error_that_is_not_named_passes_untouched() -> None:
    with pytest.raises(ssl.SSLError), translate(ValueError, IoError):
        raise ssl.SSLError("x")
