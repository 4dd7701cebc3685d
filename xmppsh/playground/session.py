"""A bound resource (RFC 6120 §7): it outlives its connection when XEP-0198 allows that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.errors import MalformedJid
from xmppsh.playground import management, presence
from xmppsh.playground.management import ManagedStream
from xmppsh.playground.stanza import error_reply, incoming, made, random_id

if TYPE_CHECKING:
    from xmppsh.model import Element, Jid
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.ports import Channel, Routes
    from xmppsh.playground.stanza import Stanza
    from xmppsh.xmlio.build import Xml


class Session:
    """One resource of an account, from bind (or resume) to its end.

    connection: None while it waits to be resumed; directed: who got presence beside the subscribers
    (RFC 6121 §4.6); managed: its XEP-0198 state once `<enable/>` came.
    """

    def __init__(self, router: Routes, account: Account, jid: Jid, connection: Channel) -> None:
        self.router, self.account, self.jid = router, account, jid
        self.connection: Channel | None = connection
        self.presence: Stanza | None = None
        self.priority = 0
        self.interested = self.carbons = False
        self.directed: set[Jid] = set()
        self.managed: ManagedStream | None = None
        self.ended = False
        self._patience: asyncio.TimerHandle | None = None  # how long a lost connection may come back

    def deliver(self, stanza: Stanza) -> None:
        """Write a stanza to the client, or keep it until the client comes back."""
        if self.ended:
            self.router.give_back(stanza, self.account)
            return
        if self.managed is not None:
            self.managed.on_sent(stanza)
            if self.managed.unacked_characters > management.MAX_UNACKED_BYTES:
                self._give_up()
                return
        if self.connection is not None:
            self.connection.write(stanza.xml)

    def receive(self, source: Element) -> None:
        """Take a stanza from the client, in order."""
        managed = self.managed
        number = managed.counters.on_received() if managed is not None else 0
        try:
            stanza = incoming(source, self.jid)
        except MalformedJid as error:
            self._refuse_address(source, str(error))
        else:
            self.router.take(stanza, self)
        if managed is not None:
            managed.counters.on_taken(number)

    def _refuse_address(self, source: Element, reason: str) -> None:
        if source.attributes.get("type") in ("error", "result"):
            return
        stanza = made(source.kind, source.attributes.get("type"), self.jid, self.jid.bare, stanza_id=source.id)
        self.deliver(error_reply(stanza, "jid-malformed", reason))

    # The end, in its ways

    def lost(self) -> None:
        """The connection broke: wait for the client to come back, if it may (XEP-0198 §5)."""
        self.connection = None
        if self.ended:
            return
        if self.managed is None or self.managed.sm_id is None:
            self.end()
            return
        self._patience = asyncio.get_running_loop().call_later(self.managed.max_s, self.end)

    def end(self) -> None:
        """It is over: contacts see it at once, messages the client never took find another way."""
        if self.ended:
            return
        self.ended, self.connection = True, None
        if self._patience is not None:
            self._patience.cancel()
        self.router.forget(self)
        presence.withdraw(self.router, self, None)
        if self.managed is not None:
            for stanza in self.managed.unacked:
                self.router.give_back(stanza, self.account)

    def displace(self) -> None:
        """Another session binds the same resource (RFC 6120 §7.7.2.2)."""
        if self.connection is not None:
            self.connection.fail("conflict", "another session has bound this resource")
        self.end()

    def _give_up(self) -> None:
        connection = self.connection
        self.end()
        if connection is not None:
            connection.abort()

    # XEP-0198

    def trailer(self) -> str:
        """The `<r/>` that follows a burst of stanzas."""
        return (self.managed and self.managed.request()) or ""

    def enable(self, nonza: Element) -> Xml:
        """Answer `<enable/>`."""
        if self.managed is not None:
            return management.failed("unexpected-request")
        sm_id = random_id() if management.wants_resume(nonza) else None
        self.managed = ManagedStream(sm_id, management.wanted_max_s(nonza))
        if sm_id is not None:
            self.router.keep_resumable(sm_id, self)
        return self.managed.enabled()

    def resume(self, connection: Channel, h: int) -> None:
        """Go on with another connection; raises HandledCountTooHigh, and nothing has changed then."""
        assert self.managed is not None
        unacked = self.managed.on_resume(h)
        older, self.connection = self.connection, connection
        if older is not None:
            older.leave()
            older.fail("conflict", "the session was resumed by another connection")
        if self._patience is not None:
            self._patience.cancel()
        connection.write(self.managed.resumed())
        for stanza in unacked:
            connection.write(stanza.xml)
