"""Our own presence to all who may see it, and the messages that are stored while it makes us available.

Measured on ejabberd 23.01: a message to an account without a session is stored by its sender's process. When our
presence is handled between that process's look for sessions and the end of its write, the server has delivered its
store without the message, which then lies there until the next login. Beside a busy machine that happened to every
seventh message sent within 4 ms of the presence. So the store is looked into a moment later (XEP-0013), and what lies
there is fetched.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from xmppsh import ns
from xmppsh.connection.lasting import OFFLINE_S
from xmppsh.errors import ConnectionLost, XmppshError
from xmppsh.model import Jid
from xmppsh.session.responder import with_caps
from xmppsh.session.settle import Server, server_of
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xmppsh.connection.lasting import Connection
    from xmppsh.model import Element
    from xmppsh.protocol.sm import ResumableSession
    from xmppsh.session.outbound import Outbound
    from xmppsh.session.ports import Interceptor
    from xmppsh.session.requests import Requests
    from xmppsh.session.responder import Responder
    from xmppsh.texts import Log
    from xmppsh.xmlio.build import Xml

LOOKS_S = (2.0, 10.0)  # from the presence to the first look, and from there to the second one, for a busy server
MAX_STRANDED = 100  # more than that is no race, but a store that is kept for other reasons


class OwnStore(Protocol):
    """What looking into the store needs of a session."""

    @property
    def jid(self) -> Jid:
        """Our full JID."""

    @property
    def interceptors(self) -> list[Interceptor]:
        """Who is told when the store was delivered."""

    @property
    def outbound(self) -> Outbound:
        """Where its reader's mark is kept."""

    @property
    def requests(self) -> Requests:
        """Its open requests."""

    @property
    def resumable(self) -> ResumableSession | None:
        """What it takes to resume the session; None when it cannot be resumed."""

    async def ask_own(self, iq_type: str, payload: Xml) -> Element:
        """An IQ to the own account that goes before everything queued; its answer, result or error."""

    def send_ahead(self, stanza: Xml) -> None:
        """Send it at once, before what is queued."""


class Availability:
    """Remembers what was announced, for the next session, and fetches what was stored meanwhile.

    Only a lasting session on a server that is known to strand messages looks; one with a negative priority gets no
    stored messages (RFC 6121 §8.5.2.2), and does not look either.
    """

    def __init__(self, connection: Connection, session: OwnStore, responder: Responder, log: Log) -> None:
        self._connection, self._session, self._responder, self._log = connection, session, responder, log
        self.has_delivered = False  # has the server delivered all that it had stored before our presence?
        self._announced: Xml | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def gets_messages(self) -> bool:
        """Does what is sent to the bare address reach this session (RFC 6121 §8.5.2)?"""
        return self._announced is not None and "<priority>-" not in self._announced

    def announce(self, presence: Xml) -> Xml:
        """This presence is sent next; a new session after a lost one does it again."""
        self._announced = presence
        self._session.outbound.note_available()
        presence = with_caps(presence, self._responder.also)
        self._connection.expect_backlog()
        if self._looking is not None:
            self._looking.cancel()
        self.has_delivered = False
        self._looking = self._connection.spawn(self._follow())
        return presence

    def again(self) -> None:
        """Announce on a new session what was announced on the one before."""
        if self._announced is not None:
            self._session.send_ahead(self.announce(self._announced))

    async def _follow(self) -> None:
        try:
            await self._until_delivered()
        except ConnectionLost:
            return  # on the next session it is announced again
        except XmppshError as error:
            self._log(1, f"whether all stored messages have come is not known: {error}")
        else:
            self.has_delivered = self.gets_messages
        for one in self._session.interceptors:
            one.on_store_delivered()
        if self.gets_messages:
            await self._look_later()

    async def _until_delivered(self) -> None:
        """The first answer comes when the presence is handled: on ejabberd the stored messages stand in the queue of
        the session's process by then, before our second question."""
        for _ in range(2):
            ping = element("ping", {"xmlns": ns.PING})
            await self._session.requests.exchange("get", Jid(None, self._session.jid.domainpart), ping, OFFLINE_S)

    async def _look_later(self) -> None:
        for wait_s in LOOKS_S:
            await asyncio.sleep(wait_s)
            resumable = self._session.resumable
            if resumable is None or server_of(resumable.sm_id) is not Server.SNAPSHOT:
                return
            try:
                await self._fetch()
            except XmppshError as error:
                return self._log(1, f"the offline store was not looked into: {error}")

    async def _fetch(self) -> None:
        """Have the server deliver what lies in its store, then remove it there: it is in the session's hands by then,
        and goes back to the store if it is not acknowledged."""
        query = element("query", {"xmlns": ns.DISCO_ITEMS, "node": ns.OFFLINE})
        found = tree(await self._session.ask_own("get", query)).iterfind(f".//{{{ns.DISCO_ITEMS}}}item")
        nodes = [node for item in found if (node := item.get("node"))]
        if not nodes or len(nodes) > MAX_STRANDED:
            return
        self._log(1, f"{len(nodes)} messages were stored while we came online: they are fetched")
        for action, iq_type in (("view", "get"), ("remove", "set")):
            items = [element("item", {"action": action, "node": node}) for node in nodes]
            answer = await self._session.ask_own(iq_type, element("offline", {"xmlns": ns.OFFLINE}, *items))
            if answer.attributes.get("type") != "result":
                return
