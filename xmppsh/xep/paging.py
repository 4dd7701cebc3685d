"""XEP-0059: what comes page by page, from whoever gives it so; others give all of it at once."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from xmppsh import ns
from xmppsh.errors import Partial, ProtocolViolation
from xmppsh.protocol.conditions import number
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.xmlio.build import Xml

T = TypeVar("T")
RESULT_SET = f"{{{ns.RSM}}}set"
MAX_PAGES = 10_000


class Page(NamedTuple, Generic[T]):
    """Some of what is listed. is_last: are there no more? total: how many there are in all, where that is told."""

    items: list[T]
    is_last: bool
    total: int | None


async def pages(ask: Callable[[Xml | None], Awaitable[tuple[list[T], Tree | None]]]) -> AsyncGenerator[Page[T]]:
    """The pages in order. ask: asks for the page at a `<set/>`, None for the first; gives its items and its own set.

    Raises ProtocolViolation for pages that do not end, Partial where fewer come than there are.
    """
    count, seen, position, total = 0, set[str](), None, None
    while len(seen) < MAX_PAGES:
        items, result_set = await ask(position)
        last = None if result_set is None else result_set.findtext(f"{{{ns.RSM}}}last")
        if last in seen:  # who does not know how to go on begins anew (§2.2 asks for no page of one's own)
            if total is not None and count < total:
                raise Partial(f"{count} of {total} came, and then the same again")
            return
        total = None if result_set is None else number(result_set.findtext(f"{{{ns.RSM}}}count"))
        count += len(items)
        is_last = not items or not last or (total is not None and count >= total)
        yield Page(items, is_last, total)
        if is_last or not last:
            return
        seen.add(last)
        position = element("set", {"xmlns": ns.RSM}, element("after", None, last))
    raise ProtocolViolation("page after page comes, and they never end")


async def all_of(listed: AsyncGenerator[Page[T]]) -> list[T]:
    """What is on all pages."""
    async with aclosing(listed):
        return [one async for page in listed for one in page.items]
