"""Addresses: which are, which are not, and how they are dialled."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmppsh.errors import MalformedJid
from xmppsh.model import Candidate, Credentials, Element, Jid, is_address, split_host_port

LONG = "x" * 1023

GOOD = {  # text → localpart, domainpart, resourcepart; the first fifteen are RFC 7622 §3.5, table 1
    "juliet@example.com": ("juliet", "example.com", None),
    "juliet@example.com/foo": ("juliet", "example.com", "foo"),
    "juliet@example.com/foo bar": ("juliet", "example.com", "foo bar"),
    "juliet@example.com/foo@bar": ("juliet", "example.com", "foo@bar"),
    "foo\\20bar@example.com": ("foo\\20bar", "example.com", None),
    "fussball@example.com": ("fussball", "example.com", None),
    "fu\u00dfball@example.com": ("fu\u00dfball", "example.com", None),
    "\u03c0@example.com": ("\u03c0", "example.com", None),
    "\u03a3@example.com/foo": ("\u03c3", "example.com", "foo"),
    "\u03c3@example.com/foo": ("\u03c3", "example.com", "foo"),
    "\u03c2@example.com/foo": ("\u03c2", "example.com", "foo"),
    "king@example.com/\u265a": ("king", "example.com", "\u265a"),
    "example.com": (None, "example.com", None),
    "example.com/foobar": (None, "example.com", "foobar"),
    "a.example.com/b@example.net": (None, "a.example.com", "b@example.net"),
    "Juliet@Example.COM/Balcony": ("juliet", "example.com", "Balcony"),
    "juliet@example.com.": ("juliet", "example.com", None),
    "juliet@example.com/a/b": ("juliet", "example.com", "a/b"),
    "juliet@192.0.2.1": ("juliet", "192.0.2.1", None),
    "juliet@[2001:DB8::1]/x": ("juliet", "[2001:db8::1]", "x"),
    "juliet@2001:db8::1": ("juliet", "[2001:db8::1]", None),
    "e\u0301@example.com": ("\u00e9", "example.com", None),
    "\uff21@example.com": ("a", "example.com", None),
    "a@b": ("a", "b", None),
    "a@_xmpp.example.com": ("a", "_xmpp.example.com", None),
    "a@XN--BCHER-kva.example": ("a", "b\u00fccher.example", None),  # RFC 7622 §3.2.1: an A-label becomes a U-label
    "a@xn--n3h.example": ("a", "xn--n3h.example", None),  # what no U-label stands for is a name all the same
    "a@b\u00fccher\u3002example\uff0e": ("a", "b\u00fccher.example", None),
    "a@\uff22u\u0308cher.example": ("a", "b\u00fccher.example", None),
    "a@\uff11\uff12\uff17.0.0.1": ("a", "127.0.0.1", None),
    f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 61}": ("a", f"{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 61}", None),
    f"{LONG}@example.com/{LONG}": (LONG, "example.com", LONG),
    "l\u00b7l@example.com": ("l\u00b7l", "example.com", None),  # CONTEXTO and CONTEXTJ: RFC 5892 appendix A
    "\u3007@example.com": ("\u3007", "example.com", None),
    "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc@b/\u0646\u0627\u0645\u0647\u200c\u0627\u06cc": (
        "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc",
        "b",
        "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc",
    ),
    "\u05d0\u05d1@example.com/x\u00a0y": ("\u05d0\u05d1", "example.com", "x y"),
}


@pytest.mark.parametrize(("text", "parts"), GOOD.items(), ids=lambda part: ascii(part)[:40])
def test_an_address_is_split_and_prepared(text: str, parts: tuple[str | None, str, str | None]) -> None:
    assert Jid.parse(text) == Jid(*parts)


TOO_LONG = "its domain is too long for the DNS (a name has at most 253 characters, and 63 between dots)"

BAD = {  # RFC 7622 §3.5, table 2, and more
    '"juliet"@example.com': 'its localpart holds the character "',
    "foo bar@example.com": "its localpart holds the character U+0020",
    "foo bär@example.com": "its localpart holds the character U+0020",
    "@example.com/": "nothing precedes the @",
    "juliet@": "it has no domain",
    "/foobar": "it has no domain",
    "": "it has no domain",
    "juliet@example.com/": "nothing follows the /",
    "@": "nothing precedes the @",
    "a@b@c": "its localpart holds the character @",
    "a&b@c": "its localpart holds the character &",
    "a<b@c": "its localpart holds the character <",
    "a:b@c": "its localpart holds the character :",
    "a'b@c": "its localpart holds the character '",
    "a\uff20b@c": "its localpart holds the character @",
    "a\x00@c": "its localpart holds the character U+0000",
    "a@b c": "its domain holds the character U+0020",
    "a@b\nc": "its domain holds the character U+000A",
    "a@b..c": "its domain has the label ''",
    "a@.b": "its domain has the label ''",
    "a@.": "it has no domain",
    "a@-b.c": "its domain has the label '-b'",
    "a@b-.c": "its domain has the label 'b-'",
    "a@b!c": "its domain holds the character !",
    "a@b:5222": "its domain holds the character :",
    "a@\u2100.example": "its domain holds the character /",
    "a@\u2603.example": "its domain is not an internationalised domain name",
    "a@" + "b" * 64 + ".example": TOO_LONG,
    "a@" + "\u00fc" * 60 + ".example": "its domain is not an internationalised domain name",
    f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 62}": TOO_LONG,
    "a@[::1": "its domain is not an IPv6 address in brackets",
    "a@b/\x1b[31m": "its resource holds the character U+001B",
    "a@b/x\u202ey": "its resource holds the character U+202E",
    "a@b/\u200b": "its resource holds the character U+200B",
    "a@b/\ud800": "its resource holds the character U+D800",
    "a@b/\ue000": "its resource holds the character U+E000",
    "a\u05d0@b": "its localpart mixes directions of writing (RFC 5893 §2)",
    "\u0661\u06f1@b": "its localpart mixes directions of writing (RFC 5893 §2)",
    "a\u00b7b@b": "its localpart holds the character \u00b7",
    "a\u200db@b": "its localpart holds the character U+200D",
    f"{LONG}x@example.com": "its localpart is longer than 1023 bytes",
    f"a@b/{LONG}x": "its resource is longer than 1023 bytes",
    f"a@{LONG}x": "its domain is longer than 1023 bytes",
    "a@b/" + "\u00e9" * 512: "its resource is longer than 1023 bytes",
}


@pytest.mark.parametrize(("text", "reason"), BAD.items(), ids=lambda part: ascii(part)[:40])
def test_what_is_no_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(MalformedJid) as caught:
        Jid.parse(text)
    assert str(caught.value) == f"{text!r} is not an XMPP address: {reason}"
    assert (caught.value.exit_code, caught.value.hint) == (64, "localpart@domain/resource")


FAULTY = {
    "compatibility mapping (table 2)": "henry\u2163@example.com",
    "a symbol in the localpart (table 2)": "\u265a@example.com",
    "a zone": "a@[fe80::1%eth0]",
    "anything as a zone": "a@[fe80::1%<\x1b>]",
    "brackets around IPv4": "a@[192.0.2.1]",
    "two dots at the end": "a@example.com..",
}


@pytest.mark.parametrize("text", FAULTY.values(), ids=FAULTY)
def test_what_rfc_7622_refuses_is_refused(text: str) -> None:
    with pytest.raises(MalformedJid):
        Jid.parse(text)


PART = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.none() | PART, st.sampled_from(["example.com", "192.0.2.1", "[::1]"]) | PART, st.none() | PART)
def test_an_address_that_was_parsed_parses_to_itself(local: str | None, domain: str, resource: str | None) -> None:
    text = (f"{local}@" if local else "") + domain + (f"/{resource}" if resource else "")
    try:
        jid = Jid.parse(text)
    except MalformedJid:
        return
    assert Jid.parse(str(jid)) == jid
    assert Jid.parse(str(jid.bare)) == jid.bare


@pytest.mark.parametrize(("text", "name"), [
    ("a@example.com", "example.com"),
    ("a@192.0.2.1", "192.0.2.1"),
    ("a@[2001:db8::1]", "2001:db8::1"),
    ("a@b\u00fccher.example", "xn--bcher-kva.example"),
    ("a@\u4f8b\u3048.example", "xn--r8jz45g.example"),
    ("a@xn--bcher-kva.example", "xn--bcher-kva.example"),
])  # fmt: skip
def test_the_domain_is_dialled_by_its_name_in_dns(text: str, name: str) -> None:
    assert Jid.parse(text).dial_name == name


def test_sharp_s_is_not_dialled_as_another_domain() -> None:
    assert Jid.parse("a@stra\u00dfe.example").dial_name == "xn--strae-oqa.example"


def test_bare_and_full_addresses() -> None:
    full = Jid.parse("a@b/c")
    assert full.bare == Jid("a", "b")
    assert str(full.bare.with_resource("d")) == "a@b/d"
    assert str(Jid(None, "b", "c")) == "b/c"


@pytest.mark.parametrize(("text", "expected"), [
    ("example.com", ("example.com", None)),
    ("example.com:5222", ("example.com", 5222)),
    ("192.0.2.1", ("192.0.2.1", None)),
    ("192.0.2.1:1", ("192.0.2.1", 1)),
    ("2001:db8::1", ("2001:db8::1", None)),
    ("::1", ("::1", None)),
    ("[2001:db8::1]", ("2001:db8::1", None)),
    ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
    ("localhost:05222", ("localhost", 5222)),
])  # fmt: skip
def test_a_host_and_its_port(text: str, expected: tuple[str, int | None]) -> None:
    assert split_host_port(text) == expected


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "'' is not HOST or HOST:PORT"),
    (":5222", "':5222' is not HOST or HOST:PORT"),
    ("example.com:", "'example.com:' has no port after the colon"),
    ("example.com:0", "'0' is not a port (1 to 65535)"),
    ("example.com:65536", "'65536' is not a port (1 to 65535)"),
    ("example.com:xmpp", "'xmpp' is not a port (1 to 65535)"),
    ("example.com:-1", "'-1' is not a port (1 to 65535)"),
    ("example.com:\u0665", "'\u0665' is not a port (1 to 65535)"),
    ("a:b:c", "'a:b:c' is neither HOST:PORT nor an IPv6 address"),
    ("[::1", "'[::1' is not [ADDRESS] or [ADDRESS]:PORT"),
    ("[::1]5222", "'[::1]5222' is not [ADDRESS] or [ADDRESS]:PORT"),
    ("[::1]:", "'[::1]:' has no port after the colon"),
    ("[example.com]:5222", "'[example.com]:5222' is not [ADDRESS] or [ADDRESS]:PORT"),
    ("exam ple.com", "'exam ple.com' is not HOST or HOST:PORT"),
    ("romeo@example.com", "'romeo@example.com' is not HOST or HOST:PORT"),
    ("http://example.com", "'//example.com' is not a port (1 to 65535)"),
])  # fmt: skip
def test_what_is_no_host_and_port_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        split_host_port(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("text", "expected"), [
    ("::1", True), ("[::1]", True), ("192.0.2.1", True), ("192.0.2", False), ("example.com", False), ("[::1", False),
    ("fe80::1%eth0", True), ("fe80::1%", False), ("fe80::1%a%b", False), ("192.0.2.1%eth0", False), ("::1/64", False),
    ("::ffff:192.0.2.1", True), ("192.0.2.01", False), ("1.1.1.\u0661", False), ("1.1.1.1\0", False), ("\ud800", False),
])  # fmt: skip
def test_an_address_is_told_from_a_name(text: str, expected: bool) -> None:
    assert is_address(text) is expected


def test_a_candidate_prints_as_it_is_dialled() -> None:
    assert str(Candidate("::1", 5222, "starttls", "--host")) == "[::1]:5222"
    assert str(Candidate("example.com", 5223, "direct", "--host")) == "example.com:5223"


@pytest.mark.parametrize(("name", "expected"), [
    ("{jabber:client}message", True), ("{jabber:client}iq", True), ("{jabber:server}message", False),
    ("message", False), ("{jabber:client}x", False),
])  # fmt: skip
def test_a_stanza_is_told_from_other_elements(name: str, expected: bool) -> None:
    assert Element(name, {}, "<x/>").is_stanza is expected


def test_a_password_does_not_print() -> None:
    assert "pencil" not in repr(Credentials("pencil"))
