"""Plain messages are read by the run, and nothing tells it: the same stanzas, faults and places as one by one."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xmlio.documents import STANZAS, alone, compositions, cut, read_stanzas

from xmppsh.xmlio.plain import END, Plain, PlainReader
from xmppsh.xmlio.reader import Limits

PLAIN = [
    "<message to='a@b' id='1'><body>x</body></message>",
    "<message\n id=\"2\" type = 'chat'\txml:lang='en' ><x xmlns='urn:x'><y a='b'/></x></message>",
    "<message>\u00e9 ]] ></message>",
    "<message xmlns='jabber:client' to='c@d'><body>&amp;&#65;</body><message/></message>",
]
ODD = [
    *STANZAS.values(),
    "<presence/>",
    "<iq type='get' id='3' to='a@b'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<message from='a@b'><body>x</body></message>",
    "<message id=''><body>x</body></message>",
    "<message><messages></messages></message>",
    "<message><stream:features/></message>",
    "<message><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>",
    "<stream:stream>",
    "</stream:stream>",
    "<r xmlns:q='urn:q'>",
    "</r>",
    "<message><q:x/></message>",
    "\n \n",
]
WRONG = [
    "<message id='1' id='2'><body>x</body></message>",
    "<message><body>x</message>",
    "<message>",
    "</message>",
    "</message ><message>",
    "<foo/>",
    "text",
    "<!-- </message> -->",
    "<message a='1' a='2'></message>",
    "<message><u:x/></message>",
    "<message>&nothing;</message>",
    "<message>" + "<a>" * 70 + "</a>" * 70 + "</message>",
    f"<message>{'x' * 900}</message>",
    "<message>\x01</message>",
    "<?pi </message>?>",
]


def read(pieces: Iterable[bytes], **options: Any) -> tuple[list[tuple[Any, ...]], tuple[Any, ...] | None, int]:
    """What each stanza is, and where; the fault; how many were read by the run."""
    reader = PlainReader(options.pop("limits", Limits()), **options)
    seen: list[tuple[Any, ...]] = []
    plain = 0
    for piece, final in [*((piece, False) for piece in pieces), (b"", True)]:
        found, error = reader.feed(piece, final=final)
        for one in found:
            if isinstance(one, Plain):
                plain += len(one.messages)
                for index, message in enumerate(one.messages):
                    seen.append(((message + END).decode().lstrip(), *one.place_of(index)))
            else:
                seen.append((one.xml, one.line, one.column))
        if error is not None:
            return seen, (error.condition, error.line, error.column), plain
    return seen, None, plain


def one_by_one(pieces: Iterable[bytes], **options: Any) -> tuple[list[tuple[Any, ...]], tuple[Any, ...] | None]:
    found, error = read_stanzas(pieces, **options)
    return [(one.xml, one.line, one.column) for one in found], error


@settings(max_examples=150, deadline=None)
@given(compositions(PLAIN, ODD, WRONG), st.sampled_from([7, 300, 1 << 20]))
def test_no_stanza_fault_or_place_differs_from_reading_one_by_one(composed: str, size: int) -> None:
    document = composed.encode()
    limits = Limits(stanza_bytes=800)
    seen, error, _ = read(cut(document, size), root="r", limits=limits)
    assert (seen, error) == one_by_one([document], root="r", limits=limits)


@pytest.mark.parametrize("size", [100, 1 << 20])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("\ufeff", "\n"),
        ("<?xml version='1.0'?>\n", ""),
        ("<stream:stream>", "</stream:stream>"),
        ("<r>\n", "</r>"),
    ],
)
def test_messages_of_a_usual_shape_are_plain_in_every_frame(before: str, after: str, size: int) -> None:
    document = (before + "\n".join(PLAIN * 20) + after).encode()
    seen, error, plain = read(cut(document, size), root="r")
    assert ([alone(xml) for xml, _, _ in seen], error) == ([alone(xml) for xml in PLAIN * 20], None)
    assert plain >= (len(PLAIN) * 20 - 10 if size > 100 else 0)


def test_what_is_held_back_is_read_when_nothing_more_comes() -> None:
    reader = PlainReader(Limits())
    assert reader.feed(b"<message><body>a</wrong>") == ([], None)
    assert reader.holds
    found, error = reader.release()
    assert (found, error is not None and (error.line, error.column)) == ([], (1, 19))
