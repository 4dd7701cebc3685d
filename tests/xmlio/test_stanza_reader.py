"""People's input: stanzas with or without a root, a declaration, a byte order mark; faults have a line and a column."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xmlio.documents import STANZAS, alone, infoset, read_stanzas, splits, stanzas

from xmppsh.errors import XmlError
from xmppsh.xmlio.reader import StanzaReader, children, read_element, tree

BOM = "\ufeff"
STREAM = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
PREFIXED = "<stream:stream>"  # the prefix is known without a declaration
FRAMES = {
    "nothing": ("", ""),
    "white space": ("\n \t", "\r\n"),
    "declaration": ("<?xml version='1.0'?>", ""),
    "declaration with encoding": ('<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n', "\n"),
    "byte order mark": (BOM, ""),
    "stream": (STREAM, "</stream:stream>"),
    "stream without declarations": (PREFIXED, "</stream:stream>"),
    "declaration and stream": ("<?xml version='1.0'?>\n" + STREAM, "</stream:stream>\n"),
    "a root that was named": ("<r>", "</r>"),
    "a root of another namespace": ("<x:r xmlns:x='urn:x'>", "</x:r >"),
}


def _kinds(pieces: list[bytes]) -> list[str]:
    found, error = read_stanzas(pieces, root="r")
    assert error is None, pieces
    return [stanza.kind for stanza in found]


@pytest.mark.parametrize(("before", "after"), FRAMES.values(), ids=FRAMES)
def test_stanzas_are_found_in_every_frame_wherever_it_is_cut(before: str, after: str) -> None:
    document = f"{before}<message/>\n<presence/>{after}".encode()
    for pieces in splits(document):
        assert _kinds(pieces) == ["message", "presence"], pieces


def test_a_byte_order_mark_is_passed_over_before_a_declaration() -> None:
    assert _kinds([f"{BOM}<?xml version='1.0'?><message/>".encode()]) == ["message"]


@pytest.mark.parametrize("stanza", STANZAS.values(), ids=STANZAS)
def test_a_stanza_of_a_person_means_the_same_as_in_a_stream(stanza: str) -> None:
    found, error = read_stanzas([f"<r xmlns:r='urn:root'>{stanza}</r>".encode()], root="r")
    assert error is None
    assert alone(found[0].xml) == infoset(tree(read_element(found[0].xml)))
    assert [alone(one.xml)[0] for one in found] == [found[0].name]


@settings(max_examples=60, deadline=None)
@given(st.lists(stanzas(), min_size=1, max_size=3), st.data())
def test_any_stanzas_of_a_person_survive_any_cut(parts: list[str], data: st.DataObject) -> None:
    document = f"<r xmlns:r='urn:r'>{' '.join(parts)}</r>".encode()
    whole, error = read_stanzas([document], root="r")
    assert error is None
    assert len(whole) == len(parts)
    point = data.draw(st.integers(0, len(document)))
    assert read_stanzas([document[:point], document[point:]], root="r") == (whole, None)


FAULTS = {
    "text first": ("hello", 0, "not-well-formed", 1, 1),
    "text after it": ("<message/>\n  hello", 1, "not-well-formed", 2, 3),
    "foreign element": ("<message/>\n  <foo/>", 1, "unsupported-stanza-type", 2, 3),
    "foreign namespace": ("<message xmlns='urn:x'/>", 0, "unsupported-stanza-type", 1, 1),
    "stream error": ("<stream:error/>", 0, "unsupported-stanza-type", 1, 1),
    "a root that was not named": ("<root><message/></root>", 0, "unsupported-stanza-type", 1, 1),
    "wrong end tag": ("<message>\n<body></bdy></message>", 0, "not-well-formed", 2, 9),
    "stray end tag": ("<message/></message>", 1, "not-well-formed", 1, 13),
    "declaration in the middle": ("<message/>\n<?xml version='1.0'?>", 1, "not-well-formed", 2, 1),
    "document type": ("<!DOCTYPE message>", 0, "not-well-formed", 1, 3),
    "entity": ("<message/>\n\n<message>&nbsp;</message>", 1, "not-well-formed", 3, 10),
    "control character": ("<message>\n<body>a\x1b</body></message>", 0, "not-well-formed", 2, 8),
    "characters, not bytes": ("<message a='é☃'/>\n<é/>", 1, "unsupported-stanza-type", 2, 1),
    "column after several bytes": ("<message a='é☃'/><foo/>", 1, "unsupported-stanza-type", 1, 18),
    "comment": ("<message/>\n <!-- x -->", 1, "restricted-xml", 2, 2),
    "another encoding": ("<?xml version='1.0' encoding='latin1'?><message/>", 0, "unsupported-encoding", 1, 1),
    "after a declaration": ("<?xml version='1.0'?><foo/>", 0, "unsupported-stanza-type", 1, 22),
    "after a declaration of two lines": ("<?xml version='1.0'\n?><foo/>", 0, "unsupported-stanza-type", 2, 3),
    "ends in an element": ("<message>\n<body>", 0, "not-well-formed", 2, 7),
    "ends in a root": ("<stream:stream><message/>", 1, "not-well-formed", 1, 26),
}


@pytest.mark.parametrize(("text", "before", "condition", "line", "column"), FAULTS.values(), ids=FAULTS)
def test_a_fault_has_its_place_and_the_stanzas_before_it_are_given(
    text: str, before: int, condition: str, line: int, column: int
) -> None:
    found, error = read_stanzas([text.encode()])
    assert len(found) == before
    assert error == (condition, line, column)


@pytest.mark.parametrize("text", [fault[0] for fault in FAULTS.values()], ids=FAULTS)
def test_a_fault_is_found_wherever_the_input_is_cut(text: str) -> None:
    expected, fault = read_stanzas([text.encode()])
    assert fault is not None
    for pieces in splits(text.encode()):
        found, error = read_stanzas(pieces)
        assert (found, error and error[0]) == (expected, fault[0]), pieces


def test_the_end_tag_of_the_reader_s_own_root_is_a_stray_one() -> None:
    found, error = read_stanzas([b"<message/>\n</x><message/>"])
    assert len(found) == 1
    assert error is not None
    assert error[:2] == ("not-well-formed", 2)


@pytest.mark.parametrize("rest", ["<", "<mess", "<message", "<message a='", "<message><body>x", "<message></mess", "&"])
def test_input_that_ends_early_is_refused_and_what_came_before_is_given(rest: str) -> None:
    found, error = read_stanzas([b"<presence/>" + rest.encode()])
    assert [stanza.kind for stanza in found] == ["presence"]
    assert error is not None


@pytest.mark.parametrize("cut", [b"<message/>\xe2", b"<message/>\xe2\x98", b"<message>\xc3"])
def test_input_that_ends_inside_a_character_is_refused(cut: bytes) -> None:
    assert read_stanzas([cut])[1] is not None


@pytest.mark.parametrize("text", ["", " \n", "<?xml version='1.0'?>", "<?xml version='1.0'?>\n", "<r></r>", "<r/>"])
def test_input_without_stanzas_is_no_fault(text: str) -> None:
    assert read_stanzas([text.encode()], root="r") == ([], None)


def test_a_second_root_may_follow_the_first() -> None:
    assert _kinds([b"<r><message/></r><iq type='get' id='1'/><r><presence/></r>"]) == ["message", "iq", "presence"]


def test_what_a_root_declares_ends_with_it() -> None:
    found, error = read_stanzas([b"<r xmlns='urn:other'></r><message><body/></message>"], root="r")
    assert error is None
    assert found[0].xml == "<message><body/></message>"


def test_a_root_is_named_by_its_local_name_or_in_full() -> None:
    document = b"<q:r xmlns:q='urn:q'><message/></q:r>"
    for root in ("r", "{urn:q}r"):
        assert len(read_stanzas([document], root=root)[0]) == 1
    assert read_stanzas([document], root="{urn:other}r")[1] is not None


def test_feed_raises_the_fault_that_feed_until_error_returns() -> None:
    with pytest.raises(XmlError, match=r"^line 1, column 1: <foo> is not a stanza \(message, presence or iq in jab"):
        StanzaReader().feed(b"<foo/>")


def test_end_raises_when_an_element_is_open() -> None:
    reader = StanzaReader()
    reader.feed(b"<message>")
    assert reader.is_open
    with pytest.raises(XmlError, match="the input ends inside an element"):
        reader.end()


def test_is_open_tells_that_more_is_wanted() -> None:
    reader = StanzaReader()
    reader.feed(b"<message>\n")
    assert reader.is_open
    reader.feed(b"</message>")
    assert not reader.is_open


# ── children, tree, read_element ────────────────────────────────────────────────────────────────────────────────

CHILDREN = {
    "none": ("<message/>", []),
    "text alone": ("<message>hello</message>", []),
    "two": ("<message><body>a</body><subject>b</subject></message>", ["<body>a</body>", "<subject>b</subject>"]),
    "between text": ("<message>a<x/>b<y/>c</message>", ["<x/>", "<y/>"]),
    "alike inside": ("<message><a><a/></a></message>", ["<a><a/></a>"]),
    "verbatim": ("<message><body >a &gt;<![CDATA[<]]></body\n></message>", ["<body >a &gt;<![CDATA[<]]></body\n>"]),
    "prefix from the stanza": (
        "<message xmlns:p='urn:p'><p:x/><y/></message>",
        ['<p:x xmlns:p="urn:p"/>', "<y/>"],
    ),
    "namespace from the stanza": ("<query xmlns='urn:q'><item/></query>", ['<item xmlns="urn:q"/>']),
}


@pytest.mark.parametrize(("xml", "expected"), CHILDREN.values(), ids=CHILDREN)
def test_the_children_of_an_element_stand_alone(xml: str, expected: list[str]) -> None:
    assert children(read_element(xml)) == expected


@settings(max_examples=60, deadline=None)
@given(stanzas())
def test_the_children_mean_the_same_as_in_their_parent(stanza: str) -> None:
    item = read_stanzas([f"<r xmlns:r='urn:r'>{stanza}</r>".encode()], root="r")[0][0]
    assert [alone(child) for child in children(item)] == [infoset(child) for child in tree(item)]


def test_tree_has_names_with_namespaces() -> None:
    found = tree(read_element("<message xml:lang='en'><x xmlns='urn:x' a='1'/>tail</message>"))
    assert found.tag == "{jabber:client}message"
    assert found[0].tag == "{urn:x}x"
    assert found[0].tail == "tail"


@pytest.mark.parametrize("xml", ["<a/>", " <a/>\n", "<query xmlns='urn:q'><b>é</b></query>", "<stream:x/>"])
def test_read_element_reads_one_element_of_any_namespace(xml: str) -> None:
    assert read_element(xml).kind in ("a", "query", "x")


@pytest.mark.parametrize(("xml", "sentence"), [
    ("", "line 1, column 1: one element is wanted here, not 0"),
    ("<a/><b/>", "line 1, column 1: one element is wanted here, not 2"),
    ("text", "line 1, column 1: text between elements"),
    ("<a/>\n \ttext", "line 2, column 3: text between elements"),
    ("<a>", "line 1, column 4: the input ends inside an element"),
    ("<a>\udcff</a>", "line 1, column 4: not well-formed (invalid token)"),
])  # fmt: skip
def test_read_element_refuses_anything_else(xml: str, sentence: str) -> None:
    with pytest.raises(XmlError) as caught:
        read_element(xml)
    assert str(caught.value) == sentence
