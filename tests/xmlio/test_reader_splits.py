"""The reader gives the same items however the bytes are cut, and each element stands alone."""

import tracemalloc
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xmlio.documents import BETWEEN, FOOTER, ROOT, STANZAS, alone, infoset, read_stream, splits, stanzas, stream_of

from xmppsh.model import Element
from xmppsh.xmlio.reader import Footer, Header, StreamReader


@pytest.mark.parametrize("between", BETWEEN, ids=["nothing", "newline", "white space"])
@pytest.mark.parametrize("stanza", STANZAS.values(), ids=STANZAS)
def test_a_stream_gives_the_same_items_wherever_it_is_cut(stanza: str, between: str) -> None:
    document = stream_of(stanza, "<presence/>", between=between)
    items, error = read_stream([document])
    assert error is None
    assert [type(item) for item in items] == [Header, Element, Element, Footer]
    for pieces in splits(document):
        assert read_stream(pieces) == (items, None), pieces


@pytest.mark.parametrize("stanza", STANZAS.values(), ids=STANZAS)
def test_an_element_of_the_stream_stands_alone_with_the_same_meaning(stanza: str) -> None:
    document = stream_of(stanza)
    expected = infoset(fromstring(document.decode())[0])
    (_, item, _), _ = read_stream([document])
    assert alone(item.xml) == expected
    assert item.name == expected[0]
    assert dict(item.attributes) == expected[1]


@pytest.mark.parametrize("stanza", ["<message a='>'><body>x</body></message >", "<presence />", "<iq\n/>"])
def test_an_element_that_needs_no_declaration_leaves_byte_for_byte(stanza: str) -> None:
    (_, item, _), _ = read_stream([stream_of(stanza)])
    assert item.xml == stanza


def test_a_declaration_of_the_root_is_repeated_only_where_it_is_used() -> None:
    (_, without, with_it, _), _ = read_stream([stream_of("<message/>", "<message><r:x/></message>")])
    assert without.xml == "<message/>"
    assert with_it.xml == '<message xmlns:r="urn:root"><r:x/></message>'


def test_a_root_of_another_namespace_is_repeated_in_each_element() -> None:
    document = "<s:stream xmlns='jabber:server' xmlns:s='http://etherx.jabber.org/streams'><message/></s:stream>"
    (_, item, _), _ = read_stream([document.encode()])
    assert (item.name, item.is_stanza) == ("{jabber:server}message", False)
    assert alone(item.xml)[0] == "{jabber:server}message"


@pytest.mark.parametrize("character", ["&#10;", "&#9;", "&#13;"])
def test_white_space_in_a_namespace_name_survives(character: str) -> None:
    document = f"<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns:p='a{character}b'><p:x/></s:stream>"
    (_, item, _), _ = read_stream([document.encode()])
    assert alone(item.xml)[0] == item.name


@settings(max_examples=80, deadline=None)
@given(st.lists(stanzas(), min_size=1, max_size=3), st.sampled_from(BETWEEN), st.data())
def test_any_stanzas_survive_any_cuts(parts: list[str], between: str, data: st.DataObject) -> None:
    document = stream_of(*parts, between=between)
    items, error = read_stream([document])
    assert error is None
    assert [alone(item.xml) for item in items[1:-1]] == [infoset(child) for child in fromstring(document.decode())]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(document)), max_size=8)))
    pieces = [document[start:end] for start, end in zip([0, *cuts], [*cuts, len(document)], strict=True)]
    assert read_stream(pieces) == (items, None)
    assert read_stream([document[i : i + 1] for i in range(len(document))]) == (items, None)


def test_the_place_of_an_element_counts_lines_and_characters() -> None:
    items, _ = read_stream([b"<r>\n <a/><b c='\xc3\xa9'/><d/>\n\n<e/></r>"])
    assert [(item.line, item.column) for item in items[1:-1]] == [(2, 2), (2, 6), (2, 16), (4, 1)]


def test_an_element_is_given_with_its_last_byte_not_later() -> None:
    reader = StreamReader()
    reader.feed(ROOT.encode())
    assert reader.feed(b"<message><body>x</body></message") == []
    (item,) = reader.feed(b">")
    assert isinstance(item, Element)
    (item,) = reader.feed(b"<presence/>")
    assert isinstance(item, Element)
    assert reader.feed(FOOTER.encode()) == [Footer()]


def test_has_rest_tells_whether_bytes_came_after_the_last_element() -> None:
    reader = StreamReader()
    reader.feed(ROOT.encode() + b"<message/>")
    assert not reader.has_rest
    reader.feed(b"<")
    assert reader.has_rest
    reader.feed(b"message/>")
    assert not reader.has_rest
    reader.feed(b" ")
    assert reader.has_rest


def test_the_memory_of_a_stream_reader_stays_flat() -> None:
    reader = StreamReader()
    reader.feed(ROOT.encode())
    batch = b"".join(
        b"<message to='romeo@example.net' id='%d'><body>But soft, what light</body></message>\n" % number
        for number in range(1_000)
    )
    count = sum(len(reader.feed(batch)) for _ in range(95))
    tracemalloc.start()  # it makes everything slow, and what grows, grows at the end too
    try:
        count += len(reader.feed(batch))
        before, _ = tracemalloc.get_traced_memory()
        count += sum(len(reader.feed(batch)) for _ in range(4))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert after - before < 16 * 1024
