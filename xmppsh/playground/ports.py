"""What the rooms of the playground ask of each other: where stanzas go, what a connection takes, what a client has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xmppsh.playground.accounts import Resident

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.model import Jid
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.management import ManagedStream
    from xmppsh.playground.room_rules import Rules
    from xmppsh.playground.stanza import Stanza


class Service(Protocol):
    """Somebody with a domain of his own on this server."""

    def take(self, stanza: Stanza) -> None:
        """Take a stanza that is addressed to this domain."""


class Channel(Protocol):
    """The connection of a client."""

    def write(self, xml: str) -> None:
        """Write a stanza or nonza."""

    def fail(self, condition: str, text: str | None = None) -> None:
        """End the stream with an error (RFC 6120 §4.9)."""

    def abort(self) -> None:
        """Break the connection without a word."""

    def leave(self) -> None:
        """The session goes on without this connection."""


class Client(Resident, Protocol):
    """A client's session, as the presence and the IQs of its account see it.

    directed: who got presence beside the subscribers (RFC 6121 §4.6); managed: its XEP-0198 state, once enabled.
    """

    account: Account
    directed: set[Jid]
    managed: ManagedStream | None


class Place(Protocol):
    """A room, as its admins see it. roles: by nickname."""

    rules: Rules
    roles: dict[str, str]

    def people(self) -> dict[str, Jid]:
        """Who is in it: full addresses by nickname."""

    def expel(self, nick: str, code: str, reason: str | None = None) -> None:
        """Put somebody out; the code says why."""

    def give(self, nick: str, role: str) -> None:
        """Give somebody a role."""


class Routes(Protocol):
    """Where stanzas go.

    services: by domain; accept_all: built-in contacts, who let everybody subscribe; started: monotonic seconds.
    """

    domain: str
    accept_all: set[Jid]
    started: float

    @property
    def services(self) -> Mapping[str, Service]:
        """Those with a domain of their own."""

    def account(self, jid: Jid) -> Account | None:
        """The account a JID belongs to, None when it is not ours."""

    def take(self, stanza: Stanza, session: Client) -> None:
        """Take a stanza from a client."""

    def route(self, stanza: Stanza) -> None:
        """Bring a stanza to its `to`."""

    def bounce(self, stanza: Stanza, condition: str, text: str | None = None) -> None:
        """Send a stanza back with an error, unless that could loop (RFC 6120 §8.3.1)."""

    def give_back(self, stanza: Stanza, account: Account) -> None:
        """A client never took it: messages find another resource or wait, requests are answered with an error."""

    def keep_resumable(self, sm_id: str, client: Client) -> None:
        """The session may be resumed by its XEP-0198 id."""

    def forget(self, session: Client) -> None:
        """The session has ended: nothing reaches it any more; its inbound count is remembered."""
