"""XEP-0030: who somebody is, what it can do, and what else is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.plain import dataclass
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Jid
    from xmppsh.session.session_port import SessionPort

RESULT_SET = f"{{{ns.RSM}}}set"
MAX_PAGES = 1000


@dataclass(frozen=True, slots=True)
class Identity:
    """What somebody says it is: category and type of the registry, such as server/im, and a name."""

    category: str
    type: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """Something that belongs to who was asked."""

    jid: str
    node: str | None
    name: str | None


async def info(session: SessionPort, to: Jid, node: str | None = None) -> tuple[list[Identity], list[str]]:
    """The identities, and the features in order (§3)."""
    answer = await session.request("get", to, element("query", {"xmlns": ns.DISCO_INFO, "node": node}))
    query = tree(answer).find(f"{{{ns.DISCO_INFO}}}query")
    if query is None:
        return [], []
    identities = [
        Identity(one.get("category", ""), one.get("type", ""), one.get("name"))
        for one in query.iterfind(f"{{{ns.DISCO_INFO}}}identity")
    ]
    return identities, sorted(one.get("var", "") for one in query.iterfind(f"{{{ns.DISCO_INFO}}}feature"))


async def items(session: SessionPort, to: Jid, node: str | None = None) -> list[Item]:
    """The items (§4), page by page where they come in pages (XEP-0059)."""
    found: list[Item] = []
    after: str | None = None
    for _ in range(MAX_PAGES):
        paging = None if after is None else element("set", {"xmlns": ns.RSM}, element("after", None, after))
        query = element("query", {"xmlns": ns.DISCO_ITEMS, "node": node}, paging)
        root = tree(await session.request("get", to, query)).find(f"{{{ns.DISCO_ITEMS}}}query")
        listed = [] if root is None else list(root.iterfind(f"{{{ns.DISCO_ITEMS}}}item"))
        found += [Item(one.get("jid", ""), one.get("node"), one.get("name")) for one in listed]
        last = None if root is None else root.findtext(f"{RESULT_SET}/{{{ns.RSM}}}last")
        if not listed or not last or last == after or len(found) >= _count(root):
            break
        after = last
    return found


def _count(root: Tree | None) -> int:
    text = None if root is None else root.findtext(f"{RESULT_SET}/{{{ns.RSM}}}count")
    return int(text) if text and text.isdecimal() else 0
