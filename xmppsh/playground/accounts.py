"""What the server keeps for each account: roster, who is connected, messages that wait."""

from __future__ import annotations

from collections import deque
from dataclasses import field
from typing import TYPE_CHECKING, Protocol

from xmppsh.plain import dataclass
from xmppsh.playground.archive import Archive
from xmppsh.xmlio.build import Xml, element

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xmppsh.model import Jid
    from xmppsh.playground.stanza import Stanza

MAX_OFFLINE_MESSAGES = 20_000
MAX_OFFLINE_CHARACTERS = 16 * 1024 * 1024


class Resident(Protocol):
    """Somebody at a full JID of this server: a client's session, or a contact that is built in."""

    jid: Jid
    presence: Stanza | None  # the last available presence, None while not available (RFC 6121 §4)
    priority: int
    carbons: bool  # wants copies of what others of the account send and receive (XEP-0280)
    interested: bool  # has asked for the roster and takes pushes (RFC 6121 §2.1.6)

    def deliver(self, stanza: Stanza) -> None:
        """Take a stanza."""


@dataclass
class RosterItem:
    """A contact. to: we get their presence; from_: they get ours; ask: our request waits (RFC 6121 §2.1.2)."""

    jid: Jid
    name: str | None = None
    groups: tuple[str, ...] = ()
    to: bool = False
    from_: bool = False
    ask: bool = False

    @property
    def subscription(self) -> str:
        """`none`, `to`, `from` or `both`."""
        return {(False, False): "none", (True, False): "to", (False, True): "from", (True, True): "both"}[
            self.to, self.from_
        ]

    def xml(self, subscription: str | None = None) -> Xml:
        """The `<item/>` of a result or a push."""
        attributes = {
            "jid": str(self.jid),
            "name": self.name,
            "subscription": subscription or self.subscription,
            "ask": "subscribe" if self.ask else None,
        }
        return element("item", attributes, *(element("group", {}, group) for group in self.groups))


@dataclass
class Node:
    """A node of an account. config: by the names of its form; items: payloads by id, the oldest first; subscribers: who
    is told of events."""

    config: dict[str, str]
    items: dict[str, Xml] = field(default_factory=dict)
    subscribers: set[Jid] = field(default_factory=set)


@dataclass
class Account:
    """One user of the server.

    requests: subscription requests that wait for an answer, by who asks; offline: messages that wait, oldest first;
    archive: all that were sent and received; blocked: whom it does not want to hear of (XEP-0191); nodes: by name
    (XEP-0163); card: as it was written (XEP-0054).
    """

    jid: Jid
    password: str = field(repr=False)
    roster: dict[Jid, RosterItem] = field(default_factory=dict)
    requests: dict[Jid, Stanza] = field(default_factory=dict)
    residents: dict[str, Resident] = field(default_factory=dict)
    offline: deque[Stanza] = field(default_factory=deque)
    offline_characters: int = 0
    archive: Archive = field(default_factory=Archive)
    blocked: set[Jid] = field(default_factory=set)
    nodes: dict[str, Node] = field(default_factory=dict)
    card: Xml | None = None

    def available(self) -> list[Resident]:
        """Who has sent presence."""
        return [resident for resident in self.residents.values() if resident.presence is not None]

    def preferred(self) -> list[Resident]:
        """Whom a message to the bare JID reaches: the highest priority that is not negative (RFC 6121 §8.5.2.1.1)."""
        able = [resident for resident in self.available() if resident.priority >= 0]
        highest = max((resident.priority for resident in able), default=0)
        return [resident for resident in able if resident.priority == highest]

    def store(self, message: Stanza) -> bool:
        """Keep a message until somebody is there; False when the store is full."""
        size = len(message.xml)
        if len(self.offline) >= MAX_OFFLINE_MESSAGES or self.offline_characters + size > MAX_OFFLINE_CHARACTERS:
            return False
        self.offline.append(message)
        self.offline_characters += size
        return True

    def take_offline(self) -> list[Stanza]:
        """Empty the store, oldest first."""
        waiting, self.offline = list(self.offline), deque()
        self.offline_characters = 0
        return waiting

    def item(self, contact: Jid) -> RosterItem:
        """The roster item of a contact, made when there is none."""
        return self.roster.setdefault(contact, RosterItem(contact))

    def gives_presence_to(self) -> Iterable[Jid]:
        """Who is subscribed to our presence."""
        return [item.jid for item in self.roster.values() if item.from_]

    def takes_presence_from(self) -> Iterable[Jid]:
        """Whose presence we are subscribed to."""
        return [item.jid for item in self.roster.values() if item.to]


def befriend(accounts: Iterable[Account]) -> None:
    """Subscribe all of them to each other."""
    accounts = list(accounts)
    for account in accounts:
        for contact in accounts:
            if contact is not account:
                item = account.item(contact.jid)
                item.name, item.to, item.from_ = (contact.jid.localpart or "").capitalize(), True, True
