"""The roster (RFC 6121 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import ProtocolError
from xmppsh.plain import dataclass
from xmppsh.session.responder import SEES_US
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xmppsh.model import Element, Jid
    from xmppsh.session.session_port import SessionPort
    from xmppsh.xmlio.build import Xml


@dataclass(frozen=True, slots=True)
class Contact:
    """One item. subscription: none, to, from or both; asks: is our request to see its presence unanswered?"""

    jid: str
    name: str | None = None
    groups: tuple[str, ...] = ()
    subscription: str = "none"
    asks: bool = False

    @property
    def sees_us(self) -> bool:
        """May it see our presence?"""
        return self.subscription in SEES_US


async def contacts(session: SessionPort) -> list[Contact]:
    """All items, in the server's order (§2.1.4). Raises ProtocolError for an answer without a roster."""
    answer = await session.request("get", None, element("query", {"xmlns": ns.ROSTER}))
    if tree(answer).find(f"{{{ns.ROSTER}}}query") is None:  # an empty one is not the same as none
        raise ProtocolError(f"{session.jid.domainpart} answered without a roster", layer="stanza")
    return list(items(answer))


def pushed(iq: Element, own: Jid) -> list[Contact]:
    """What a push tells of the roster (§2.1.6); nothing where it comes from somebody else than our own account."""
    is_push = iq.kind == "iq" and iq.attributes.get("type") == "set"
    return list(items(iq)) if is_push and iq.sender in ("", str(own.bare)) else []


def items(iq: Element) -> Iterator[Contact]:
    """The items of a roster (§2.1.2)."""
    for item in tree(iq).iterfind(f"{{{ns.ROSTER}}}query/{{{ns.ROSTER}}}item"):
        groups = tuple(sorted(group.text or "" for group in item.iterfind(f"{{{ns.ROSTER}}}group")))
        subscription, asks = item.get("subscription", "none"), item.get("ask") == "subscribe"
        yield Contact(item.get("jid", ""), item.get("name"), groups, subscription, asks)


def setting(jid: str, name: str | None, groups: Iterable[str]) -> Xml:
    """The payload that adds or changes an item (§2.3, §2.4); what is left out is taken away."""
    item = element(
        "item", {"jid": jid, "name": name}, *(element("group", None, group) for group in dict.fromkeys(groups))
    )
    return element("query", {"xmlns": ns.ROSTER}, item)


def removing(jid: str) -> Xml:
    """The payload that removes an item, and with it both subscriptions (§2.5)."""
    return element("query", {"xmlns": ns.ROSTER}, element("item", {"jid": jid, "subscription": "remove"}))
