"""The way to a bound session: plan, dial, negotiate; the next candidate when one is dead, all inside one deadline."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectionLost, DeadlineExceeded, ProtocolError, UsageError, XmppshError
from xmppsh.model import Candidate, is_address, is_loopback, split_host_port
from xmppsh.net.dial import Attempt, dial, no_answer
from xmppsh.net.link import Link
from xmppsh.net.tls import TlsPolicy
from xmppsh.protocol.events import (
    HandledNoted,
    ResumeFailed,
    SessionEstablished,
    SessionResumed,
    StanzaArrived,
    StreamEnded,
)
from xmppsh.protocol.negotiation import StreamConfig
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State
from xmppsh.resolve.plan import dial_plan
from xmppsh.session.driver import Driver
from xmppsh.session.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Jid
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.protocol.sm import StreamManagement
    from xmppsh.session.options import SessionOptions

    OnLive = Callable[[Driver, SessionEstablished | SessionResumed, ResumeFailed | None], None]

MAX_REDIRECTS = 2
PEEK_TIMEOUT_S = 2.0

SILENCES = {
    State.PLAIN: "takes the connection but does not answer",
    State.STARTTLS: "does not answer the request for TLS",
    State.HANDSHAKE: "does not finish the TLS handshake",
    State.SECURED: "is silent after the TLS handshake",
    State.SASL: "does not answer the login",
    State.HASHING: "wants a password hash that takes too long",
    State.AUTHENTICATED: "is silent after the login",
    State.BINDING: "does not answer the resource binding",
    State.BOUND: "does not answer the request for stream management",
}


class Connector:
    """Opens one stream for an account.

    log(level, text) is told each step; on_handled(h) before an h is written; trace sees the XML.
    """

    def __init__(
        self,
        options: SessionOptions,
        log: Callable[[int, str], None],
        on_handled: Callable[[int], None],
        trace: Trace | None = None,
    ) -> None:
        self.options, self._log, self._on_handled, self._trace = options, log, on_handled, trace
        self._deadline = 0.0
        self.candidate: Candidate | None = None

    async def connect(
        self, on_live: OnLive, jid: Jid, resume: StreamManagement | None = None, limit_s: float | None = None
    ) -> None:
        """Bring a stream to life and hand its driver to `on_live`; raises what made it impossible.

        jid: the address to bind; resume: the session to resume first; limit_s: at most the connect timeout.
        """
        timeout_s = min(self.options.connect_timeout_s, limit_s or self.options.connect_timeout_s)
        self._deadline = asyncio.get_running_loop().time() + timeout_s
        self._on_live, self._jid, self._resume = on_live, jid, resume
        hosts = self.options.hosts
        for _ in range(MAX_REDIRECTS + 1):
            outcome = await self._try_plan(hosts)
            if outcome is None:
                return
            self._log(1, f"redirected to {outcome}")
            try:
                hosts = (split_host_port(outcome),)
            except ValueError as error:
                raise ProtocolError(
                    f"the server redirects to what is no address: {error}", condition="see-other-host"
                ) from error
        raise ProtocolError(f"the server redirects more than {MAX_REDIRECTS} times", condition="see-other-host")

    def _left_s(self) -> float:
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    async def _plan(self, hosts: tuple[tuple[str, int | None], ...]) -> list[Candidate]:
        options = self.options
        plan = await dial_plan(options.jid, hosts, options.tls, self._left_s())
        resumption = None if self._resume is None else self._resume.resumption
        if resumption is not None and resumption.location is not None:
            # XEP-0198 §3: the server wants to be resumed there; the name that TLS checks stays the domain.
            with suppress(ValueError):
                first = await dial_plan(options.jid, (split_host_port(resumption.location),), options.tls, 1.0)
                return first + plan
        return plan

    async def _try_plan(self, hosts: tuple[tuple[str, int | None], ...]) -> str | None:
        options = self.options
        plan = await self._plan(hosts)
        attempts: list[Attempt] = []
        farthest: XmppshError | None = None
        for position, candidate in enumerate(plan):
            _refuse_clear_text(candidate)
            share_s = self._left_s() / (len(plan) - position)
            self._log(1, f"dialling {candidate} ({candidate.source}, TLS {candidate.tls})")
            link = await dial(candidate, share_s, options.family)
            if not isinstance(link, Link):
                for attempt in link:
                    self._log(1, f"{attempt.address} {attempt.outcome}")
                attempts += link
                continue
            try:
                return await self._negotiate(link, candidate, self._left_s() / (len(plan) - position))
            except (ConnectionLost, DeadlineExceeded) as error:
                # It took the connection and then died or fell silent: the next one may be alive.
                self._log(1, f"{candidate} {error}")
                farthest = error
        if farthest is not None:
            raise farthest
        raise no_answer(options.jid.domainpart, attempts, _dial_hint(options))

    async def _negotiate(self, link: Link, candidate: Candidate, timeout_s: float) -> str | None:
        """Nothing when the stream is live, or where the server redirects to."""
        options = self.options
        outcome: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        failed: ResumeFailed | None = None
        early: list[SessionEvent] = []  # stanzas between the bind and <enabled/>

        def on_first_event(event: SessionEvent) -> None:
            nonlocal failed
            match event:
                case ResumeFailed():
                    failed = event
                case HandledNoted(h):
                    self._on_handled(h)
                case SessionEstablished() | SessionResumed():
                    self.candidate = candidate
                    self._on_live(driver, event, failed)
                    outcome.set_result(None)
                    for stanza in early:
                        driver.on_event(stanza)
                case StanzaArrived():
                    early.append(event)
                case StreamEnded(error, redirect) if not outcome.done():
                    if redirect is not None:
                        outcome.set_result(redirect)
                    else:
                        outcome.set_exception(error or ConnectionLost("the stream ended"))

        config = StreamConfig(
            self._jid,
            options.credentials,
            tls=candidate.tls,
            limits=options.limits,
            resumable_s=options.resumable_s,
            resume=self._resume,
            bind_id=new_id(),
        )
        stream = Stream(config)
        driver = Driver(
            stream, link, options.policy, on_first_event, trace=self._trace, peek=lambda: self._peek(candidate)
        )
        driver.start()
        try:
            async with asyncio.timeout(timeout_s):
                redirect = await outcome
        except TimeoutError:
            silence = SILENCES.get(stream.state, "does not answer")
            if stream.state is State.PLAIN and stream.has_header:
                silence = "answers with a stream header and then falls silent"
            outcome.cancel()
            await driver.abandon()
            raise DeadlineExceeded(
                f"{candidate} {silence} (waited {timeout_s:.3g} s)", hint="--connect-timeout S waits longer"
            ) from None
        except BaseException:  # a signal too: a stream that was opened is closed
            outcome.cancel()
            await driver.close(0)
            raise
        if redirect is not None:
            await driver.close(0)
            return redirect
        resumed = stream.sm is not None and stream.sm is self._resume
        what = f"resumed {self._jid}" if resumed else f"session {stream.jid}"
        self._log(1, f"{what} by {stream.mechanism}, {link.tls_version or 'no TLS'}")
        return None

    async def _peek(self, candidate: Candidate) -> bytes | None:
        """The certificate of a server whose handshake failed, for the error's sentence; nothing else is sent."""
        link = await dial(candidate, PEEK_TIMEOUT_S, self.options.family)
        if not isinstance(link, Link):
            return None
        stream = Stream(StreamConfig(self.options.jid, self.options.credentials, tls=candidate.tls))
        seen: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

        def settle(_event: object = None) -> None:
            if not seen.done():
                seen.set_result(link.certificate)

        driver = Driver(stream, link, TlsPolicy(insecure=True), settle, on_secured=settle)
        driver.start()
        try:
            async with asyncio.timeout(PEEK_TIMEOUT_S):
                return await seen
        except TimeoutError:
            return None
        finally:
            await driver.abandon()


def _refuse_clear_text(candidate: Candidate) -> None:
    if candidate.tls == "off" and not is_loopback(candidate.host):
        raise UsageError(
            f"--tls off is refused for {candidate}: a password would cross the network in the clear",
            hint="--tls off is for loopback addresses alone",
        )


def _dial_hint(options: SessionOptions) -> str:
    if options.hosts:
        return "check --host, and that the server listens there"
    if is_address(options.jid.domainpart):
        return "--host HOST:PORT dials another place; the domain of the JID stays as it is"
    return "--host HOST:PORT dials a place of your choice instead"
