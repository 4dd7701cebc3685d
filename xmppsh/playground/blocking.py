"""Whom an account does not want to hear of (XEP-0191)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid
from xmppsh.model import Jid
from xmppsh.playground.stanza import error_reply, made, parse_jid, random_id, result
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.playground.accounts import Account
    from xmppsh.playground.ports import Client, Routes
    from xmppsh.playground.stanza import Stanza
    from xmppsh.xmlio.build import Xml

ITEM = f"{{{ns.BLOCKING}}}item"


def blocks(account: Account, jid: Jid) -> bool:
    """Is this address blocked, by itself, its bare JID, its domain or the domain with its resource (§4)?"""
    if not account.blocked:
        return False
    domain = Jid(None, jid.domainpart)
    resourced = domain if jid.resourcepart is None else domain.with_resource(jid.resourcepart)
    return not account.blocked.isdisjoint((jid, jid.bare, domain, resourced))


def listed(account: Account, iq: Stanza) -> Stanza:
    """The answer to a request for the list."""
    return result(iq, _named("blocklist", account.blocked))


def _named(name: str, jids: set[Jid]) -> Xml:
    items = (element("item", {"jid": str(jid)}) for jid in sorted(jids, key=str))
    return element(name, {"xmlns": ns.BLOCKING}, *items)


def changed(router: Routes, client: Client, iq: Stanza, payload: Tree) -> Stanza:
    """Carry out `<block/>` or `<unblock/>`, and tell the account's clients (§3.3, §3.4)."""
    account, is_block = client.account, payload.tag == f"{{{ns.BLOCKING}}}block"
    try:
        jids = {parse_jid(item.get("jid", "")) for item in payload.findall(ITEM)}
    except MalformedJid as error:
        return error_reply(iq, "jid-malformed", str(error))
    if is_block and not jids:
        return error_reply(iq, "bad-request", "nobody is named")
    if is_block:
        _vanish(router, account, jids - account.blocked)
        account.blocked |= jids
    else:
        account.blocked -= jids or set(account.blocked)
    for resident in list(account.residents.values()):
        if resident.interested:
            push = _named("block" if is_block else "unblock", jids)
            resident.deliver(made("iq", "set", account.jid, resident.jid, push, stanza_id=random_id()))
    return result(iq)


def _vanish(router: Routes, account: Account, jids: set[Jid]) -> None:
    """Who is blocked sees us leave (§3.3)."""
    for jid in jids:
        item = account.roster.get(jid.bare)
        for resident in account.available() if item is not None and item.from_ else ():
            router.route(made("presence", "unavailable", resident.jid, jid))
