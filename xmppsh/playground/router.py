"""Where a stanza goes (RFC 6120 §10, RFC 6121 §8): to sessions, to the offline store, to a service, or back."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.playground import blocking, carbons, handlers, presence
from xmppsh.playground.session import Session
from xmppsh.playground.stanza import error_reply, random_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.model import Jid
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.faults import Faults
    from xmppsh.playground.ports import Channel, Client, Service
    from xmppsh.playground.stanza import Stanza

MAX_REMEMBERED = 1000  # ended sessions whose count we can still tell (XEP-0198 §5, <failed h=…/>)


class Router:
    """Everything the connections share.

    resumable: sessions by their XEP-0198 id; services: by domain; accept_all: built-in contacts, who let everybody
    subscribe; faults: what the server does wrong on purpose.
    """

    def __init__(self, domain: str, accounts: Mapping[str, Account], faults: Faults) -> None:
        self.domain, self.accounts, self.faults = domain, accounts, faults
        self.services: dict[str, Service] = {}
        self.accept_all: set[Jid] = set()
        self.resumable: dict[str, Session] = {}
        self.started = monotonic()
        self._ended: OrderedDict[str, tuple[Jid, int]] = OrderedDict()

    def account(self, jid: Jid) -> Account | None:
        """The account a JID belongs to, None when it is not ours."""
        return self.accounts.get(jid.localpart or "") if jid.domainpart == self.domain else None

    # Sessions

    def bind(self, account: Account, resourcepart: str | None, connection: Channel) -> Session:
        """Make a session; the older one with this resource is ended (RFC 6120 §7.7.2.2)."""
        older = account.residents.get(resourcepart or "")
        if isinstance(older, Session):
            older.displace()
        if resourcepart is None or resourcepart in account.residents:
            resourcepart = random_id()
        session = Session(self, account, account.jid.with_resource(resourcepart), connection)
        account.residents[resourcepart] = session
        return session

    def keep_resumable(self, sm_id: str, client: Client) -> None:
        """The session may be resumed by its XEP-0198 id."""
        assert isinstance(client, Session)
        self.resumable[sm_id] = client

    def forget(self, session: Client) -> None:
        """The session has ended: nothing reaches it any more; its inbound count is remembered."""
        if session.account.residents.get(session.jid.resourcepart or "") is session:
            del session.account.residents[session.jid.resourcepart or ""]
        if session.managed is None or session.managed.sm_id is None:
            return
        self.resumable.pop(session.managed.sm_id, None)
        self._ended[session.managed.sm_id] = (session.account.jid, session.managed.counters.handled)
        if len(self._ended) > MAX_REMEMBERED:
            self._ended.popitem(last=False)

    def last_count(self, account: Account, sm_id: str) -> int | None:
        """How many stanzas an ended session of this account had handled."""
        owner, h = self._ended.get(sm_id, (None, 0))
        return h if owner == account.jid else None

    # Stanzas

    def take(self, stanza: Stanza, session: Client) -> None:
        """Take a stanza from a session."""
        if stanza.kind == "iq" and (fault := handlers.fault(stanza)) is not None:
            session.deliver(error_reply(stanza, "bad-request", fault))
        elif stanza.kind == "presence" and stanza.to is None:
            presence.announce(self, session, stanza)
        elif stanza.kind == "presence":
            presence.directed(self, session, stanza)
        elif stanza.kind == "message":
            self._sent(stanza if stanza.to is not None else stanza.addressed(session.account.jid), session)
        elif stanza.kind == "iq" and stanza.to in (None, session.account.jid):
            handlers.on_own_account(self, session, stanza)
        else:
            self.route(stanza)

    def _sent(self, message: Stanza, session: Client) -> None:
        """A message from a session, whose `to` is its own account where it names none (RFC 6120 §10.3.1)."""
        assert message.to is not None
        if blocking.blocks(session.account, message.to):
            if message.type != "error":  # XEP-0191 §3.3; straight back, since nothing from there would arrive
                session.deliver(error_reply(message, "not-acceptable", "you have blocked this address"))
            return
        if message.to.bare != session.account.jid:  # else it is kept where it arrives
            session.account.archive.add(message, session.account.jid)
            carbons.copy(message, session.account, "sent", (session,))
        self.route(message)

    def route(self, stanza: Stanza) -> None:
        """Bring a stanza to its `to`."""
        to = stanza.to
        assert to is not None
        if to.domainpart in self.services:
            self.services[to.domainpart].take(stanza)
        elif to.domainpart != self.domain:
            self.bounce(stanza, "remote-server-not-found")
        elif to.localpart is None:
            self._to_server(stanza)
        elif (account := self.accounts.get(to.localpart)) is None:
            if stanza.kind != "presence" or stanza.type == "subscribe":
                self.bounce(stanza, "service-unavailable")  # RFC 6121 §8.5.1
        elif blocking.blocks(account, stanza.sender):
            self.bounce(stanza, "service-unavailable")  # XEP-0191 §3.3
        else:
            self._to_account(stanza, account, to)

    def bounce(self, stanza: Stanza, condition: str, text: str | None = None) -> None:
        """Send a stanza back with an error, unless that could loop (RFC 6120 §8.3.1)."""
        silent = stanza.type in ("error", "result", "headline") or (
            stanza.kind == "presence" and stanza.type not in ("available", "subscribe")
        )
        if not silent:
            self.route(error_reply(stanza, condition, text))

    def _to_account(self, stanza: Stanza, account: Account, to: Jid) -> None:
        if stanza.kind == "message":
            stanza = account.archive.add(stanza, account.jid)
        resident = account.residents.get(to.resourcepart) if to.resourcepart is not None else None
        if resident is None:
            self._without_resource(stanza, account, to)
            return
        resident.deliver(stanza)  # RFC 6121 §8.5.3.1
        if stanza.kind == "message":
            carbons.copy(stanza, account, "received", (resident,))

    def _to_server(self, stanza: Stanza) -> None:
        if stanza.is_request:
            self.route(handlers.answer(self, stanza, handlers.SERVER))
        elif stanza.kind == "message":
            self.bounce(stanza, "service-unavailable")

    def _without_resource(self, stanza: Stanza, account: Account, to: Jid) -> None:
        """To a bare JID, or to a full one that nobody has (RFC 6121 §8.5.2, §8.5.3.2)."""
        if stanza.kind == "message":
            self._message(stanza, account, is_bare=to.resourcepart is None)
        elif stanza.kind == "presence":
            if stanza.type == "probe":
                presence.probe(self, account, stanza)
            elif to.resourcepart is None and stanza.type != "error":
                for resident in account.available():
                    resident.deliver(stanza)
        elif to.resourcepart is None and stanza.is_request:
            self.route(handlers.on_account(self, account, stanza))
        else:
            self.bounce(stanza, "service-unavailable")

    def _message(self, message: Stanza, account: Account, *, is_bare: bool) -> None:
        match message.type:
            case "chat" | "normal":
                preferred = account.preferred()
                for resident in preferred:
                    resident.deliver(message)
                if preferred:
                    carbons.copy(message, account, "received", preferred)
                else:  # whoever becomes available gets it, and would have it twice
                    self._keep(message, account)
            case "headline" if is_bare:
                for resident in account.available():
                    if resident.priority >= 0:
                        resident.deliver(message)
            case "groupchat":
                self.bounce(message, "service-unavailable")
            case _:
                pass  # errors end here (RFC 6121 §8.5.2.2.1)

    def _keep(self, message: Stanza, account: Account) -> None:
        xml = message.xml
        transient = (ns.CHAT_STATES in xml and "<body" not in xml) or (ns.HINTS in xml and "<no-store" in xml)
        if not transient and not account.store(message):  # XEP-0160 §3
            self.bounce(message, "resource-constraint", "too many messages wait for this user")

    def give_back(self, stanza: Stanza, account: Account) -> None:
        """What a session never took: messages find another resource or wait, requests are answered with an error."""
        if stanza.sender == account.jid:
            return  # a copy, or an answer of the archive
        if stanza.kind == "message":
            self._message(stanza, account, is_bare=True)
        elif stanza.is_request:
            self.bounce(stanza, "service-unavailable")
