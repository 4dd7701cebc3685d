"""The IQs that the server answers itself, as a table: where it was sent, its type, its payload."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from xmppsh import __version__, ns
from xmppsh.playground import blocking, cards, nodes, presence, queries, roster
from xmppsh.playground.stanza import error_reply, made, result
from xmppsh.xmlio.build import Xml, element

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Jid
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.ports import Client, Routes
    from xmppsh.playground.stanza import Stanza


OWN, CONTACT, SERVER, BOT = "own account", "another account", "server", "built-in contact"
IDENTITIES = {
    OWN: ("account", "registered", None),
    CONTACT: ("account", "registered", None),
    SERVER: ("server", "im", "xmppsh playground"),
    BOT: ("client", "bot", "xmppsh playground echo"),
}


class Question(NamedTuple):
    """An IQ get or set and where it was sent."""

    router: Routes
    stanza: Stanza
    place: str
    payload: Tree


def fault(iq: Stanza) -> str | None:
    """What is wrong with an IQ (RFC 6120 §8.2.3), None when nothing is."""
    if iq.type not in ("get", "set", "result", "error"):
        return "the type of an iq is get, set, result or error"
    if iq.id is None:
        return "an iq has an id"
    if iq.is_request and len(iq.tree()) != 1:
        return "a request has one payload"
    return None


def on_own_account(router: Routes, session: Client, iq: Stanza) -> None:
    """An IQ to one's own account: what is the account's own, and what the server says for it."""
    if not iq.is_request:
        return  # the answer to a push
    payload = iq.tree()[0]
    handler = OWN_TABLE.get((iq.type, str(payload.tag)))
    if handler is not None:
        session.deliver(handler(router, session, iq, payload))
    else:
        session.deliver(_of_account(router, session.account, iq) or answer(router, iq, OWN))


def on_account(router: Routes, account: Account, iq: Stanza) -> Stanza:
    """The answer to a get or set to somebody else's account."""
    return _of_account(router, account, iq) or answer(router, iq, CONTACT)


def _of_account(router: Routes, account: Account, iq: Stanza) -> Stanza | None:
    """What an account has, shown to its owner and to others; None for another request."""
    match str(iq.tree()[0].tag):
        case nodes.QUERY | nodes.OWNER_QUERY:
            return nodes.answer(router, account, iq)
        case cards.CARD:
            return cards.answer(account, iq)
    return None


def _roster_get(_router: Routes, session: Client, iq: Stanza, _payload: Tree) -> Stanza:
    session.interested = True
    return roster.listed(session.account, iq)


def _roster_set(router: Routes, session: Client, iq: Stanza, payload: Tree) -> Stanza:
    return roster.changed(
        session.account,
        iq,
        payload,
        remove=lambda contact: _remove(router, session, contact),
        push=lambda contact: presence.push(session.account, contact),
    )


def _blocklist(_router: Routes, session: Client, iq: Stanza, _payload: Tree) -> Stanza:
    return blocking.listed(session.account, iq)


def _archive_query(_router: Routes, session: Client, iq: Stanza, payload: Tree) -> Stanza:
    return queries.queried(session, iq, payload)


def _archive_preferences(_router: Routes, _session: Client, iq: Stanza, _payload: Tree) -> Stanza:
    return result(iq, queries.preferences())


def _carbons(_router: Routes, session: Client, iq: Stanza, payload: Tree) -> Stanza:
    session.carbons = payload.tag == f"{{{ns.CARBONS}}}enable"
    return result(iq)


def _remove(router: Routes, session: Client, contact: Jid) -> None:
    """RFC 6121 §2.5.1: to remove a contact ends both subscriptions."""
    for kind in ("unsubscribe", "unsubscribed"):
        presence.subscription(router, session.account, made("presence", kind, session.account.jid, contact))
    session.account.roster.pop(contact, None)
    presence.push(session.account, contact, "remove")


def answer(router: Routes, iq: Stanza, place: str) -> Stanza:
    """The answer to a get or set; service-unavailable for what is not in the table."""
    payload = iq.tree()[0]
    question = Question(router, iq, place, payload)
    handler = TABLE.get((iq.type, str(payload.tag)))
    if handler is None or (place == CONTACT and not _may_ask(question)):
        return error_reply(iq, "service-unavailable")
    if payload.get("node") and place != BOT:
        return error_reply(iq, "item-not-found")
    return result(iq, handler(question))


def _may_ask(question: Question) -> bool:
    """XEP-0030 §8, XEP-0012 §6: only those who may see the presence learn more."""
    assert question.stanza.to is not None
    account, sender = question.router.account(question.stanza.to), question.stanza.sender.bare
    item = account.roster.get(sender) if account is not None else None
    is_disco = question.payload.tag in (f"{{{ns.DISCO_INFO}}}query", f"{{{ns.DISCO_ITEMS}}}query")
    return is_disco and bool(item and item.from_)


def _nothing(question: Question) -> Xml | None:
    return None


def _disco_info(question: Question) -> Xml:
    category, kind, name = IDENTITIES[question.place]
    features = [ns.DISCO_INFO, ns.DISCO_ITEMS]
    if question.place != CONTACT:
        features += [ns.PING, ns.VERSION, ns.TIME, ns.LAST]
    if question.place == SERVER:
        features += ["msgoffline", ns.CARBONS, ns.BLOCKING]  # XEP-0160 §4
    if question.place == OWN:
        features += [ns.MAM, ns.CARBONS]
    if question.place in (OWN, CONTACT):
        features += [ns.VCARD, *nodes.FEATURES]
    identities = [(category, kind, name), *([("pubsub", "pep", None)] if question.place in (OWN, CONTACT) else [])]
    return disco_info(question.payload.get("node"), identities, features)


def disco_info(node: str | None, identities: list[tuple[str, str, str | None]], features: list[str]) -> Xml:
    """The payload of a disco#info result (XEP-0030 §3); identities: category, type, name."""
    shown = (element("identity", {"category": one, "type": kind, "name": name}) for one, kind, name in identities)
    listed = (element("feature", {"var": feature}) for feature in features)
    return element("query", {"xmlns": ns.DISCO_INFO, "node": node}, *shown, *listed)


def disco_items(items: list[tuple[Jid | str, str | None]]) -> Xml:
    """The payload of a disco#items result (XEP-0030 §4): JIDs and names."""
    listed = (element("item", {"jid": str(jid), "name": name}) for jid, name in items)
    return element("query", {"xmlns": ns.DISCO_ITEMS}, *listed)


def _disco_items(question: Question) -> Xml:
    if question.place in (OWN, CONTACT):
        sender, to = question.stanza.sender, question.stanza.to or question.stanza.sender
        account = question.router.account(to)
        names = [] if account is None else nodes.listed(account, sender)
        listed = (element("item", {"jid": str(to.bare), "node": name}) for name in names)
        return element("query", {"xmlns": ns.DISCO_ITEMS}, *listed)
    services = question.router.services if question.place == SERVER else ()
    return disco_items([(domain, None) for domain in services])


def _version(question: Question) -> Xml:
    name, version = element("name", {}, "xmppsh playground"), element("version", {}, __version__)
    return element("query", {"xmlns": ns.VERSION}, name, version)


def _time(question: Question) -> Xml:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return element("time", {"xmlns": ns.TIME}, element("tzo", {}, "+00:00"), element("utc", {}, now))


def _last(question: Question) -> Xml:
    return element("query", {"xmlns": ns.LAST, "seconds": str(int(monotonic() - question.router.started))})


TABLE: dict[tuple[str, str], Callable[[Question], Xml | None]] = {
    ("get", f"{{{ns.PING}}}ping"): _nothing,
    ("set", f"{{{ns.SESSION}}}session"): _nothing,
    ("get", f"{{{ns.DISCO_INFO}}}query"): _disco_info,
    ("get", f"{{{ns.DISCO_ITEMS}}}query"): _disco_items,
    ("get", f"{{{ns.VERSION}}}query"): _version,
    ("get", f"{{{ns.TIME}}}time"): _time,
    ("get", f"{{{ns.LAST}}}query"): _last,
}

OWN_TABLE: dict[tuple[str, str], Callable[[Routes, Client, Stanza, Tree], Stanza]] = {
    ("get", f"{{{ns.ROSTER}}}query"): _roster_get,
    ("set", f"{{{ns.ROSTER}}}query"): _roster_set,
    ("get", f"{{{ns.BLOCKING}}}blocklist"): _blocklist,
    ("set", f"{{{ns.BLOCKING}}}block"): blocking.changed,
    ("set", f"{{{ns.BLOCKING}}}unblock"): blocking.changed,
    ("set", f"{{{ns.MAM}}}query"): _archive_query,
    ("get", f"{{{ns.MAM}}}prefs"): _archive_preferences,
    ("set", f"{{{ns.CARBONS}}}enable"): _carbons,
    ("set", f"{{{ns.CARBONS}}}disable"): _carbons,
}
