"""One stream on one connection, from its first byte until it is live, redirected or given up."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xmppsh.connection.costs import Costs
from xmppsh.connection.driver import Driver
from xmppsh.errors import ConnectionLost, DeadlineExceeded, XmppshError
from xmppsh.model import Element
from xmppsh.plain import dataclass
from xmppsh.protocol.events import (
    HandledNoted,
    RegistrationOpen,
    ResourceBound,
    ResumeFailed,
    Sasl2SuccessReceived,
    SessionEstablished,
    SessionResumed,
    StanzaArrived,
    StreamEnded,
    SuccessReceived,
    TlsEstablished,
    TokenIssued,
    TokenRefused,
)
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import ELEMENT_EVENTS, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from xmppsh.model import Jid
    from xmppsh.net.attempts import Attempt
    from xmppsh.net.link import Link
    from xmppsh.net.tls import TlsPolicy
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.protocol.fast import Token
    from xmppsh.protocol.negotiation import StreamConfig
    from xmppsh.xmlio.reader import Footer, Header

RESUME_WAIT_S = 20.0  # a busy ejabberd answers after 15 s; a second <resume/> beside the first would make two rivals
SILENCES = {
    State.PLAIN: "takes the connection but does not answer",
    State.STARTTLS: "does not answer the request for TLS",
    State.HANDSHAKE: "does not finish the TLS handshake",
    State.SECURED: "is silent after the TLS handshake",
    State.SASL: "does not answer the login",
    State.REGISTERING: "does not answer the registration",
    State.HASHING: "wants a password hash that takes too long",
    State.SASL2: "does not answer the login",
    State.SASL2_HASHING: "wants a password hash that takes too long",
    State.AUTHENTICATED: "is silent after the login",
    State.BINDING: "does not answer the resource binding",
    State.BOUND: "does not answer the request for stream management",
}

LOG_INS = (SuccessReceived, Sasl2SuccessReceived)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told on the way: on_handled(h) before an h is written; on_bound(jid) before a session begins that may
    outlive its socket; on_live when stanzas may flow; on_registration in its place, where nobody logs in: is it
    offered? on_token: a FAST token was issued, or is of no use any more (None)."""

    on_live: Callable[[Driver, SessionEstablished | SessionResumed, ResumeFailed | None], None]
    on_handled: Callable[[int], None]
    on_bound: Callable[[Jid], None]
    on_token: Callable[[Token | None], None] = lambda _: None
    on_registration: Callable[[Driver, bool], None] = lambda *_: None  # asked for by StreamConfig.registers alone


class Opening:
    """A stream on its way to live.

    Several may run beside each other as far as the end of the TLS handshake; there `may_go_on` is asked, and who
    answers lets one pass, since credentials follow.
    outcome: None when live, or where the server redirects to; its exception is what made the stream impossible.
    patience_s: how long it may stand still before others are tried beside it.
    """

    def __init__(
        self,
        attempt: Attempt,
        link: Link,
        config: StreamConfig,
        policy: TlsPolicy,
        listeners: Listeners,
        *,
        costs: Costs | None = None,
        patience_s: float,
        trace: Trace | None = None,
        peek: Callable[[], Awaitable[tuple[bytes, ...]]] | None = None,
        stream: type[Stream] = Stream,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.attempt, self.link = attempt, link
        self.outcome: asyncio.Future[str | None] = self._loop.create_future()
        self.secured = False
        self.refuses_certificate = False
        self.stream = stream(config)
        self.may_go_on: Callable[[Opening], bool] = lambda _: True
        self._listeners, self._peek, self._patience_s = listeners, peek, patience_s
        self._begun = self._moved = self._loop.time()
        self.costs = costs or Costs(self._begun)
        self.costs.done("tcp", self._begun)
        self._resume_failed: ResumeFailed | None = None
        self._early: list[SessionEvent] = []  # stanzas between the bind and <enabled/>
        self.driver = Driver(
            self.stream,
            link,
            policy,
            self._on_event,
            trace=trace,
            peek=None if peek is None else self._on_refusal,
            on_secured=self._on_secured,
        )
        self._traced, self.stream.on_item = self.stream.on_item, self._on_item

    def start(self) -> None:
        """Write the first bytes: the stream header, or those of the TLS handshake."""
        # Without TLS (loopback alone) the login follows the first answer.
        if self.stream.config.tls == "off" and not self._goes_on():
            return
        self.driver.start()

    @property
    def stalls_at(self) -> float:
        """When, in the loop's time, it will have stood still too long to wait for it alone."""
        return float("inf") if self.refuses_certificate else self._moved + self._patience_s

    @property
    def resume_until(self) -> float:
        """Until when the answer to what was written is waited for: to a `<resume/>`, or to a fence before one."""
        return self._moved + RESUME_WAIT_S if self.stream.state is State.RESUMING else float("-inf")

    @property
    def silence(self) -> str:
        """What the server does not do."""
        if self.stream.state is State.PLAIN and self.stream.has_header:
            return "answers with a stream header and then falls silent"
        return SILENCES.get(self.stream.state, "does not answer")

    def too_late(self) -> DeadlineExceeded:
        """The error for a server that does not get on."""
        waited = f"{self._loop.time() - self._begun:.1f}".removesuffix(".0")
        hint = "--connect-timeout S waits longer"
        return DeadlineExceeded(f"{self.attempt} {self.silence} (waited {waited} s)", hint=hint)

    def stop_waiting(self) -> None:
        """Fail where nothing has come of it yet."""
        if not self.outcome.done():
            self.driver.carry_out(self.stream.abort(self.too_late()))

    def stop_waiting_for_login(self) -> None:
        """The same where the login is one by SASL2, which this server has never done for us."""
        if self.stream.is_sasl2:
            self.stop_waiting()

    def _on_item(self, item: Header | Element | Footer) -> None:
        self._moved = self._loop.time()
        if ELEMENT_EVENTS.get(item.name if isinstance(item, Element) else "") in LOG_INS:
            self.costs.done("sasl", self._moved)
        self._traced(item)

    def _goes_on(self) -> bool:
        self.secured = self.may_go_on(self)
        return self.secured

    def _on_secured(self) -> None:
        self.costs.done("tls", self._loop.time())
        if self._goes_on():
            self.driver.carry_out(self.stream.handle(TlsEstablished(self.link.certificate)))

    async def _on_refusal(self) -> tuple[bytes, ...]:
        assert self._peek is not None
        self.refuses_certificate = True  # that is the end; another place must not win while we look at it
        return await self._peek()

    def _on_event(self, event: SessionEvent) -> None:
        match event:
            case ResumeFailed():
                self._resume_failed = event
            case TokenIssued(token):
                self._listeners.on_token(token)
            case TokenRefused():
                self._listeners.on_token(None)
            case HandledNoted(h):
                with self._failing():
                    self._listeners.on_handled(h)
            case ResourceBound(jid):
                with self._failing():  # what cannot be written down is not begun
                    self._listeners.on_bound(jid)
            case SessionEstablished() | SessionResumed() if not self.outcome.done():
                self.costs.done("bind", self._loop.time())
                with self._failing():
                    self._listeners.on_live(self.driver, event, self._resume_failed)
                    self.outcome.set_result(None)
                    for stanza in self._early:
                        self.driver.on_event(stanza)
            case RegistrationOpen(offered) if not self.outcome.done():
                self._listeners.on_registration(self.driver, offered)
                self.outcome.set_result(None)
            case StanzaArrived():
                self._early.append(event)
            case StreamEnded(error, redirect) if not self.outcome.done():
                if redirect is not None:
                    self.outcome.set_result(redirect)
                else:
                    self.outcome.set_exception(error or ConnectionLost("the stream ended"))

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """An error of ours in here is what the connection fails with."""
        try:
            yield
        except XmppshError as error:
            self.outcome.set_exception(error)

    async def close(self) -> None:
        """End it as a stream ends; nobody waits for its outcome any more."""
        self._forget()
        if not self._dropped():
            await self.driver.close(0)

    async def give_up(self) -> None:
        """End it at once; the race goes on without it."""
        self._forget()
        if not self._dropped():
            await self.driver.abandon()

    def _dropped(self) -> bool:
        """Measured: `</stream:stream>` after a `<resume/>` without an answer ends the very session."""
        if self.stream.state is not State.RESUMING:
            return False
        self.driver.drop("given up")
        return True

    def _forget(self) -> None:
        if not self.outcome.cancel() and not self.outcome.cancelled():
            self.outcome.exception()  # so that the loop does not complain of an error that nobody saw
