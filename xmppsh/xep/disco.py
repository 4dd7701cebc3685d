"""XEP-0030: who somebody is, what it can do, and what else is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import ProtocolError
from xmppsh.plain import dataclass
from xmppsh.session import caps
from xmppsh.xep.paging import RESULT_SET, all_of, pages
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Jid
    from xmppsh.session.session_port import SessionPort
    from xmppsh.xep.paging import Page
    from xmppsh.xmlio.build import Xml

LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
HASH = re.compile(r"[A-Za-z0-9+/]{27}=")  # base64 of a SHA-1


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
    """The identities, and the features in order (§3).

    Raises ProtocolError for an answer without them. A node of XEP-0115 (`software#hash`) promises what the answer is:
    another one is no answer either.
    """
    answer = await session.request("get", to, element("query", {"xmlns": ns.DISCO_INFO, "node": node}))
    query = tree(answer).find(f"{{{ns.DISCO_INFO}}}query")
    if query is None:
        raise ProtocolError(f"{to} answered without saying what it is", layer="stanza")
    if node is not None and not _is_promised(query, node):
        raise ProtocolError(f"{to} does not answer what the hash in {node} promises (XEP-0115)", layer="stanza")
    identities = [
        Identity(one.get("category", ""), one.get("type", ""), one.get("name"))
        for one in query.iterfind(f"{{{ns.DISCO_INFO}}}identity")
    ]
    return identities, sorted(one.get("var", "") for one in query.iterfind(f"{{{ns.DISCO_INFO}}}feature"))


def _is_promised(query: Tree, node: str) -> bool:
    """XEP-0115 §5.4, for a node that ends in a SHA-1 hash; any other promises nothing."""
    wanted = node.rpartition("#")[2]
    if "#" not in node or HASH.fullmatch(wanted) is None:
        return True
    identities = [
        caps.Identity(one.get("category", ""), one.get("type", ""), one.get(LANGUAGE, ""), one.get("name", ""))
        for one in query.iterfind(f"{{{ns.DISCO_INFO}}}identity")
    ]
    features = [one.get("var", "") for one in query.iterfind(f"{{{ns.DISCO_INFO}}}feature")]
    forms = [
        {
            one.get("var", ""): [value.text or "" for value in one.iterfind(f"{{{ns.DATA_FORMS}}}value")]
            for one in form.iterfind(f"{{{ns.DATA_FORMS}}}field")
        }
        for form in query.iterfind(f"{{{ns.DATA_FORMS}}}x")
    ]
    return caps.verification(identities, features, forms) == wanted


async def items(session: SessionPort, to: Jid, node: str | None = None) -> list[Item]:
    """The items (§4), of all pages."""
    return await all_of(pages_of_items(session, to, node))


def pages_of_items(session: SessionPort, to: Jid, node: str | None = None) -> AsyncGenerator[Page[Item]]:
    """The items (§4), page by page where they come in pages (XEP-0059)."""

    async def ask(position: Xml | None) -> tuple[list[Item], Tree | None]:
        query = element("query", {"xmlns": ns.DISCO_ITEMS, "node": node}, position)
        root = tree(await session.request("get", to, query)).find(f"{{{ns.DISCO_ITEMS}}}query")
        listed = [] if root is None else root.iterfind(f"{{{ns.DISCO_ITEMS}}}item")
        found = [Item(one.get("jid", ""), one.get("node"), one.get("name")) for one in listed]
        return found, None if root is None else root.find(RESULT_SET)

    return pages(ask)
