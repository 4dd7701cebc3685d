"""Presence and subscriptions (RFC 6121 §3 and §4), for accounts that all live on this server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.playground.roster import pushed
from xmppsh.playground.stanza import delayed, error_reply, made

if TYPE_CHECKING:
    from xmppsh.model import Jid
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.ports import Client, Routes
    from xmppsh.playground.stanza import Stanza

PRIORITIES = range(-128, 128)  # RFC 6121 §4.7.2.3


def announce(router: Routes, session: Client, stanza: Stanza) -> None:
    """Presence without `to`: available or unavailable, for everybody who is subscribed."""
    if stanza.type == "unavailable":
        withdraw(router, session, stanza)
        return
    priority = _priority(stanza)
    if stanza.type != "available" or priority is None:
        session.deliver(error_reply(stanza, "bad-request"))
        return
    initial, was_negative = session.presence is None, session.priority < 0
    session.presence, session.priority = stanza, priority
    _broadcast(router, session, stanza)
    if initial:
        _show_contacts(router, session)
    if priority >= 0 and (initial or was_negative):
        for message in session.account.take_offline():  # XEP-0160 §2
            session.deliver(delayed(message, router.domain))


def withdraw(router: Routes, session: Client, stanza: Stanza | None) -> None:
    """The session is no longer available: it said so, or it ended (RFC 6121 §4.5)."""
    stanza = stanza or made("presence", "unavailable", session.jid, session.jid.bare)
    was_available, session.presence, session.priority = session.presence is not None, None, 0
    directed, session.directed = session.directed, set()
    if was_available:
        _broadcast(router, session, stanza)
    for to in directed:
        router.route(stanza.addressed(to))


def _priority(stanza: Stanza) -> int | None:
    if "priority" not in stanza.xml:
        return 0
    text = (stanza.tree().findtext(f"{{{ns.CLIENT}}}priority") or "0").strip()
    try:
        priority = int(text)
    except ValueError:
        return None
    return priority if priority in PRIORITIES else None


def _broadcast(router: Routes, session: Client, stanza: Stanza) -> None:
    account = session.account
    for contact in (account.jid, *account.gives_presence_to()):
        receiver = router.account(contact)
        for resident in receiver.available() if receiver is not None else ():
            resident.deliver(stanza.addressed(contact))


def _show_contacts(router: Routes, session: Client) -> None:
    """What the probes of an initial presence bring (RFC 6121 §4.3), and the requests that wait (§3.1.3)."""
    for contact in (session.account.jid, *session.account.takes_presence_from()):
        account = router.account(contact)
        for resident in account.available() if account is not None else ():
            if resident is not session and resident.presence is not None:
                session.deliver(resident.presence.addressed(session.jid))
    for request in session.account.requests.values():
        session.deliver(request)


def directed(router: Routes, session: Client, stanza: Stanza) -> None:
    """Presence to somebody (RFC 6121 §4.6), a probe (§4.3) or a subscription stanza (§3)."""
    assert stanza.to is not None
    if stanza.type in CHANGES:
        subscription(router, session.account, stanza)
        return
    if stanza.type == "available":
        session.directed.add(stanza.to)
    elif stanza.type == "unavailable":
        session.directed.discard(stanza.to)
    router.route(stanza)


def probe(router: Routes, account: Account, stanza: Stanza) -> None:
    """Answer a probe to an account: its presence for subscribers, `unsubscribed` for others (RFC 6121 §4.3.2)."""
    asker = stanza.sender.bare
    item = account.roster.get(asker)
    if asker != account.jid and (item is None or not item.from_):
        router.route(made("presence", "unsubscribed", account.jid, asker))
        return
    available = account.available()
    for resident in available:
        assert resident.presence is not None
        router.route(resident.presence.addressed(stanza.sender))
    if not available:
        router.route(made("presence", "unavailable", account.jid, stanza.sender))


# Subscriptions


def subscription(router: Routes, account: Account, stanza: Stanza) -> None:
    """`account` sends subscribe, subscribed, unsubscribe or unsubscribed; all four come from the bare JID (§3.1.2)."""
    assert stanza.to is not None
    contact_jid = stanza.to.bare
    contact = router.account(contact_jid)
    stanza = stanza.addressed(contact_jid, account.jid)
    if contact_jid == account.jid:
        return
    if contact is None:
        if stanza.type == "subscribe":
            router.route(stanza)  # comes back with an error
        return
    CHANGES[stanza.type](router, account, contact, stanza)


def _subscribe(router: Routes, account: Account, contact: Account, stanza: Stanza) -> None:
    item = account.item(contact.jid)
    if not item.to:
        item.ask = True
    push(account, contact.jid)
    theirs = contact.roster.get(account.jid)
    if theirs is not None and theirs.from_:
        _answer(router, contact, account, "subscribed")
    elif contact.jid in router.accept_all:
        contact.requests[account.jid] = stanza
        _answer(router, contact, account, "subscribed")
    else:
        contact.requests[account.jid] = stanza
        _tell(contact, stanza)


def _answer(router: Routes, account: Account, contact: Account, stanza_type: str) -> None:
    CHANGES[stanza_type](router, account, contact, made("presence", stanza_type, account.jid, contact.jid))


def _subscribed(router: Routes, account: Account, contact: Account, stanza: Stanza) -> None:
    mine, theirs = account.roster.get(contact.jid), contact.item(account.jid)
    if account.requests.pop(contact.jid, None) is None and (mine is None or not mine.from_):
        return  # RFC 6121 §3.1.6: nobody asked
    account.item(contact.jid).from_ = True
    push(account, contact.jid)
    if not theirs.ask:
        return
    theirs.ask, theirs.to = False, True
    _tell(contact, stanza)
    push(contact, account.jid)
    for resident in account.available():
        assert resident.presence is not None
        _tell(contact, resident.presence.addressed(contact.jid))


def _unsubscribe(router: Routes, account: Account, contact: Account, stanza: Stanza) -> None:
    contact.requests.pop(account.jid, None)
    if (mine := account.roster.get(contact.jid)) is not None:
        mine.to = mine.ask = False
        push(account, contact.jid)
    if (theirs := contact.roster.get(account.jid)) is not None and theirs.from_:
        theirs.from_ = False
        _tell(contact, stanza)
        push(contact, account.jid)
        _vanish(contact, account)


def _unsubscribed(router: Routes, account: Account, contact: Account, stanza: Stanza) -> None:
    asked = account.requests.pop(contact.jid, None) is not None
    mine, theirs = account.roster.get(contact.jid), contact.roster.get(account.jid)
    if mine is not None and mine.from_:
        mine.from_, asked = False, True
        push(account, contact.jid)
    if theirs is not None and asked:
        theirs.to = theirs.ask = False
        _tell(contact, stanza)
        push(contact, account.jid)
        _vanish(account, contact)


CHANGES = {
    "subscribe": _subscribe,
    "subscribed": _subscribed,
    "unsubscribe": _unsubscribe,
    "unsubscribed": _unsubscribed,
}


def _vanish(account: Account, from_whom: Account) -> None:
    """`from_whom` no longer sees `account` (RFC 6121 §3.2.2, §3.3.3)."""
    for resident in account.available():
        _tell(from_whom, made("presence", "unavailable", resident.jid, from_whom.jid))


def _tell(account: Account, stanza: Stanza) -> None:
    for resident in account.available():
        resident.deliver(stanza)


def push(account: Account, contact: Jid, subscription_text: str | None = None) -> None:
    """Tell every interested resource what became of a roster item (RFC 6121 §2.1.6)."""
    for resident in list(account.residents.values()):
        if resident.interested:
            resident.deliver(pushed(account, contact, resident.jid, subscription_text))
