"""The session: what commands talk to. It owns the connection, counts what the server has acknowledged, and closes.

Numbers, not futures: `send` gives the stanza's number in this session, `acked(number)` waits until the server has
handled it. Without XEP-0198 the answer to a ping that follows the stanzas is the proof (a server handles a stream's
stanzas in order, RFC 6120 §10.1).
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectionLost, DataError, DeadlineExceeded, Unconfirmed, XmppshError
from xmppsh.model import Jid
from xmppsh.protocol import events as ev
from xmppsh.protocol.conditions import stanza_error
from xmppsh.session.bus import Bus
from xmppsh.session.connect import Connector
from xmppsh.session.requests import Requests
from xmppsh.session.responder import response_to
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xmppsh.model import Element
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.session.bus import Subscription
    from xmppsh.session.driver import Driver
    from xmppsh.session.options import SessionOptions
    from xmppsh.xmlio.build import Xml

PING_NS = "urn:xmpp:ping"
CLOSE_WAIT_S = 2.0  # for the server's </stream:stream>
FENCE_TIMEOUT_S = 5.0  # how long a bounce from another server is waited for


def new_id() -> str:
    """A stanza id that nobody can guess (RFC 6120 §8.1.3)."""
    return secrets.token_hex(8)


class Session:
    """A bound session of one account; use `open_session`."""

    def __init__(self, options: SessionOptions, log: Callable[[int, str], None], trace: Trace | None = None) -> None:
        self.options = options
        self.jid: Jid = options.jid
        self.mechanism = ""
        self.tls_version: str | None = None
        self.acks = False
        self.sent_count = 0
        self.acked_count = 0
        self._log = log
        self._connector = Connector(options, log, trace)
        self._driver: Driver | None = None
        self._requests = Requests()
        self._bus = Bus(self._on_taken, self._pause, self._resume)
        self._progress = asyncio.Event()
        self._asked_up_to = 0
        self._ack_pings: dict[str, int] = {}
        self._closing = False
        self.error: XmppshError | None = None

    # ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Connect, log in, bind; raises what made it impossible, within the connect timeout."""
        self._driver = driver = await self._connector.connect(self._on_event)
        self.tls_version = driver.link.tls_version
        driver.link.before_flush = self._ask_for_ack

    @property
    def is_over(self) -> bool:
        """Has the stream ended?"""
        return self._bus.is_over

    @property
    def unacked_count(self) -> int:
        """How many stanzas were written and not acknowledged."""
        return self.sent_count - self.acked_count

    async def close(
        self, *, drain_s: float = 0.0, hurry: asyncio.Event | None = None, wait_s: float = CLOSE_WAIT_S
    ) -> None:
        """The one clean close: acks for at most `drain_s`, the last `<a/>`, `</stream:stream>`, close_notify, TCP.

        hurry: set by a second signal; then nothing is waited for.
        """
        if self._driver is None or self._closing:
            return
        self._closing = True
        if drain_s > 0 and self.unacked_count and not self.is_over:
            await self._drain(drain_s, hurry)
        await self._driver.close(0.0 if hurry is not None and hurry.is_set() else wait_s)
        self._bus.end(self.error)
        self._requests.fail(self.error or ConnectionLost("the session was closed"))

    async def _drain(self, drain_s: float, hurry: asyncio.Event | None) -> None:
        waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self.acked(self.sent_count, drain_s))]
        if hurry is not None:
            waits.append(asyncio.ensure_future(hurry.wait()))
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    # ── Out ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, stanza: Xml) -> int:
        """Hand one stanza to the stream; returns its number. Raises when the session is over or the stanza too big."""
        if self.is_over or self._driver is None:
            raise self.error or ConnectionLost("the session is over")
        stream = self._driver.stream
        size_bytes = len(stanza.encode())
        if size_bytes > stream.max_stanza_bytes:
            raise DataError(
                f"the stanza has {size_bytes} bytes, and {stream.max_stanza_bytes} are allowed",
                condition="policy-violation",
            )
        self._driver.carry_out(stream.send(stanza))
        self.sent_count += 1
        return self.sent_count

    async def acked(self, number: int, timeout_s: float | None = None) -> None:
        """Wait until the server has handled stanza `number`; raises Unconfirmed when that will not come.

        timeout_s: without any progress; the default is `--timeout`.
        """
        timeout_s = self.options.timeout_s if timeout_s is None else timeout_s
        while self.acked_count < number:
            if self.is_over:
                why = f": {self.error}" if self.error is not None else ""
                raise Unconfirmed(f"{self._unconfirmed()}{why}", hint=self.error.hint if self.error else None)
            self._progress.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._progress.wait()
            except TimeoutError:
                raise Unconfirmed(
                    f"{self._unconfirmed()} within {timeout_s:.3g} s", hint="it may have arrived; ask the recipient"
                ) from None

    def _unconfirmed(self) -> str:
        count = self.unacked_count
        return f"{count} stanza{' was' if count == 1 else 's were'} written and never acknowledged"

    async def room(self, window: int) -> None:
        """Wait until fewer than `window` stanzas are unacknowledged and the link takes more."""
        assert self._driver is not None
        if self.unacked_count >= window:
            await self.acked(self.sent_count - window + 1)
        await self._driver.link.drained()

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result; raises StanzaError for an error, DeadlineExceeded for silence."""
        answer = await self.ask(iq_type, to, payload, timeout_s)
        if answer.attributes.get("type") == "error":
            raise stanza_error(tree(answer), answer.sender or self.jid.domainpart)
        return answer

    async def ask(self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None) -> Element:
        """Send an IQ and give its answer, result or error."""
        timeout_s = self.options.timeout_s if timeout_s is None else timeout_s
        stanza_id = new_id()
        future = self._requests.add(stanza_id, to)
        try:
            self.send(element("iq", {"type": iq_type, "id": stanza_id, "to": None if to is None else str(to)}, payload))
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise DeadlineExceeded(
                f"{to or self.jid.domainpart} did not answer within {timeout_s:.3g} s",
                layer="stanza",
                hint="--timeout S waits longer",
            ) from None
        finally:
            future.cancel()

    async def fence(self, domains: Iterable[str]) -> None:
        """Wait until every bounce that these domains send at once has come: each answers a ping behind our stanzas."""
        limit_s = min(FENCE_TIMEOUT_S, self.options.timeout_s)
        pings = (self.ask("get", Jid.parse(domain), element("ping", {"xmlns": PING_NS}), limit_s) for domain in domains)
        for outcome in await asyncio.gather(*pings, return_exceptions=True):
            # Any answer will do, and a domain that gives none in time cannot bounce in time either.
            if isinstance(outcome, BaseException) and not isinstance(outcome, XmppshError):
                raise outcome

    # ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def subscribe(self, *kinds: str) -> Subscription:
        """Read stanzas of these kinds (`message`, `presence`, `iq`) that arrive from now on."""
        return self._bus.subscribe(lambda stanza: stanza.kind in kinds)

    def bounces(self) -> Subscription:
        """Read the messages that came back with an error (RFC 6120 §8.3)."""
        return self._bus.subscribe(lambda stanza: stanza.kind == "message" and stanza.attributes.get("type") == "error")

    async def ended(self) -> None:
        """Wait for the end of the stream."""
        assert self._driver is not None
        await self._driver.ended.wait()

    def _on_event(self, event: SessionEvent) -> None:
        match event:
            case ev.SessionEstablished():
                self.jid, self.mechanism, self.acks = event.jid, event.mechanism, event.acks
            case ev.StanzaArrived(stanza, number):
                self._on_stanza(stanza, number)
            case ev.StanzasAcked(count):
                self._on_acked(self.acked_count + count)
            case ev.StreamEnded(error):
                self.error = None if self._closing else error
                self._bus.end(self.error)
                self._requests.fail(error or ConnectionLost("the session was closed"))
                self._progress.set()

    def _on_acked(self, count: int) -> None:
        self.acked_count = max(self.acked_count, count)
        self._progress.set()

    def _on_stanza(self, stanza: Element, number: int) -> None:
        if stanza.kind == "iq":
            covered = self._ack_pings.pop(stanza.id or "", None)
            if covered is not None:
                self._on_acked(covered)
            if covered is not None or self._requests.answer(stanza, self.jid):
                return self._on_taken(number)
            if stanza.attributes.get("type") in ("get", "set") and not self._closing and not self.is_over:
                self.send(response_to(stanza))
        self._bus.publish(stanza, number)
        return None

    def _on_taken(self, number: int) -> None:
        if self._driver is not None:
            self._driver.carry_out(self._driver.stream.taken(number))

    def _pause(self) -> None:
        if self._driver is not None:
            self._driver.link.pause_reading()

    def _resume(self) -> None:
        if self._driver is not None:
            self._driver.link.resume_reading()

    def _ask_for_ack(self) -> None:
        """At the end of each turn that wrote stanzas: ask how far the server is."""
        if self._driver is None or self._asked_up_to == self.sent_count or self.is_over or self._closing:
            return
        self._asked_up_to = self.sent_count
        if self.acks:
            self._driver.carry_out(self._driver.stream.request_ack())
            return
        stanza_id = new_id()
        ping = element("ping", {"xmlns": PING_NS})
        self._driver.carry_out(self._driver.stream.send(element("iq", {"type": "get", "id": stanza_id}, ping)))
        self._ack_pings[stanza_id] = self.sent_count
