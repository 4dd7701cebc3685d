"""Who is known in this shell: contacts, rooms and their occupants, whoever has written; names for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xmppsh.model import Element
    from xmppsh.xep.roster import Contact

MAX_STRANGERS = 1000
MAX_ONLINE = 10_000  # addresses that are neither contacts nor rooms: anybody may send us presence
MAX_RESOURCES = 100  # of one address; a room has more occupants than anybody looks through
MAX_OCCUPANTS = 5000


class People:
    """Bare addresses, each with its name ("" where it has none), and what is online of them."""

    def __init__(self) -> None:
        self.contacts: dict[str, str] = {}
        self.online: dict[str, dict[str, str]] = {}  # bare → resource → how it is available ("" or away, dnd, …)
        self.rooms: dict[str, str] = {}  # joined → our nick
        self.room_passwords: dict[str, str] = {}  # of those of them that want one
        self.entering: set[str] = set()  # those that have not let us in yet
        self.own_presence: dict[str, Element] = {}  # full JID of our account → what it has said last
        self.bookmarks: list[str] = []
        self.services: list[str] = []  # of our server, where rooms are
        self.own: tuple[tuple[str, str], ...] = ()  # our account and its server, each with a word about it
        self.current: str | None = None  # who is written to
        self.sees_us: set[str] = set()  # who may see our presence (RFC 6121 §2.1.2.5)
        self._strangers: dict[str, None] = {}
        self._by_local: dict[str, set[str]] = {}

    def set_contacts(self, contacts: Iterable[Contact]) -> None:
        """The roster."""
        self.contacts = {}
        self.sees_us = set()
        for contact in contacts:
            self.set_contact(contact)

    def set_contact(self, contact: Contact) -> None:
        """One of the roster has come, or has changed; its subscription is `remove` for one that has gone."""
        bare = contact.jid
        self.sees_us.discard(bare)
        if contact.subscription == "remove":
            self.contacts.pop(bare, None)
            self._forget(bare)
            return
        self.contacts[bare] = contact.name or ""
        self._index(bare)
        if contact.sees_us:
            self.sees_us.add(bare)

    def note(self, bare: str) -> None:
        """Somebody wrote, or is written to."""
        if not bare or bare in self.contacts or bare in self.rooms:
            return
        self._strangers.pop(bare, None)
        self._strangers[bare] = None
        self._index(bare)
        if len(self._strangers) > MAX_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            self._forget(oldest)

    def _index(self, bare: str) -> None:
        self._by_local.setdefault(bare.partition("@")[0], set()).add(bare)

    def _forget(self, bare: str) -> None:
        """Nobody needs the short name of an address, unless it is known in another way, too."""
        local = bare.partition("@")[0]
        if bare in self.contacts or bare in self._strangers or local not in self._by_local:
            return
        self._by_local[local].discard(bare)
        if not self._by_local[local]:
            del self._by_local[local]

    def presence(self, sender: str, stanza_type: str, show: str) -> None:
        """Somebody is available, or not. stanza_type: the type of the presence, `available` where it had none."""
        bare, _, resource = sender.partition("/")
        if stanza_type == "available" and resource:
            is_known = bare in self.online or bare in self.contacts or bare in self.rooms
            if not is_known and len(self.online) >= MAX_ONLINE:
                return
            online = self.online.setdefault(bare, {})
            if len(online) < (MAX_OCCUPANTS if bare in self.rooms else MAX_RESOURCES):
                online[resource] = show
        elif stanza_type == "unavailable" and bare in self.online:
            self.online[bare].pop(resource, None)
            if not self.online[bare]:
                del self.online[bare]

    def forget_room(self, bare: str) -> str | None:
        """We are in a room no longer; gives our nick there, None where we were not in it."""
        self.room_passwords.pop(bare, None)
        self.online.pop(bare, None)
        return self.rooms.pop(bare, None)

    def named(self, name: str) -> str | None:
        """The one person of this local part or roster name; None where there is none, or more than one."""
        found = self._with_local(name) or {bare for bare, given in self.contacts.items() if given == name}
        return next(iter(found)) if len(found) == 1 else None

    def meant(self, word: str) -> str:
        """The address that is meant by a short name, with what follows its slash; any other word as it is."""
        name, slash, resource = word.partition("/")
        known = None if "@" in name else self.named(name)
        return word if known is None else known + slash + resource

    def short(self, address: str) -> str:
        """The shortest name that stands for one person only: the local part, or all of a bare address."""
        bare, slash, resource = address.partition("/")
        local, at, _ = bare.partition("@")
        alone = at and self._with_local(local) <= {bare}
        return (local if alone else bare) + slash + resource

    def _with_local(self, local: str) -> set[str]:
        return self._by_local.get(local, set()).union(bare for bare in self.rooms if bare.partition("@")[0] == local)

    def addresses(self, incomplete: str = "") -> Iterator[tuple[str, str]]:
        """Everybody who could be written to, with a word about each: who has written last comes first.

        incomplete: as far as the address is typed; behind its slash, who is there.
        """
        bare, slash, _ = incomplete.partition("/")
        if slash:
            about = "occupant" if bare.lower() in self.rooms else "online"
            yield from ((f"{bare.lower()}/{one}", about) for one in self.occupants(bare.lower()))
            return
        ours = {bare for bare, _ in self.own}
        yield from ((bare, "in touch") for bare in reversed(self._strangers) if bare not in ours)
        yield from ((bare, "room") for bare in self.rooms)
        yield from self.contacts.items()
        yield from self.own

    def occupants(self, bare: str) -> list[str]:
        """The nicks in a room, or the resources of an account, as far as we are told of them."""
        return sorted(self.online.get(bare, ()), key=str.casefold)

    def room_addresses(self, incomplete: str) -> Iterator[tuple[str, str]]:
        """The rooms that it may be: joined, marked, and new ones at the services that we know."""
        rooms = {*self.rooms, *self.bookmarks}
        yield from ((jid, "room") for jid in sorted(rooms) if jid.startswith(incomplete.lower()))
        local, at, _ = incomplete.partition("@")
        new = {f"{local}@{service}" for service in self.services} if local and at else set()
        yield from ((jid, "") for jid in sorted(new - rooms) if jid.startswith(incomplete))

    def mark_room(self, bare: str, *, is_marked: bool) -> None:
        """A room was bookmarked, or its bookmark was removed."""
        self.bookmarks = [one for one in self.bookmarks if one != bare] + [bare] * is_marked
