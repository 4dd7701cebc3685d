"""A listing of many pages is complete, each item once, whatever its service says; a terminal sees it grow."""

import os
from collections.abc import AsyncGenerator, Callable
from xml.etree.ElementTree import Element as Tree
from xml.etree.ElementTree import fromstring

import pytest

from xmppsh.app.app import App
from xmppsh.app.console import Console
from xmppsh.app.progress import listed
from xmppsh.app.shutdown import Shutdown
from xmppsh.config.load import load
from xmppsh.errors import Partial, ProtocolViolation
from xmppsh.output.streams import InputStream, OutputStream
from xmppsh.xep.paging import Page, all_of, pages
from xmppsh.xmlio.build import Xml

ALL = list(range(3000))
RSM = "http://jabber.org/protocol/rsm"
Answer = tuple[list[int], Tree | None]


def served(size: int, described: Callable[[list[int]], str], *, knows_after: bool = True) -> AsyncGenerator[Page[int]]:
    """The pages of a service that gives `size` at a time; described: what stands in the set of a page."""

    async def ask(position: Xml | None) -> Answer:
        after = None if position is None else fromstring(position).findtext(f"{{{RSM}}}after")
        begin = 0 if after is None or not knows_after else int(after) + 1
        page = ALL[begin : begin + size]
        return page, fromstring(f"<set xmlns='{RSM}'>{described(page)}</set>")

    return pages(ask)


def last(page: list[int]) -> str:
    return f"<last>{page[-1]}</last>" if page else ""


SERVICES = {
    "tells how many there are": lambda: served(50, lambda page: f"{last(page)}<count>3000</count>"),
    "does not tell how many": lambda: served(50, last),
    "tells something that is no number": lambda: served(700, lambda page: f"{last(page)}<count>many</count>"),
    "gives all and cannot go on": lambda: served(3000, last, knows_after=False),
    "gives all and says no more": lambda: served(3000, lambda _: ""),
}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
async def test_each_item_comes_once_and_in_order(service: Callable[[], AsyncGenerator[Page[int]]]) -> None:
    assert await all_of(service()) == ALL


async def test_a_service_that_cannot_go_on_and_has_more_is_no_success() -> None:
    with pytest.raises(Partial, match="50 of 3000 came"):
        await all_of(served(50, lambda page: f"{last(page)}<count>3000</count>", knows_after=False))


async def test_pages_that_never_end_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xmppsh.xep.paging.MAX_PAGES", 20)
    with pytest.raises(ProtocolViolation, match="never end"):
        await all_of(served(10, last))


@pytest.mark.parametrize(
    ("service", "says"),
    [
        (served(1000, lambda page: f"{last(page)}<count>3000</count>"), "100%"),
        (served(1000, last), "\ritems  3000\n"),
        (served(3000, lambda page: f"{last(page)}<count>3000</count>"), None),
    ],
    ids=["a bar", "a count", "one page"],
)
async def test_a_terminal_sees_how_far_a_listing_of_several_pages_is(
    service: AsyncGenerator[Page[int]], says: str | None
) -> None:
    reader, writer = os.pipe()
    shown: list[str] = []
    console = Console({}, InputStream(reader), OutputStream(writer), shown.append, Shutdown(), shows_progress=True)
    app = App.of(load({}, {"HOME": "/nowhere"}), console)
    assert [one async for one in listed(app, "items", service)] == ALL
    assert (says is None and not shown) or (says is not None and says in "".join(shown))
    os.close(reader)
    os.close(writer)
