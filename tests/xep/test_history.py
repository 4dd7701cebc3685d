"""The archive's results count from the archive that was asked alone, and no stamp in them is believed too much."""

from itertools import count
from typing import Any
from xml.etree.ElementTree import canonicalize, tostring

import pytest

from xmppsh.errors import ProtocolViolation
from xmppsh.model import Jid
from xmppsh.xep.history import MAX_EMPTY, Archived, Page, Wanted, _archived, forwards
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
    stanza = read_element(RESULT.format(sender=sender, stamp="2020-01-01T00:00:00Z"))
    assert len(_archived([stanza], archive, OWN, "q")) == counts
    assert _archived([stanza], archive, OWN, "other") == []


@pytest.mark.parametrize("stamp", ["", "x", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_stamp_that_no_calendar_knows_is_none(stamp: str) -> None:
    (found,) = _archived([read_element(RESULT.format(sender="a@b", stamp=stamp))], OWN, OWN, "q")
    assert found.moment is None


INNER = {
    "as servers write it": "<message xmlns='jabber:client' to='x@y'><body>a &lt; b</body></message>",
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


ONE = Archived("7", MESSAGE, None)
ENDLESS = {
    "empty pages": (lambda number: ([], f"{number}", False), MAX_EMPTY, "without a message"),
    "one page again and again": (lambda _: ([ONE], "7", False), 2, "repeats a page"),
    "two pages in a circle": (
        lambda number: ([ONE], str(number % 2), False), 3, "repeats a page",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("page", "asked", "says"), ENDLESS.values(), ids=ENDLESS)
async def test_an_archive_that_never_ends_is_a_fault(
    page: Any, asked: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = count()
    pages: list[int] = []

    async def give(*_: Any) -> Any:
        pages.append(next(numbers))
        return Page(*page(pages[-1]))

    monkeypatch.setattr("xmppsh.xep.history._page", give)
    with pytest.raises(ProtocolViolation, match=says):
        async for _ in forwards(None, Wanted()):  # type: ignore[arg-type]
            pass
    assert len(pages) <= asked + 1
