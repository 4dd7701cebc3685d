"""The roster on the wire (RFC 6121 §2): get, set, remove, push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid
from xmppsh.playground.accounts import RosterItem
from xmppsh.playground.stanza import error_reply, made, parse_jid, random_id, result
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Jid
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.stanza import Stanza

ITEM, GROUP = f"{{{ns.ROSTER}}}item", f"{{{ns.ROSTER}}}group"


def listed(account: Account, request: Stanza) -> Stanza:
    """The answer to a roster get."""
    items = (item.xml() for item in account.roster.values())
    return result(request, element("query", {"xmlns": ns.ROSTER}, *items))


def pushed(account: Account, contact: Jid, to: Jid, subscription: str | None = None) -> Stanza:
    """The push that tells `to` what became of a contact; subscription "remove" when it is gone."""
    item = account.roster.get(contact) or RosterItem(contact)
    query = element("query", {"xmlns": ns.ROSTER}, item.xml(subscription))
    return made("iq", "set", account.jid, to, query, stanza_id=random_id())


def changed(
    account: Account, request: Stanza, payload: Tree, remove: Callable[[Jid], None], push: Callable[[Jid], None]
) -> Stanza:
    """Carry out a roster set (RFC 6121 §2.3–2.5); the answer."""
    items = payload.findall(ITEM)
    try:
        contact = parse_jid(items[0].get("jid", "")).bare if len(items) == 1 else None
    except MalformedJid as error:
        return error_reply(request, "jid-malformed", str(error))
    if contact is None:
        return error_reply(request, "bad-request", "one item at a time")
    if contact == account.jid:
        return error_reply(request, "not-allowed", "nobody is on his own roster")
    if items[0].get("subscription") == "remove":
        if contact not in account.roster:
            return error_reply(request, "item-not-found")
        remove(contact)
        return result(request)
    groups = tuple(dict.fromkeys(group.text or "" for group in items[0].findall(GROUP)))
    if any(not group for group in groups):
        return error_reply(request, "not-acceptable", "a group has no name")
    item = account.item(contact)
    item.name, item.groups = items[0].get("name") or None, groups
    push(contact)
    return result(request)
