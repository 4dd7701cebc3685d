"""Lines and JSON objects become messages that leave together, each with its place in the input."""

import json

import pytest

from xmppsh.commands.pipe.lines import EVERYWHERE_BYTES, MAX_TOGETHER, Lines
from xmppsh.errors import XmlError, XmppshError
from xmppsh.model import Element, Jid
from xmppsh.xmlio.ids import Series
from xmppsh.xmlio.plain import Plain
from xmppsh.xmlio.reader import read_element, tree
from xmppsh.xmlio.splitter import Limits
from xmppsh.xmlio.stanzas import numbered

BOB = Jid.parse("bob@b")
LONG = "x" * EVERYWHERE_BYTES


def lines_of(found: list[Element | Plain]) -> list[tuple[int, str | None, str | None]]:
    """The line, the body and the id of each message as it is sent, however it was made."""
    sent: list[tuple[int, str | None, str | None]] = []
    for item in found:
        texts = [item.xml] if isinstance(item, Element) else [one.decode() for one in numbered(item, Series())]
        for at, text in enumerate(texts):
            line, column = (item.line, item.column) if isinstance(item, Element) else item.place_of(at)
            message = tree(read_element(text))
            assert column == 1
            assert "\n" not in text.strip() or isinstance(item, Element)
            sent.append((line, message.findtext("{jabber:client}body"), message.get("id")))
    return sent


def read(*lines: bytes, is_json: bool = False, skipped: list[XmppshError] | None = None) -> list[Element | Plain]:
    """By chunks of two lines."""
    reader = Lines(is_json=is_json, to=BOB, limits=Limits(), skip=None if skipped is None else skipped.append)
    return [one for at in range(0, len(lines), 2) for one in reader.read(lines[at : at + 2])]


def test_each_line_is_a_message_with_its_place() -> None:
    found = read(b"\xef\xbb\xbfone", b"", b"<two & ]]>\r", LONG.encode(), b"  ", "fünf".encode())
    assert [line[:2] for line in lines_of(found)] == [(1, "one"), (3, "<two & ]]>"), (4, LONG), (6, "fünf")]
    assert [isinstance(one, Plain) for one in found] == [True, True, False, True]


def test_an_object_keeps_its_id_and_the_newlines_of_its_body() -> None:
    given: list[dict[str, str]] = [
        {"body": "a\nb", "id": "i'1"}, {"body": "c", "lang": "de"}, {"body": "", "type": "normal"}, {"subject": "s"},
        {"to": "xmpp:carol@c", "body": "d", "thread": "t"}, {"xml": "\n<message><body>e</body></message>"},
    ]  # fmt: skip
    found = lines_of(read(*(json.dumps(one).encode() for one in given), is_json=True))
    assert [one[:2] for one in found] == [(1, "a\nb"), (2, "c"), (3, ""), (4, None), (5, "d"), (6, "e")]
    assert found[0][2] == "i'1"
    assert len({one[2] for one in found[:5]}) == 5


@pytest.mark.parametrize(
    ("bad", "is_json", "column"), [(b"b\xff", False, 2), (b"b\x01", False, 1), (b'{"body": 1}', True, 1)]
)
def test_a_bad_line_is_named_after_those_before_it_and_can_be_left_out(bad: bytes, is_json: bool, column: int) -> None:
    good = [json.dumps({"body": one}).encode() if is_json else one.encode() for one in "acd"]
    lines = [good[0], bad, *good[1:]]
    found = Lines(is_json=is_json, to=BOB, limits=Limits(), skip=None).read(lines)
    came = [next(found)]
    with pytest.raises(XmlError) as caught:
        next(found)
    assert [line[:2] for line in lines_of(came)] == [(1, "a")]
    assert (caught.value.line, caught.value.column) == (2, column)
    skipped: list[XmppshError] = []
    assert [line[:2] for line in lines_of(read(*lines, is_json=is_json, skipped=skipped))] == [
        (1, "a"), (3, "c"), (4, "d")
    ]  # fmt: skip
    assert [error.line for error in skipped if isinstance(error, XmlError)] == [2]


def test_a_chunk_of_very_many_lines_is_several_batches() -> None:
    found = [*Lines(is_json=False, to=BOB, limits=Limits(), skip=None).read([b"x"] * (MAX_TOGETHER + 1))]
    assert [len(one.messages) for one in found if isinstance(one, Plain)] == [MAX_TOGETHER, 1]
    assert isinstance(found[1], Plain)
    assert found[1].place == (MAX_TOGETHER + 1, 1)
