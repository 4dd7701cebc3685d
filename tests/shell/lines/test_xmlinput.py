"""XML that is typed line by line."""

import pytest

from xmppsh.errors import XmlError
from xmppsh.shell.lines.xmlinput import XmlInput, is_open
from xmppsh.xmlio.splitter import Limits

MESSAGE = "<message to='a@b'>\n<body>one  \n\n two</body>\n</message>"


def test_an_element_on_one_line_is_complete_at_once() -> None:
    stanzas = XmlInput(Limits()).feed("<presence/>  ")
    assert stanzas is not None
    assert [stanza.xml for stanza in stanzas] == ["<presence/>"]


def test_an_element_stays_open_until_it_is_closed_and_keeps_its_white_space() -> None:
    xml = XmlInput(Limits())
    *lines, last = MESSAGE.split("\n")
    assert [xml.feed(line) for line in lines] == [None] * len(lines)
    stanzas = xml.feed(last)
    assert stanzas is not None
    assert [stanza.xml for stanza in stanzas] == [MESSAGE]


@pytest.mark.parametrize("text", ["<", "<message", "<message to='a'", "<message>", "<message/><presence>"])
def test_what_is_begun_waits_for_more(text: str) -> None:
    assert is_open(text, Limits())


@pytest.mark.parametrize("text", ["<presence/>", "<a></b>", "<presence/> and text", "<!-- no -->", "<r/>"])
def test_what_is_complete_or_faulty_waits_for_nothing(text: str) -> None:
    assert not is_open(text, Limits())


def test_two_elements_are_given_together() -> None:
    xml = XmlInput(Limits())
    assert xml.feed("<presence/><message>") is None
    stanzas = xml.feed("</message>")
    assert stanzas is not None
    assert [stanza.kind for stanza in stanzas] == ["presence", "message"]


def test_a_fault_names_line_and_column() -> None:
    xml = XmlInput(Limits())
    assert xml.feed("<message>") is None
    with pytest.raises(XmlError, match="line 2, column 3: mismatched tag"):
        xml.feed("</body>")


def test_what_is_no_stanza_is_refused() -> None:
    with pytest.raises(XmlError, match="<query> is not a stanza"):
        XmlInput(Limits()).feed("<query/>")


def test_the_end_of_the_input_inside_an_element_is_an_error() -> None:
    xml = XmlInput(Limits())
    assert xml.feed("<message>") is None
    with pytest.raises(XmlError, match="the input ends inside an element"):
        xml.end()
