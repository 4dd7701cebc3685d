"""What is built reads back as it was meant; nothing can be injected, nothing outside XML 1.0 leaves."""

import sys
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xmlio.documents import alone, elements

from xmppsh.errors import DataError
from xmppsh.xmlio.build import Xml, element, escape, start_tag, verbatim, with_child, with_id
from xmppsh.xmlio.reader import read_element
from xmppsh.xmlio.stanzas import Message, presence

# XML 1.0 §2.2, as the standard writes it
CHAR = [(0x9, 0xA), (0xD, 0xD), (0x20, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x10FFFF)]
TEXT = st.text(st.one_of(*(st.characters(min_codepoint=low, max_codepoint=high) for low, high in CHAR)), max_size=30)


@settings(max_examples=100, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_text_and_attributes_read_back_exactly(text: str, value: str, inner: str) -> None:
    built = element("message", {"a": value, "xml:lang": value}, text, element("b", {"c": inner}, inner), text)
    found = fromstring(built)
    assert found.attrib == {"a": value, "{http://www.w3.org/XML/1998/namespace}lang": value}
    assert (found.text or "", found[0].tail or "") == (text, text)
    assert (found[0].get("c"), found[0].text or "") == (inner, inner)
    assert len(found) == 1
    # The word alone has a prefix of the stream's declared in the element: it may be a QName.
    assert "stream:" in built or read_element(built).xml == built


def test_every_character_outside_xml_is_refused_and_every_other_one_passes() -> None:
    allowed = {code for low, high in CHAR for code in range(low, high + 1)}
    refused = [code for code in range(sys.maxunicode + 1) if code not in allowed]
    for code in refused:
        with pytest.raises(DataError):
            escape(f"a{chr(code)}")
    escape("".join(map(chr, sorted(allowed))))


def test_the_refusal_names_the_character_and_its_place() -> None:
    with pytest.raises(DataError) as caught:
        element("body", None, "ab\x1bc")
    assert str(caught.value) == "the text holds U+001B at character 3, which XML cannot carry"
    assert caught.value.hint == "remove control characters before sending"
    with pytest.raises(DataError) as caught:
        element("body", None, b"a\xff".decode("utf-8", "surrogateescape"))
    assert (str(caught.value), caught.value.hint) == ("the text is not UTF-8 (character 2)", None)


@pytest.mark.parametrize("text", ["</body><evil/>", "]]>", "<![CDATA[", "&lt;", "' a='1", '" a="1', "<!--", "--><x/>"])
def test_nothing_can_be_injected(text: str) -> None:
    found = fromstring(element("body", {"a": text}, text))
    assert (found.text, found.attrib, len(found)) == (text, {"a": text}, 0)


@pytest.mark.parametrize("name", ["", "a b", "a>", "1a", "a:b:c", ":a", "a\n", "é", 'a="1"', "-a"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an XML name"):
        element(name)
    with pytest.raises(ValueError, match="is not an XML name"):
        element("a", {name: "x"})


def test_what_is_none_is_left_out() -> None:
    assert element("a", {"b": None, "c": ""}, None) == '<a c=""/>'
    assert element("a", None, "") == "<a/>"
    assert start_tag("stream:stream", {"to": "x", "from": None}) == '<stream:stream to="x">'


def test_xml_that_was_built_is_not_escaped_again_and_plain_text_is() -> None:
    inner = element("b", None, "<")
    assert element("a", None, inner) == "<a><b>&lt;</b></a>"
    assert element("a", None, "<b/>") == "<a>&lt;b/&gt;</a>"


# ── with_id ─────────────────────────────────────────────────────────────────────────────────────────────────────

WITH_ID = {
    "none": ("<message/>", '<message id="N"/>'),
    "none, with a space": ("<message />", '<message id="N" />'),
    "first": ("<message id='1' to='a'/>", "<message id=\"N\" to='a'/>"),
    "last": ("<message to='a' id=\"1\">x</message>", "<message id=\"N\" to='a'>x</message>"),
    "spaces": ("<message to='a'\n id = '1' >x</message>", "<message id=\"N\" to='a' >x</message>"),
    "empty": ("<message id=''/>", '<message id="N"/>'),
    "with quotes inside": ("<message id='a\"b' c=\"'\"/>", '<message id="N" c="\'"/>'),
    "prefixed name": (
        "<c:message xmlns:c='jabber:client' id='1'/>",
        "<c:message id=\"N\" xmlns:c='jabber:client'/>",
    ),
    "other attributes that end in id": (
        "<message xml:id='1' xmlns:p='urn:p' p:id='2' fid='3' id-x='4'/>",
        "<message id=\"N\" xml:id='1' xmlns:p='urn:p' p:id='2' fid='3' id-x='4'/>",
    ),
    "and its own among them": (
        "<message xml:id='1' fid='3' id='0' id2='4'/>",
        "<message id=\"N\" xml:id='1' fid='3' id2='4'/>",
    ),
    "in a child": ("<message><x id='1'/></message>", "<message id=\"N\"><x id='1'/></message>"),
    "in the text": ("<message> id='1' </message>", "<message id=\"N\"> id='1' </message>"),
    "in a value, none of its own": ("<message a=\" id='1' \"/>", '<message id="N" a=" id=\'1\' "/>'),
    "greater-than in a value": ("<message a='>' id='1'>x</message>", "<message id=\"N\" a='>'>x</message>"),
    "in a value, double quotes": ("<message a=\" id='1' \" id='0'/>", '<message id="N" a=" id=\'1\' "/>'),
    "in a value, single quotes": ("<message a=' id=\"1\" ' id='0'/>", '<message id="N" a=\' id="1" \'/>'),
}


@pytest.mark.parametrize(("xml", "expected"), WITH_ID.values(), ids=WITH_ID)
def test_with_id_sets_the_stanza_s_own_id_and_leaves_the_rest(xml: str, expected: str) -> None:
    assert with_id(read_element(xml), "N") == expected


@settings(max_examples=100, deadline=None)
@given(elements(name="message", known=frozenset()), TEXT)
def test_with_id_changes_the_id_alone(xml: str, stanza_id: str) -> None:
    before = alone(xml)
    after = alone(with_id(read_element(xml), stanza_id))
    assert after == (before[0], {**before[1], "id": stanza_id}, *before[2:])


def test_verbatim_is_what_came() -> None:
    xml = "<message  a = '1' ><body>&#65;<![CDATA[x]]></body></message >"
    assert verbatim(read_element(xml)) == xml
    assert isinstance(verbatim(read_element(xml)), Xml)


# ── stanzas ─────────────────────────────────────────────────────────────────────────────────────────────────────


ORIGIN = '<origin-id xmlns="urn:xmpp:sid:0" id="1"/>'


def test_a_message_holds_what_it_was_given_in_the_order_of_the_standard() -> None:
    message = Message("b < c", "headline", "s", "t", "de", ("https://example.org/?a&b",))
    assert message.xml("romeo@example.net", "1") == (
        '<message to="romeo@example.net" type="headline" id="1" xml:lang="de"><subject>s</subject><body>b &lt; c</body>'
        '<thread>t</thread><x xmlns="jabber:x:oob"><url>https://example.org/?a&amp;b</url></x>' + ORIGIN + "</message>"
    )


def test_a_normal_message_has_no_type_and_an_empty_body_stays() -> None:
    assert Message("", "normal").xml("a@b", "1") == f'<message to="a@b" id="1"><body/>{ORIGIN}</message>'


@pytest.mark.parametrize(("xml", "expected"), [
    ("<a/>", "<a><c/></a>"),
    ("<a />", "<a ><c/></a>"),
    ("<p:a xmlns:p='x' b='/>'/>", "<p:a xmlns:p='x' b='/>'><c/></p:a>"),
    ("<a></a >", "<a><c/></a >"),
    ("<a>x<b/></a>", "<a>x<b/><c/></a>"),
    ("<a><![CDATA[</a>]]></a\n>", "<a><![CDATA[</a>]]><c/></a\n>"),
])  # fmt: skip
def test_with_child_puts_one_more_after_the_others(xml: str, expected: str) -> None:
    assert with_child(Xml(xml), element("c")) == expected


def test_presence_is_bare_when_available() -> None:
    assert presence() == "<presence/>"
    assert presence("unavailable") == '<presence type="unavailable"/>'
