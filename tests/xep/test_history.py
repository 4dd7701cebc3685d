"""The archive's results count from the archive that was asked alone, and no stamp in them is believed too much."""

from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import cast
from xml.etree.ElementTree import canonicalize, tostring

import pytest

from xmppsh.errors import ProtocolViolation
from xmppsh.model import Element, Jid
from xmppsh.session.session_port import SessionPort
from xmppsh.xep.history import MAX_EMPTY, Wanted, _archived, forwards
from xmppsh.xmlio.reader import below, read_element, tree

OWN, ROOM = Jid.parse("a@b"), Jid.parse("room@c")
MESSAGE = "<message xmlns='jabber:client'><body>x</body></message>"
RESULT = (
    "<message from='{sender}'><result xmlns='urn:xmpp:mam:2' queryid='q' id='7'><forwarded xmlns='urn:xmpp:forward:0'>"
    "<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/><message xmlns='jabber:client'><body>x</body></message>"
    "</forwarded></result></message>"
)


@pytest.mark.parametrize(
    ("sender", "archive", "counts"),
    [("a@b", OWN, True), ("", OWN, True), ("a@b/c", OWN, False), ("x@b", OWN, False), ("room@c", ROOM, True),
     ("room@c/nick", ROOM, False), ("", ROOM, False), ("@", OWN, False)],
)  # fmt: skip
def test_a_result_counts_from_the_archive_that_was_asked(sender: str, archive: Jid, counts: bool) -> None:
    said = RESULT.format(sender=sender, stamp="2020-01-01T00:00:00Z").replace(
        "'><body>", f"' from='{archive}/x'><body>"
    )
    stanza = read_element(said)
    assert len(_archived([stanza], archive, OWN, "q")) == counts
    assert _archived([stanza], archive, OWN, "other") == []


@pytest.mark.parametrize(
    ("sender", "counts"),
    [("room@c/romeo", True), ("room@c", True), ("ROOM@c/x", True), ("a@b", False), ("a@b/c", False), ("", False),
     ("romeo@example.net/o", False), ("room@c.evil.example/romeo", False), ("other@c/romeo", False), ("c", False),
     ("@", False)],
)  # fmt: skip
@pytest.mark.parametrize("more", ["", "<x xmlns='urn:x'><![CDATA[<message]]></x>"])
def test_a_room_tells_of_those_in_it_alone(sender: str, counts: bool, more: str) -> None:
    said = RESULT.format(sender="room@c", stamp="").replace("'><body>", f"' from='{sender}'>{more}<body>")
    assert len(_archived([read_element(said)], ROOM, OWN, "q")) == counts
    ours = RESULT.format(sender="a@b", stamp="").replace("'><body>", f"' from='{sender}'>{more}<body>")
    assert len(_archived([read_element(ours)], OWN, OWN, "q")) == 1


@pytest.mark.parametrize("stamp", ["", "x", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_stamp_that_no_calendar_knows_is_none(stamp: str) -> None:
    (found,) = _archived([read_element(RESULT.format(sender="a@b", stamp=stamp))], OWN, OWN, "q")
    assert found.moment is None


INNER = {
    "as servers write it": "<message xmlns='jabber:client' to='x@y'><body>a &lt; b</body></message>",
    "with its attributes in another order": (
        "<message to='x@y' id='1' xmlns='jabber:client' from='a@b/c' type='chat'><body>a</body></message>"
    ),
    "empty": "<message xmlns='jabber:client' to='x@y'/>",
    "without a namespace of its own": "<message to='x@y'><body>c</body></message>",
    "with a forwarded one inside": (
        "<message xmlns='jabber:client' to='x@y'><s xmlns='urn:s'><forwarded xmlns='urn:xmpp:forward:0'>"
        "<message xmlns='jabber:client' to='other'><body>d</body></message></forwarded></s></message>"
    ),
    "behind a text that looks like tags": (
        "<note xmlns='urn:n'><![CDATA[<message xmlns='jabber:client'>]]></note>"
        "<message xmlns='jabber:client' to='x@y'><body>e</body></message>"
    ),
    "with a text that looks like tags": (
        "<message xmlns='jabber:client' to='x@y'><body><![CDATA[</message></forwarded>]]></body></message>"
    ),
    "with a prefix from above": "<message xmlns='jabber:client' to='x@y'><p:x/></message>",
}


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
def test_the_message_is_cut_out_as_it_would_be_parsed(inner: str) -> None:
    prefix = "xmlns:p='urn:p' " if "p:x" in inner else ""
    xml = (
        f"<message xmlns='jabber:client' {prefix}from='a@b'><result xmlns='urn:xmpp:mam:2' queryid='q' id='7'>"
        "<forwarded xmlns='urn:xmpp:forward:0'>{}<delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/>"
        "</forwarded></result></message>"
    )
    inside = inner if "xmlns='jabber:client'" in inner else inner.replace("<message", "<message xmlns='jabber:client'")
    (found,) = _archived([read_element(xml.format(inside))], OWN, OWN, "q")
    (parsed,) = (one for one in below(read_element(xml.format(inside)), 3) if one.kind == "message")
    assert canonicalize(found.xml) == canonicalize(parsed.xml)
    forms = {
        canonicalize(one, rewrite_prefixes=True) for one in (found.xml, tostring(tree(found.xml), "unicode").strip())
    }
    assert len(forms) == 1


def test_two_messages_in_one_result_are_none() -> None:
    two = INNER["as servers write it"] * 2
    xml = RESULT.format(sender="a@b", stamp="").replace("<message xmlns='jabber:client'><body>x</body></message>", two)
    assert _archived([read_element(xml)], OWN, OWN, "q") == []


def test_of_a_page_what_somebody_else_has_put_between_is_left_out() -> None:
    ours, forged = (RESULT.format(sender=sender, stamp="") for sender in ("a@b", "x@b"))
    page = [read_element(one) for one in (ours, forged, ours.replace("'q'", "'p'"), ours.replace("'7'", "'8'"))]
    assert [one.archive_id for one in _archived(page, OWN, OWN, "q")] == ["7", "8"]


class Archive:
    """A session with an archive whose pages are written by the test: whether each has a message, its `last`, and
    whether it says that it is complete."""

    jid = OWN.with_resource("c")

    def __init__(self, page: Callable[[int], tuple[bool, str | None, bool]]) -> None:
        self.asked = 0
        self._page = page
        self._results: list[Element] = []
        self._query_id = ""

    @contextmanager
    def collecting(self, query_id: str) -> Iterator[list[Element]]:
        self._query_id, self._results = query_id, []
        yield self._results

    async def request(self, *_: object) -> Element:
        has_message, last, is_complete = self._page(self.asked)
        self.asked += 1
        if has_message:
            result = RESULT.format(sender="a@b", stamp="").replace("'q'", f"'{self._query_id}'")
            self._results.append(read_element(result))
        end = "" if last is None else f"<set xmlns='http://jabber.org/protocol/rsm'><last>{last}</last></set>"
        complete = " complete='true'" if is_complete else ""
        return read_element(f"<iq type='result'><fin xmlns='urn:xmpp:mam:2'{complete}>{end}</fin></iq>")


ENDLESS: dict[str, tuple[Callable[[int], tuple[bool, str | None, bool]], int, str]] = {
    "empty pages": (lambda number: (False, f"{number}", False), MAX_EMPTY, "without a message"),
    "one page again and again": (lambda _: (True, "7", False), 2, "repeats a page"),
    "two pages in a circle": (lambda number: (True, str(number % 2), False), 3, "repeats a page"),
    "a page without an end": (lambda number: (number == 0, None if number else "7", False), 2, "gave nothing"),
}


@pytest.mark.parametrize(("page", "asked", "says"), ENDLESS.values(), ids=ENDLESS)
async def test_an_archive_that_does_not_come_to_an_end_is_a_fault(
    page: Callable[[int], tuple[bool, str | None, bool]], asked: int, says: str
) -> None:
    archive = Archive(page)
    with pytest.raises(ProtocolViolation, match=says):
        async for _ in forwards(cast("SessionPort", archive), Wanted()):
            pass
    assert archive.asked <= asked + 1


async def test_the_next_page_is_asked_for_before_one_is_dealt_with() -> None:
    archive = Archive(lambda number: (True, str(number), number == 2))
    async with aclosing(forwards(cast("SessionPort", archive), Wanted())) as pages:
        assert [archive.asked async for _ in pages] == [2, 3, 3]
