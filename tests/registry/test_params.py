"""How the arguments of the command line are read."""

import math

import pytest
from click.shell_completion import ShellComplete

from xmppsh.cli.main import build_group
from xmppsh.config.schema import BY_NAME, SETTINGS
from xmppsh.config.values import host, integer, pin, positive_seconds, seconds_to_keep
from xmppsh.errors import MalformedJid, UsageError, XmppshError
from xmppsh.model import Jid
from xmppsh.registry.kinds import parse_address
from xmppsh.registry.params import JID, SECONDS

ADDRESSES = {
    "romeo@example.net/orchard": "romeo@example.net/orchard",
    "xmpp:romeo@example.net": "romeo@example.net",
    "XMPP:Romeo@Example.NET": "romeo@example.net",
    "xmpp:romeo@example.net/orchard?message;body=hi": "romeo@example.net/orchard",
    "xmpp:romeo@example.net?join#fragment": "romeo@example.net",
    "xmpp:romeo@example.net#fragment": "romeo@example.net",
    "xmpp://juliet@example.org/romeo@example.net": "romeo@example.net",
    "xmpp://juliet@example.org/romeo@example.net/orchard": "romeo@example.net/orchard",
    "xmpp:romeo@example.net/my%20place": "romeo@example.net/my place",
    "xmpp:nasty%5C26%5C27@example.com": "nasty\\26\\27@example.com",
    "xmpp:jos%C3%A9@example.net": "jos\u00e9@example.net",
}


@pytest.mark.parametrize(("text", "expected"), ADDRESSES.items())
def test_an_address_may_be_a_uri(text: str, expected: str) -> None:
    assert parse_address(text) == Jid.parse(expected)
    assert JID.convert(text, None, None) == Jid.parse(expected)


@pytest.mark.parametrize("text", ["xmpp:", "xmpp:@", "xmpp://juliet@example.org", "xmpp:a%20b@c", "xmpp:a@b%FF", "@"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(MalformedJid):
        parse_address(text)


def test_an_address_that_was_read_is_not_read_again() -> None:
    jid = Jid("ROMEO", "x")
    assert JID.convert(jid, None, None) is jid


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        (" 2 ", 2.0),
        ("5s", 5.0),
        ("0.5m", 30.0),
        ("2h", 7200.0),
        ("7d", 604800.0),
    ],
)
def test_a_span_is_in_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    assert SECONDS.convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "x",
        "s",
        "1ss",
        "1hm",
        "1 h m",
        "-1h",
        "0s",
        "366d",
        "nan",
        "nand",
        "inf",
        "-inf",
        "1e400",
        str(86400 * 366),
    ],
)
def test_a_span_is_above_zero_and_finite(text: str) -> None:
    with pytest.raises(UsageError):
        positive_seconds(text)


@pytest.mark.parametrize(("text", "sentence"), [
    ("1e9", "1e9 seconds is more than 31536000, which is a year"),
    ("inf", "inf seconds is more than 31536000, which is a year"),
    ("31536001", "31536001 seconds is more than 31536000, which is a year"),
    ("0", "0 seconds is not a span above zero"),
    ("-inf", "-inf seconds is not a span above zero"),
    ("nan", "'nan' is not a number of seconds"),
    ("soon", "'soon' is not a number of seconds"),
    ("1_0", "'1_0' is not a number of seconds"),
    ("٣", "'٣' is not a number of seconds"),
    ("400d", "400d is more than 31536000, which is a year"),
    ("0m", "0m is not a span above zero"),
])  # fmt: skip
def test_what_is_no_span_is_told_by_what_is_wrong_with_it(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        positive_seconds(text)
    assert str(caught.value) == sentence


def test_a_year_is_a_span() -> None:
    assert positive_seconds(str(86400 * 365)) == 86400 * 365


def test_no_timeout_is_infinite_by_default() -> None:
    for name in ("connect_timeout", "timeout"):
        assert math.isfinite(BY_NAME[name].default)


@pytest.mark.parametrize("text", [
    "sha256:" + "ab" * 32, "SHA256:" + "AB" * 32, "sha256:" + ":".join(["Ab"] * 32),
])  # fmt: skip
def test_a_pin_is_read_as_openssl_prints_it(text: str) -> None:
    assert pin(text) == "ab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 32, "sha256:", "sha256:" + "ab" * 31, "sha256:" + "zz" * 32, "md5:ab"])
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not sha256: and 64 hex digits"):
        pin(text)


@pytest.mark.parametrize("text", ["-1", "1.0", "x", "", "\u0663"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(XmppshError):
        integer(text)


def test_a_host_that_is_none_names_its_option() -> None:
    with pytest.raises(UsageError, match=r"^--host: '0' is not a port"):
        host("a:0")


def test_no_option_takes_the_password_itself() -> None:
    assert BY_NAME["password"].file_only
    assert [setting.name for setting in SETTINGS if setting.file_only] == ["password"]


def test_every_setting_is_named_once_and_explained() -> None:
    assert len(BY_NAME) == len(SETTINGS)
    shorts = [setting.short for setting in SETTINGS if setting.short]
    assert len(shorts) == len(set(shorts))
    assert all(setting.help.endswith((".", ").")) or "." in setting.help for setting in SETTINGS)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("120", 120), ("90s", 90), ("2m", 120), ("1d", 86400)])
def test_how_long_a_session_is_kept_is_a_span_of_whole_seconds(text: str, seconds: int) -> None:
    assert seconds_to_keep(text) == seconds


@pytest.mark.parametrize("text", ["2d", "0.5m", "m", "-1m", "1.5"])
def test_a_session_is_kept_for_a_day_at_most(text: str) -> None:
    with pytest.raises(XmppshError):
        seconds_to_keep(text)


COMPLETED = {
    "an address": (["-j", "romeo@example.net/orchard", "ping"], "r", ["romeo@example.net"]),
    "its server": (["-j", "romeo@example.net/orchard", "ping"], "e", ["example.net"]),
    "no account": (["ping"], "r", []),
    "kinds": (["listen", "--only"], "message,p", ["message,presence"]),
    "a span": (["listen", "-W"], "5", ["5s", "5m", "5h", "5d"]),
    "what to wait for": (["send", "--wait"], "de", ["delivered", "delivered:"]),
    "one of a few words": (["iq"], "g", ["get"]),
}


@pytest.mark.parametrize(("words", "incomplete", "expected"), COMPLETED.values(), ids=COMPLETED)
def test_an_argument_completes(words: list[str], incomplete: str, expected: list[str]) -> None:
    completions = ShellComplete(build_group(), {}, "xmppsh", "_XMPPSH_COMPLETE").get_completions(words, incomplete)
    assert [item.value for item in completions] == expected
