"""Limits hold exactly at their edge, and everything that RFC 6120 §11.1 forbids is refused."""

import pytest
from xmlio.documents import ROOT, read_stanzas, read_stream, splits

from xmppsh.errors import XmlError
from xmppsh.model import Element
from xmppsh.xmlio.reader import Limits, StanzaReader, StreamReader, children, read_element

OPEN = ROOT.encode()


def _message(size_bytes: int) -> bytes:
    frame = len(b"<message><body></body></message>")
    return b"<message><body>" + b"x" * (size_bytes - frame) + b"</body></message>"


def test_a_stanza_of_just_the_limit_passes_and_one_byte_more_does_not() -> None:
    limits = Limits(stanza_bytes=100)
    for pieces in splits(_message(100)):
        items, error = read_stream([OPEN, *pieces], limits)
        assert (len(items), error) == (2, None)
    for pieces in splits(_message(101)):
        items, error = read_stream([OPEN, *pieces], limits)
        assert len(items) == 1
        assert error == ("policy-violation", 1, len(ROOT) + 1)


def test_an_answer_may_be_as_long_as_a_long_roster_and_nothing_else_may() -> None:
    items = "".join(
        f"<item jid='contact{n}@example.net' name='A contact'><group>G</group></item>" for n in range(20_000)
    )
    query = f"<query xmlns='jabber:iq:roster'>{items}</query>"
    limits = Limits().arriving
    answer, push = (f"<iq type='{kind}' id='r'>{query}</iq>" for kind in ("result", "set"))
    (_, stanza), error = read_stream([OPEN, answer.encode()], limits)
    assert error is None
    assert isinstance(stanza, Element)
    assert len(children(read_element(children(stanza)[0]))) == 20_000
    assert read_stream([OPEN, push.encode()], limits)[1] is not None
    longer = answer.replace("A contact", "A contact " + "x" * 250)
    assert read_stream([OPEN, longer.encode()], limits)[1] == ("policy-violation", 1, len(ROOT) + 1)


def test_the_size_counts_bytes_not_characters() -> None:
    stanza = f"<message>{'é' * 10}</message>".encode()
    assert read_stream([OPEN, stanza], Limits(stanza_bytes=len(stanza)))[1] is None
    assert read_stream([OPEN, stanza], Limits(stanza_bytes=len(stanza) - 1))[1] is not None


def test_a_stanza_that_never_ends_is_refused_as_soon_as_it_is_too_big() -> None:
    reader = StreamReader(Limits(stanza_bytes=1000))
    reader.feed(OPEN + b"<message><body>")
    reader.feed(b"x" * 985)
    with pytest.raises(XmlError, match="an element is larger than 1000 bytes") as caught:
        reader.feed(b"x")
    assert caught.value.condition == "policy-violation"


@pytest.mark.parametrize("fault", ["</presence>", "<!-- -->", "<a b='' b=''/>", "&nothing;", "<a>" * 70])
def test_what_is_wrong_beyond_the_limit_is_not_told_however_the_bytes_come(fault: str) -> None:
    endless = "<message><body>" + "x" * 100 + fault
    for pieces in splits(endless.encode()):
        items, error = read_stream([OPEN, *pieces], Limits(stanza_bytes=100))
        assert len(items) == 1
        assert error == ("policy-violation", 1, len(ROOT) + 1)


def test_a_start_tag_that_never_ends_is_refused() -> None:
    reader = StreamReader(Limits(stanza_bytes=1000, pending_bytes=2000))
    reader.feed(OPEN + b"<presence/><message a='")
    reader.feed(b"x" * (2000 - len("<message a='")))
    with pytest.raises(XmlError, match="more than 2000 bytes without an element"):
        reader.feed(b"x")


@pytest.mark.parametrize("space", [b" ", b"\n", b"\r\n\t "])
def test_white_space_between_stanzas_is_bounded_exactly(space: bytes) -> None:
    limits = Limits(pending_bytes=64)
    fill = (space * 64)[:64]
    for pieces in ([fill], [fill[i : i + 1] for i in range(64)]):
        assert read_stream([OPEN + b"<message/>", *pieces], limits)[1] is None
        items, error = read_stream([OPEN + b"<message/>", *pieces, b" "], limits)
        assert len(items) == 2
        assert error is not None
        assert error[0] == "policy-violation"


def test_white_space_counts_anew_after_each_stanza() -> None:
    limits = Limits(pending_bytes=64)
    pieces = [OPEN + b"<message/>", *[b" " * 50 + b"<message/>"] * 20]
    assert read_stream(pieces, limits)[1] is None


def test_a_stanza_of_just_the_depth_passes_and_one_level_more_does_not() -> None:
    limits = Limits(depth=5)

    def nested(levels: int) -> bytes:
        return b"<message>" + b"<a>" * (levels - 1) + b"</a>" * (levels - 1) + b"</message>"

    assert read_stream([OPEN, nested(5), nested(5)], limits)[1] is None
    items, error = read_stream([OPEN, nested(6)], limits)
    assert len(items) == 1
    assert error is not None
    assert error[0] == "policy-violation"


def test_the_depth_of_a_person_s_stanza_does_not_count_the_root_around_it() -> None:
    limits = Limits(depth=2)
    for document in (b"<message><a/></message>", b"<r><message><a/></message></r>"):
        assert read_stanzas([document], limits=limits, root="r")[1] is None
    for document in (b"<message><a><b/></a></message>", b"<r><message><a><b/></a></message></r>"):
        assert read_stanzas([document], limits=limits, root="r")[1] is not None


@pytest.mark.parametrize("frame", ["<message {}/>", "<message><a {}/></message>"])
def test_an_element_of_just_enough_attributes_passes_and_one_more_does_not(frame: str) -> None:
    limits = Limits(attributes=7)
    seven = frame.format(" ".join(f"a{number}='1'" for number in range(7)))
    eight = frame.format(" ".join(f"a{number}='1'" for number in range(8)))
    assert read_stream([OPEN, seven.encode()], limits)[1] is None
    _, error = read_stream([OPEN, eight.encode()], limits)
    assert error is not None
    assert error[0] == "policy-violation"


def test_the_limits_of_the_design_are_the_default() -> None:
    assert Limits() == Limits(stanza_bytes=262144, pending_bytes=1048576, depth=64, attributes=256)


def test_roots_inside_roots_are_bounded() -> None:
    with pytest.raises(XmlError):
        StanzaReader(root="r").feed(b"<r>" * 5_000)


FORBIDDEN = {  # RFC 6120 §11.1
    "comment": ("<!-- x -->", "restricted-xml"),
    "processing instruction": ("<?php x?>", "restricted-xml"),
    "stylesheet": ("<?xml-stylesheet href='a'?>", "restricted-xml"),
    "entity": ("<message>&nbsp;</message>", "not-well-formed"),
    "declaration": ("<!DOCTYPE x>", "not-well-formed"),
    "comment in a stanza": ("<message><!----></message>", "restricted-xml"),
    "instruction in a stanza": ("<message><?x?></message>", "restricted-xml"),
    "entity in an attribute": ("<message a='&x;'/>", "not-well-formed"),
    "entity declaration": ("<!ENTITY x 'y'>", "not-well-formed"),
    "xml declaration": ("<?xml version='1.0'?>", "not-well-formed"),
}


@pytest.mark.parametrize(("text", "condition"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_rfc_6120_forbids_is_refused_wherever_it_is_cut(text: str, condition: str) -> None:
    document = OPEN + b"<presence/>" + text.encode()
    for pieces in splits(document):
        items, error = read_stream(pieces)
        assert len(items) == 2, pieces
        assert error is not None
        assert error[0] == condition, pieces


BILLION = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>"


@pytest.mark.parametrize("dtd", ["<!DOCTYPE x>", "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>", BILLION])
def test_a_document_type_declaration_is_refused_before_the_root(dtd: str) -> None:
    for pieces in splits(dtd.encode() + OPEN):
        items, error = read_stream(pieces)
        assert items == []
        assert error is not None
        assert error[0] == "restricted-xml"


MALFORMED = {
    "unbound prefix": "<p:message/>",
    "unbound prefix of an attribute": "<message p:a='1'/>",
    "unbound prefix inside": "<message><p:x/></message>",
    "wrong end tag": "<message></presence>",
    "attribute twice": "<message a='1' a='2'/>",
    "attribute twice by two prefixes": "<message xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>",
    "attribute without a value": "<message a/>",
    "less-than in a value": "<message a='<'/>",
    "bare ampersand": "<message>&</message>",
    "control character": "<message>\x1b</message>",
    "NUL": "<message>\x00</message>",
    "reference to a control character": "<message>&#27;</message>",
    "reference to a surrogate": "<message>&#xD800;</message>",
    "non-character": "<message>\ufffe</message>",
    "cdata end in text": "<message>]]></message>",
    "text between stanzas": "<message/>text<message/>",
    "cdata between stanzas": "<message/><![CDATA[x]]>",
    "xml prefix bound elsewhere": "<message xmlns:xml='urn:x'/>",
    "prefix bound to nothing": "<message xmlns:p=''/>",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_well_formed_is_refused_wherever_it_is_cut(text: str) -> None:
    document = text.encode("utf-8")
    whole = read_stream([OPEN, document])
    assert whole[1] is not None
    assert whole[1][0] == "not-well-formed"
    for pieces in splits(document):
        items, error = read_stream([OPEN, *pieces])
        assert items == whole[0]
        assert error is not None


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\x80", b"\xe2\x82"])
def test_bytes_that_are_not_utf_8_are_refused(bad: bytes) -> None:
    for pieces in splits(b"<message>" + bad + b"</message>"):
        assert read_stream([OPEN, *pieces])[1] is not None


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u2028", "\u0085", "\u3000"])
def test_only_the_white_space_of_xml_may_stand_between_stanzas(space: str) -> None:
    assert read_stream([OPEN, f"<message/>{space}<message/>".encode()])[1] is not None
    assert read_stanzas([f"<message/>{space}<message/>".encode()])[1] is not None


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16", "us-ascii"])
def test_a_stream_in_another_encoding_is_refused(encoding: str) -> None:
    header = ROOT.replace("?>", f" encoding='{encoding}'?>").encode()
    _, error = read_stream([header])
    assert error is not None
    assert error[0] == "unsupported-encoding"


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-8", "Utf-8"])
def test_a_stream_that_says_utf_8_is_read(encoding: str) -> None:
    header = ROOT.replace("?>", f" encoding='{encoding}'?>").encode()
    assert read_stream([header + b"<message/>"])[1] is None


def test_the_sentence_of_a_fault_names_what_and_where() -> None:
    with pytest.raises(XmlError) as caught:
        read_element("<message>\n<!-- x -->\n</message>")
    assert str(caught.value) == "line 2, column 1: a comment is not allowed in XMPP"
    assert (caught.value.condition, caught.value.line, caught.value.column) == ("restricted-xml", 2, 1)


def test_what_a_server_writes_anew_is_measured_as_its_sender_wrote_it() -> None:
    # A body of quotes, which a server writes as &quot;, would else end a session, and each one after it.
    longer = f"<message><body>{'&quot;' * 260_000}</body></message>"
    items, error = read_stream([OPEN, longer.encode()], Limits().arriving)
    assert error is None
    assert [one.xml for one in items if isinstance(one, Element)] == [longer]
    longest = Limits().arriving.stanza_bytes - len("<message><body></body></message>")
    assert longest >= 512 * 1024  # what Prosody takes from other servers
    _, error = read_stream(
        [OPEN, longer.replace("&quot;" * 260_000, "&quot;" * (longest + 1)).encode()], Limits().arriving
    )
    assert error is not None
    assert children(read_element(longer)) == [longer.removeprefix("<message>").removesuffix("</message>")]
