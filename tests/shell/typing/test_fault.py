"""Faults of typed XML: where the mark stands, and what it says."""

import pytest

from xmppsh.shell.typing.fault import xml_fault
from xmppsh.shell.typing.prompt import line_fault, marked
from xmppsh.xmlio.splitter import Limits


@pytest.mark.parametrize(
    ("text", "at", "sentence"),
    [
        ("<message><body>a & b</body></message>", "&", "& is written &amp;"),
        ("<message><body>é 日 a < b</body></message>", "< b", "< is written &lt;"),
        ("<message><body>é</bod></message>", "bod>", "mismatched tag"),
        ("<query/>", "<query", "<query> is not a stanza (message, presence or iq in jabber:client)"),
        ("<message>", "", "the input ends inside an element"),
        ("<message>\n<body>a\n&</body></message>", "&<", "& is written &amp;"),
    ],
)
def test_a_fault_is_marked_where_it_is(text: str, at: str, sentence: str) -> None:
    fault = xml_fault(text, Limits())
    assert fault is not None
    assert (fault.position, fault.sentence) == (text.index(at) if at else len(text), sentence)


@pytest.mark.parametrize("text", ["<presence/>", "<message><body>a &amp; b</body></message>", "<presence/><presence/>"])
def test_what_can_be_sent_has_no_fault(text: str) -> None:
    assert xml_fault(text, Limits()) is None


def test_the_xml_of_a_command_is_checked_and_that_of_a_message_is_not() -> None:
    fault = line_fault("/iq get a@b <query>&</query>", Limits())
    assert fault is not None
    assert fault.position == len("/iq get a@b <query>")
    assert line_fault("/send a@b <b>&", Limits()) is None
    assert line_fault("a <b>&", Limits()) is None


def test_the_mark_stands_below_the_fault() -> None:
    text = "<message>&</message>"
    fault = xml_fault(text, Limits())
    assert fault is not None
    assert marked(text, fault, len("romeo> "), 80).index("^") == len("romeo> <message>")
    assert marked(text, fault, len("romeo> "), 20) == "column 10: & is written &amp;"
    assert marked(f"{text}\n", fault, 0, 80) == "line 1, column 10: & is written &amp;"


def test_a_mark_at_the_right_edge_has_its_sentence_to_the_left() -> None:
    text = f"<message>{'x' * 50}&</message>"
    fault = xml_fault(text, Limits())
    assert fault is not None
    shown = marked(text, fault, 0, 72)
    assert shown.index("^") == 59
    assert shown.endswith("& is written &amp; ^")
