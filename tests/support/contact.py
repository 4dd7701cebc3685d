"""An independent XMPP client that observes: plain slixmpp with its own stream layer, no code shared with xmppsh.

It has no stream management and no carbons of its own: what it lists is what the server delivered to this session.
"""

import asyncio
import contextlib
import secrets
import ssl
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from slixmpp import ClientXMPP
from slixmpp.stanza import Message, Presence

from support.until import DEADLINE_S

if TYPE_CHECKING:
    from types import TracebackType

    from support.servers import Account, Server

T = TypeVar("T")

WAIT_TIMEOUT_S = DEADLINE_S
CLOSE_TIMEOUT_S = 2.0


class ContactFailed(Exception):
    """The contact could not log in, or lost its stream while a test waited for something."""


@dataclass(frozen=True)
class ReceivedMessage:
    """One message stanza of any type, errors included. `at` is time.monotonic()."""

    sender: str
    to: str
    type: str
    id: str
    body: str
    xml: str
    at: float


@dataclass(frozen=True)
class ReceivedPresence:
    """One presence stanza, the contact's own included. `type` is "available" where the stanza has none."""

    sender: str
    type: str
    xml: str
    at: float


class Contact:
    """A logged-in session of `account`: TLS verified against the server's CA, roster fetched, presence sent.

    `client` is the slixmpp client underneath, for what a test needs beyond this.
    """

    def __init__(self, server: "Server", account: "Account", resource: str | None = None) -> None:
        self.messages: list[ReceivedMessage] = []
        self.presence: list[ReceivedPresence] = []
        self._server = server
        self._account = account
        self._changed = asyncio.Event()
        self._failure: str | None = None
        context = ssl.create_default_context(cafile=str(server.ca))
        jid = f"{account.jid}/{resource or 'contact-' + secrets.token_hex(3)}"
        self.client = _Client(jid, account.password, ssl_context=context)
        self._session = False
        # Before connecting, and before any handler: nothing can be missed.
        self.client.add_filter("in", self._on_stanza)
        self.client.add_event_handler("session_start", self._on_session)
        for event in ("failed_all_auth", "connection_failed", "ssl_invalid_chain", "stream_error", "disconnected"):
            self.client.add_event_handler(event, self._failing(event))

    @property
    def jid(self) -> str:
        """The full JID the server bound."""
        return str(self.client.boundjid.full)

    @property
    def online(self) -> bool:
        """Whether the session is up; false for good once the stream ended."""
        return self._session and self._failure is None

    async def __aenter__(self) -> Self:
        try:
            self.client.connect(self._server.host, self._server.port)
            await self._until(lambda: self._session or None, WAIT_TIMEOUT_S, "a session")
            await asyncio.wait_for(self.client.get_roster(), WAIT_TIMEOUT_S)
            self.client.send_presence()
            # RFC 6121 §4.2.2: the server sends our presence to us, too; then we are available for everybody.
            await self.wait_for_presence(self._account.jid, "available", WAIT_TIMEOUT_S, sender=self.jid)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        await self._close()

    async def send(self, to: str, body: str, type: str = "chat", id: str | None = None) -> str:  # noqa: A002
        """Send a message; returns its id. It has left for the server, no more is promised."""
        stanza = self.client.make_message(to, body)
        stanza["type"] = type
        stanza["id"] = id or secrets.token_hex(8)
        self.client.send(stanza)
        await self._written()
        return str(stanza["id"])

    async def send_raw(self, xml: str) -> None:
        """Send a text as it is, in order with what was sent before."""
        self.client.send(xml)
        await self._written()

    async def enter(self, room: str, nick: str) -> None:
        """Be in a room, under this name; one that does not exist is made (XEP-0045)."""
        await self.send_raw(f"<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        await self.wait_for_presence(room, "available", sender=f"{room}/{nick}")

    async def settle(self, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until the server has processed all that was sent: it answers in order, so a ping tells (XEP-0199)."""
        ping: Any = self.client.make_iq_get(ito=self.client.boundjid.domain)
        ping.append(ET.Element("{urn:xmpp:ping}ping"))
        await ping.send(timeout=timeout_s)

    async def wait_for_message(
        self, predicate: Callable[[ReceivedMessage], bool], timeout_s: float = WAIT_TIMEOUT_S
    ) -> ReceivedMessage:
        """The first message, received already or yet to come, for which `predicate` holds."""
        seen = 0

        def find() -> ReceivedMessage | None:
            nonlocal seen
            unseen, seen = self.messages[seen:], len(self.messages)
            return next(filter(predicate, unseen), None)

        return await self._until(find, timeout_s, "a matching message")

    async def wait_for_messages(self, n: int, timeout_s: float = WAIT_TIMEOUT_S) -> list[ReceivedMessage]:
        """All messages, once there are at least `n` since the login."""
        await self._until(lambda: len(self.messages) >= n or None, timeout_s, f"{n} messages")
        return self.messages

    async def wait_for_presence(
        self,
        from_bare: str,
        type: str,  # noqa: A002
        timeout_s: float = WAIT_TIMEOUT_S,
        since: float = 0.0,
        *,
        sender: str | None = None,
    ) -> ReceivedPresence:
        """The first presence of that type from any resource of `from_bare` that came at `since` or later.

        `sender`, a full JID, narrows it to one resource.
        """

        def find() -> ReceivedPresence | None:
            for presence in self.presence:
                fits = presence.sender == sender if sender else presence.sender.partition("/")[0] == from_bare
                if fits and presence.type == type and presence.at >= since:
                    return presence
            return None

        return await self._until(find, timeout_s, f"presence {type} from {from_bare}")

    async def wait_for_end(self, timeout_s: float = WAIT_TIMEOUT_S) -> str:
        """Wait until the stream has ended; returns what ended it."""
        return await self._until(lambda: self._failure, timeout_s, "the end of the stream")

    async def _until(self, find: Callable[[], T | None], timeout_s: float, what: str) -> T:
        """The first result of `find` that is not None; it is asked again after every arrival."""
        try:
            async with asyncio.timeout(timeout_s):
                while (found := find()) is None:
                    if self._failure is not None:
                        raise ContactFailed(f"{self._account.jid} waited for {what}: {self._failure}")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            stanzas = [m.xml for m in self.messages[-3:]] + [p.xml for p in self.presence[-3:]]
            latest = "".join(f"\n  {xml}" for xml in stanzas)
            raise TimeoutError(
                f"{self._account.jid} waited {timeout_s:g} s for {what}; it has {len(self.messages)} messages and "
                f"{len(self.presence)} presences, the latest:{latest or ' none'}"
            ) from None
        return found

    async def _written(self) -> None:
        """Wait until slixmpp's queue has gone to the transport."""
        if self._failure is not None:
            raise ContactFailed(f"{self._account.jid} cannot send: {self._failure}")
        await asyncio.wait_for(self.client.waiting_queue.join(), WAIT_TIMEOUT_S)

    async def _close(self) -> None:
        if self.client.is_connected():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.client.disconnect(CLOSE_TIMEOUT_S), 2 * CLOSE_TIMEOUT_S)
            self.client.abort()
        self.client.cancel_connection_attempt()
        # Nobody else ends it; the loop would complain about a task destroyed while pending.
        filters = self.client._run_out_filters
        if filters is not None:
            filters.cancel()
            await asyncio.gather(filters, return_exceptions=True)

    def _on_stanza(self, stanza: Any) -> Any:
        xml: ET.Element = stanza.xml
        at = time.monotonic()
        sender = xml.get("from", "")
        if isinstance(stanza, Message):
            received = ReceivedMessage(
                sender=sender,
                to=xml.get("to", ""),
                type=xml.get("type", "normal"),
                id=xml.get("id", ""),
                body=xml.findtext("{jabber:client}body", ""),
                xml=str(stanza),
                at=at,
            )
            self.messages.append(received)
        elif isinstance(stanza, Presence):
            self.presence.append(ReceivedPresence(sender, xml.get("type", "available"), str(stanza), at))
        self._changed.set()
        return stanza

    def _on_session(self, _: object) -> None:
        self._session = True
        self._changed.set()

    def _failing(self, event: str) -> Callable[[object], None]:
        def fail(reason: object) -> None:
            if self._failure is None:
                self._failure = f"{event}: {reason}"
            self._changed.set()

        return fail


class _Client(ClientXMPP):
    """slixmpp on the address it is given, by STARTTLS alone, answering no subscription request by itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.enable_direct_tls = False
        self.enable_plaintext = False
        self.whitespace_keepalive = False
        self.auto_authorize = None
        self.auto_subscribe = False

    def init_parser(self) -> None:
        super().init_parser()
        self.parser = _PromptParser(("start", "end"))


class _PromptParser(ET.XMLPullParser):  # type: ignore[type-arg]  # generic in typeshed only
    """Expat 2.6 and later hold a complete stanza back until more bytes come, unless flushed."""

    def feed(self, data: Any) -> None:
        super().feed(data)
        flush = getattr(self, "flush", None)  # Python 3.11.8, 3.12.2
        if flush is not None:
            flush()
