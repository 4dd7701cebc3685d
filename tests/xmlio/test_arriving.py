"""What the server sends is read by the run, and nothing tells it: the same elements and faults as one by one."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xmlio.documents import compositions, cut

from xmppsh.model import Element
from xmppsh.xmlio.arriving import ArrivalReader
from xmppsh.xmlio.plain import FEWEST
from xmppsh.xmlio.reader import Run, StreamReader
from xmppsh.xmlio.splitter import Footer, Limits

HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    b" xmlns:q='urn:q' id='s' from='example.net' version='1.0'>"
)
LIMITS = Limits(stanza_bytes=800)
PLAIN = [
    "<message from='a@b/c' to='d@e' type='chat' id='1'><body>x</body></message>",
    '<message to="d@e" from="a@b/c" id="2"><body>it\'s</body><x xmlns=\'urn:x\'/></message>',
    "<message\n from='a@b' \tid = \"it's\" xml:lang='en' ><body>&amp;&#65; \u00e9 ]] ></body></message>",
    "<message><message/></message>",
    "<message type='groupchat' from='r@s/\u00e9' id=''>\n</message>",
]
RESULT = (
    "<message to='d@e'><result xmlns='urn:xmpp:mam:2' queryid='q' id='{}'><forwarded xmlns='urn:xmpp:forward:0'>"
    "<message xmlns='jabber:client'>{}</message></forwarded></result></message>"
)
RESULTS = [RESULT.format(1, "<body>x</body>"), RESULT.format(2, "<result/>"), RESULT.format(3, "<body>&amp;</body>")]

ODD = [
    "<message from='a&amp;b' id='1'><body>x</body></message>",
    "<message from='a\tb'><body>x</body></message>",
    "<message by='a'><body>x</body></message>",
    "<message xmlns='jabber:client'><body>x</body></message>",
    "<message id='>'><body>x</body></message>",
    "<message from='a@b'/>",
    "<message><q:x/></message>",
    "<message><body>stream: q:</body></message>",
    "<message><x xmlns='urn:x'><message xmlns='jabber:client'><body>y</body></message></x></message>",
    "<message><![CDATA[</message>]]></message>",
    "<presence/>",
    "<iq type='get' id='3' from='a@b'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "\n \n",
    "</stream:stream>",
]
WRONG = [
    "<message><body>x</message>",
    "<message id='1'/></message>",
    "</message>",
    "</message ><message>",
    "text",
    "<!-- </message> -->",
    "<message id='1' id='2'></message>",
    "<message><u:x/></message>",
    "<message>&nothing;</message>",
    "<message>" + "<a>" * 70 + "</a>" * 70 + "</message>",
    f"<message>{'x' * 900}</message>",
    "<message>\x01</message>",
    "<message>\udcff</message>",
]
Seen = tuple[list[Any], tuple[Any, ...] | None]


def told(item: Any) -> Any:
    if isinstance(item, Element):
        return item.name, dict(item.attributes), item.xml
    return item


def read(reader: ArrivalReader | StreamReader, pieces: Iterable[bytes]) -> tuple[Seen, int]:
    """Each item, the fault, and how many messages came by the run."""
    seen: list[Any] = []
    together = 0
    for piece in pieces:
        items, error = reader.feed_until_error(piece)
        for item in items:
            if isinstance(item, Run):
                together += len(item.messages)
                seen += [told(item.element(at)) for at in range(len(item.messages))]
            else:
                seen.append(told(item))
        if error is not None:
            return (seen, (str(error), error.condition, error.line, error.column)), together
    return (seen, None), together


def by_the_run(pieces: Iterable[bytes]) -> tuple[Seen, int]:
    reader = ArrivalReader(LIMITS)
    reader.feed_until_error(HEADER)
    reader.by_the_run = True
    return read(reader, pieces)


def one_by_one(pieces: Iterable[bytes]) -> Seen:
    reader = StreamReader(LIMITS)
    reader.feed_until_error(HEADER)
    return read(reader, pieces)[0]


@settings(max_examples=120, deadline=None)
@given(compositions(PLAIN, ODD, WRONG), st.sampled_from([7, 300, 1 << 20]))
def test_no_element_or_fault_differs_from_reading_one_by_one(document: str, size: int) -> None:
    pieces = cut(document.encode("utf-8", "surrogateescape"), size)
    assert by_the_run(pieces)[0] == one_by_one(pieces)


WRONG_RESULTS = [
    RESULT.format(4, "<x></message></x>"),
    RESULT.format(5, "<x><!-- </result></message> --></x>"),
    RESULT.format(6, "</message></forwarded></result ></message >"),
    "<message><result><forwarded><message><result></result></message>",
    "<message><result></result></forwarded></result></message>",
    "<message><result></forwarded></result></message>",
    "</result></message>",
]


@settings(max_examples=120, deadline=None)
@given(compositions(RESULTS, [*PLAIN, *ODD], [*WRONG_RESULTS, *WRONG]), st.sampled_from([7, 900, 1 << 20]))
def test_no_result_of_an_archive_differs_from_reading_one_by_one(document: str, size: int) -> None:
    pieces = cut(document.encode("utf-8", "surrogateescape"), size)
    assert by_the_run(pieces)[0] == one_by_one(pieces)


def test_a_fault_after_a_run_is_told_with_its_place_in_the_stream() -> None:
    pieces = cut("".join([*PLAIN[:1] * 20, "<message></x>"]).encode(), 1 << 20)
    assert by_the_run(pieces)[0] == one_by_one(pieces)


def test_results_of_an_archive_come_by_the_run() -> None:
    pieces = cut("".join([RESULTS[0], RESULTS[2]] * 100).encode(), 1 << 20)
    seen, together = by_the_run(pieces)
    assert (seen, together) == (one_by_one(pieces), 199)


@pytest.mark.parametrize("size", [2000, 1 << 20])
def test_messages_of_a_usual_shape_come_by_the_run(size: int) -> None:
    pieces = cut("".join(PLAIN * 100).encode(), size)
    seen, together = by_the_run(pieces)
    assert (seen, together > len(PLAIN) * 60) == (one_by_one(pieces), True)


ALIKE = "<message from='a@b/c' id='{}' to='d@e'{}><body>{}</body></message>{}"
IDS = ["1", "", '"', ">", "&lt;", "x\ty", "\u00e9", "2' type='chat", "3' by='x", "4' to='d@e"]
ONE = st.tuples(
    st.sampled_from(IDS),
    st.sampled_from(["", " ", " type='chat'", " by='x'"]),
    st.sampled_from(["x", "'>", "id='5' to='d@e'>"]),
    st.sampled_from(["", "\n", "<presence/>", "x"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ONE, max_size=2), st.integers(0, 20))
def test_no_message_that_differs_from_the_others_of_its_sender_is_taken_for_one_of_them(
    others: list[tuple[str, ...]], before: int
) -> None:
    usual = [("1", "", "x", "")]
    document = "".join(ALIKE.format(*one) for one in [*usual * before, *others, *usual * 20])
    assert by_the_run([document.encode()])[0] == one_by_one([document.encode()])


def test_nothing_adds_up_to_a_fault_where_every_piece_holds_whole_messages() -> None:
    reader = ArrivalReader(Limits(pending_bytes=50))
    reader.feed_until_error(HEADER)
    reader.by_the_run = True
    for _ in range(60):
        items, error = reader.feed_until_error(PLAIN[0].encode() * (FEWEST + 1) + b"\n")
        assert (type(items[-1]), error) == (Run, None)


def test_the_end_is_seen_after_a_run() -> None:
    (seen, error), together = by_the_run([PLAIN[0].encode() * 100 + b"</stream:stream>"])
    assert (seen[-1], error, together) == (Footer(), None, 99)
