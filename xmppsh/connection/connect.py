"""The way to a bound session: plan, dial, negotiate; the next candidate when one is dead, all inside one deadline."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.connection.costs import Costs
from xmppsh.connection.driver import Driver
from xmppsh.connection.opening import Listeners, Opening
from xmppsh.connection.race import Race
from xmppsh.errors import (
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    StreamError,
    TlsError,
    XmppshError,
)
from xmppsh.model import is_address, split_host_port
from xmppsh.net.attempts import Attempt, no_answer
from xmppsh.net.dial import STAGGER_S, Dialler
from xmppsh.net.tls import TlsPolicy
from xmppsh.protocol.ahead import Rung
from xmppsh.protocol.negotiation import StreamConfig
from xmppsh.protocol.stream import Stream, first_words
from xmppsh.protocol.table import State
from xmppsh.resolve.addresses import name_look_up
from xmppsh.resolve.plan import dial_plan
from xmppsh.resolve.services import forget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xmppsh.connection.known import KnownServers
    from xmppsh.connection.options import SessionOptions
    from xmppsh.connection.tokens import KeptTokens
    from xmppsh.model import Candidate, Jid
    from xmppsh.net.dial import Connected
    from xmppsh.net.link import Link
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.ahead import Known
    from xmppsh.protocol.events import ResumeFailed, SessionEstablished, SessionResumed
    from xmppsh.protocol.fast import Client, Token
    from xmppsh.protocol.sm import StreamManagement
    from xmppsh.resolve.options import LookupOptions
    from xmppsh.resolve.plan import Plan
    from xmppsh.texts import Log

    OnLive = Callable[[Driver, SessionEstablished | SessionResumed, ResumeFailed | None], None]

MAX_REDIRECTS = 2
PEEK_TIMEOUT_S = 2.0
SASL2_LOGIN = (State.SASL2, State.SASL2_HASHING, State.AUTHENTICATED)  # a login by SASL2 is not over
MAX_PATIENCE_S = 2.0
PATIENCE_ROUND_TRIPS = 2  # a server far away takes longer than the stagger for its first answer


class Connector:
    """Opens one stream for an account. log(level, text) is told each step; on_handled(h) before an h is written;
    on_bound(jid) before a session begins that may outlive its socket; trace sees the XML.
    """

    def __init__(
        self,
        options: SessionOptions,
        log: Log,
        on_handled: Callable[[int], None],
        on_bound: Callable[[Jid], None],
        trace: Trace | None = None,
    ) -> None:
        self.options, self._log, self._trace = options, log, trace
        self._on_handled, self._on_bound = on_handled, on_bound
        self.on_registration: Callable[[Driver, bool], None] | None = None  # given: nobody logs in (XEP-0077)
        self._deadline = 0.0
        self.costs = Costs(0.0)
        self._remembers = True  # SRV records of an earlier run
        self._redirect = ""  # where the server says that we are to go
        self._not_there: str | None = None  # where it wanted to be resumed, and did not prove to be the domain
        self._account: Jid | None = None  # what the server made of us: it may not become another one
        self._known: Known | None = None  # what may be written ahead
        self._ahead: Stream | None = None  # the last one that did so
        self._tried: list[Stream] = []
        self._uses_sasl2 = True  # SASL2 may be used
        self._client: Client | None = None  # who asks for tokens, with what is kept

    async def connect(
        self, on_live: OnLive, jid: Jid, resume: StreamManagement | None = None, limit_s: float | None = None
    ) -> None:
        """Bring a stream to life and hand its driver to `on_live`; raises what made it impossible.

        jid: the address to bind; resume: the session to resume first; limit_s: at most the connect timeout.
        """
        timeout_s = min(self.options.connect_timeout_s, limit_s or self.options.connect_timeout_s)
        now = asyncio.get_running_loop().time()
        self._deadline, self.costs = now + timeout_s, Costs(now)
        self._on_live, self._resume = on_live, resume
        # We log in as who we are; the server may have made another address of it (RFC 6120 §7).
        self._jid = self.options.jid if jid.resourcepart is None else self.options.jid.with_resource(jid.resourcepart)
        if resume is not None:
            self._account = jid.bare
        hosts, self._redirect = self.options.hosts, ""
        self._known = self._last_known()
        self._uses_sasl2 = self._known is None or self._known.rung is not Rung.NOTHING
        for _ in range(MAX_REDIRECTS + 1):
            try:
                outcome = await self._try_cautiously(hosts)
            except XmppshError as error:
                if isinstance(error, TlsError):
                    self._not_there = self._location  # the next try goes the usual way
                self._tell_redirect(error)
                raise
            if outcome is None:
                return
            self._log(1, f"redirected to {outcome}")
            try:
                hosts, self._redirect = (split_host_port(outcome),), outcome
            except ValueError as error:
                raise ProtocolError(
                    f"the server redirects to what is not an address: {error}", condition="see-other-host"
                ) from error
        raise ProtocolError(f"the server redirects more than {MAX_REDIRECTS} times", condition="see-other-host")

    def _tell_redirect(self, error: XmppshError) -> None:
        """Nobody asked for that place: the sentence says who did."""
        if self._redirect:
            domain = self.options.jid.domainpart
            what = str(error).removeprefix(f"{domain}: ").removeprefix(f"{self._redirect}: ")
            error.args = (f"{domain} redirects to {self._redirect}: {what}",)

    def _left_s(self) -> float:
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    @property
    def _location(self) -> str | None:
        resumption = None if self._resume is None else self._resume.resumption
        return None if resumption is None else resumption.location

    async def _plan(self, hosts: tuple[tuple[str, int | None], ...]) -> Plan:
        options, lookup = self.options, self._lookup
        location, first = self._location, None
        if location is not None and location != self._not_there:
            # XEP-0198 §3: the server wants to be resumed there; the name that TLS checks stays the domain.
            with suppress(ValueError, ConnectError):
                there, by = split_host_port(location), "where the server wants to be resumed"
                first = await dial_plan(options.jid, (there,), options.tls, 1.0, lookup, self._log, redirect=by)
        redirect = "the server's redirect" if self._redirect else None
        plan = await dial_plan(options.jid, hosts, options.tls, self._left_s(), lookup, self._log, redirect=redirect)
        return plan if first is None else replace(plan, steps=first.steps + plan.steps)

    @property
    def _lookup(self) -> LookupOptions:
        options = self.options
        cache = options.lookup.cache if self._remembers else None
        return replace(options.lookup, family=options.family, proxied=options.proxy is not None, cache=cache)

    def _dialler(self, plan: Iterable[Candidate], deadline: float) -> Dialler:
        options = self.options
        look_up = name_look_up(self._lookup, max(0.0, deadline - asyncio.get_running_loop().time()), self._log)
        return Dialler(plan, deadline, look_up, options.family, options.proxy, self._log, options.head_start)

    async def _try_plan(self, hosts: tuple[tuple[str, int | None], ...]) -> str | None:
        """Nothing when a stream is live, or where the server redirects to."""
        options, domain = self.options, self.options.jid.domainpart
        plan = await self._plan(hosts)
        self.costs.done("dns", asyncio.get_running_loop().time())
        if options.head_start is not None:
            options.head_start.wanted = first_words(self._jid, self._known)
        dialler = self._dialler(plan.candidates, self._deadline)
        dialler.attempts += [Attempt(candidate, outcome=str(trouble)) for candidate, trouble in plan.misses]
        try:
            opening = await Race(dialler, self._begin, self._deadline, domain, self._log).run()
        except XmppshError:
            self._forget(plan)
            raise
        if opening is None:
            if self._forget(plan):
                return await self._try_plan(hosts)
            hint = _dial_hint(options, redirected=bool(self._redirect))
            raise no_answer(domain, dialler.attempts, hint, options.proxy)
        redirect = opening.outcome.result()
        if redirect is not None:
            await opening.close()
            return redirect
        stream, self.costs = opening.stream, opening.costs
        if options.head_start is not None:
            options.head_start.remember(opening.attempt)
        if self.on_registration is not None:
            return None
        if options.hashing is not None:
            options.hashing.remember()
        resumed = stream.sm is not None and stream.sm is self._resume
        if not resumed and not options.credentials.anonymous:
            self._account = stream.jid.bare
        what = f"resumed {self._jid}" if resumed else f"session {stream.jid}"
        self._log(1, f"{what} by {stream.way}, {opening.link.tls_version or 'no TLS'}")
        return None

    # ── What the server offered the last time (protocol/ahead.py) ───────────────────────────────────────────────

    @property
    def _servers(self) -> KnownServers | None:
        if self.options.known is None:
            return None
        from xmppsh.connection.known import KnownServers

        return KnownServers(self.options.known, self._log)

    def _last_known(self) -> Known | None:
        return None if (servers := self._servers) is None else servers.get(str(self.options.jid.bare))

    async def _try_cautiously(self, hosts: tuple[tuple[str, int | None], ...]) -> str | None:
        """Try the plan; once more, step by step and by the older login, where a server has taken offence at what it
        was not asked for first, or at SASL2. Not where it has refused us or has not proved itself."""
        known, self._ahead, self._tried = self._known, None, []
        try:
            return await self._try_plan(hosts)
        except (ProtocolError, StreamError, ConnectionLost, DeadlineExceeded) as error:
            is_sasl2 = any(stream.is_sasl2 and stream.ended_in in SASL2_LOGIN for stream in self._tried)
            if isinstance(error, TlsError) or error.layer == "sasl" or not (self._ahead or is_sasl2):
                raise
            if not self._left_s():  # another try would only say that it came too late
                raise
            self._log(1, f"{error}; trying again, step by step")
        ahead, self._uses_sasl2 = self._ahead, False
        self._known = None if known is None else replace(known, rung=Rung.NOTHING)
        outcome = await self._try_plan(hosts)
        if ahead is not None:
            self.mistrust(ahead)  # that was it
        elif (servers := self._servers) is not None and (now := self._last_known()) is not None:
            servers.put(str(self.options.jid.bare), replace(now, rung=Rung.NOTHING))
        return outcome

    # ── Tokens (XEP-0484) ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def _tokens(self) -> KeptTokens | None:
        password = self.options.credentials.password
        if self.options.tokens is None or password is None:
            return None
        from xmppsh.connection.tokens import KeptTokens

        return KeptTokens(self.options.tokens, str(self.options.jid.bare), password, self._log)

    def _on_token(self, token: Token | None) -> None:
        client, tokens = self._client, self._tokens
        if client is not None and tokens is not None:
            tokens.note(client, token)

    def learn(self, stream: Stream) -> None:
        """The stream is live: remember what its server offered."""
        if (servers := self._servers) is not None:
            servers.learn(str(self.options.jid.bare), self._known, stream)

    def mistrust(self, stream: Stream) -> None:
        """This stream went ahead of the server's answers, and ended: the next one waits for them."""
        if (servers := self._servers) is not None:
            servers.mistrust(str(self.options.jid.bare), stream)

    def _forget(self, plan: Plan) -> bool:
        """Where a remembered plan leads nowhere, the DNS may know better by now."""
        if plan.remembered:
            self._log(1, f"the remembered SRV records of {plan.domain} lead nowhere")
            forget(plan.tls_name, self._lookup, self._log)
            self._remembers = False  # even where the file cannot be written
        return plan.remembered

    def _begin(self, connected: Connected, link: Link) -> Opening:
        options, attempt = self.options, connected.attempt
        self._client = None if (tokens := self._tokens) is None else tokens.client()
        config = options.stream_config(
            self._jid,
            attempt.candidate.tls,
            known=self._known,
            client=self._client,
            sasl2=self._uses_sasl2,
            resume=self._resume,
            account=self._account,
            registers=self.on_registration is not None,
        )
        on_registration = self.on_registration or (lambda *_: None)
        opening = Opening(
            attempt,
            link,
            config,
            options.policy,
            Listeners(self._on_live, self._on_handled, self._on_bound, self._on_token, on_registration),
            costs=self.costs.beside(),
            patience_s=min(max(STAGGER_S, PATIENCE_ROUND_TRIPS * connected.took_s), MAX_PATIENCE_S),
            trace=self._trace,
            peek=lambda: self._peek(attempt),
        )
        self._tried.append(opening.stream)
        if self._uses_sasl2 and (self._known is None or self._known.tokens is None):
            asyncio.get_running_loop().call_later(self._left_s() / 2, opening.stop_waiting_for_login)
        if self._known is not None and self._known.rung is not Rung.NOTHING:
            self._ahead = opening.stream
            if self._known.rung is Rung.BIND:  # never tried with this server, which may fall silent
                asyncio.get_running_loop().call_later(self._left_s() / 2, opening.stop_waiting)
        return opening

    async def _peek(self, attempt: Attempt) -> tuple[bytes, ...]:
        """The certificates of a server whose handshake failed, for the error's sentence; nothing else is sent."""
        there = replace(attempt.candidate, addresses=(attempt.address,) if attempt.address else ())
        deadline = asyncio.get_running_loop().time() + PEEK_TIMEOUT_S
        with suppress(XmppshError, TimeoutError):
            async with asyncio.timeout_at(deadline):
                connected = await self._dialler([there], deadline).next()
                return () if connected is None else await self._look(connected)
        return ()

    async def _look(self, connected: Connected) -> tuple[bytes, ...]:
        link = await connected.link()
        stream = Stream(StreamConfig(self.options.jid, self.options.credentials, tls=connected.attempt.candidate.tls))
        seen: asyncio.Future[tuple[bytes, ...]] = asyncio.get_running_loop().create_future()

        def settle(_event: object = None) -> None:
            if not seen.done():
                seen.set_result(link.chain)

        driver = Driver(stream, link, TlsPolicy(insecure=True), settle, on_secured=settle)
        driver.start()
        try:
            return await seen
        finally:
            await driver.abandon()


def _dial_hint(options: SessionOptions, *, redirected: bool) -> str:
    if options.proxy is not None:
        return "check that --proxy may go there; --host HOST:PORT connects elsewhere"
    if redirected:
        return "tell the server's operator; --host HOST[:PORT] connects to a server of your choice"
    if options.hosts:
        return "check --host, and that the server listens there"
    if is_address(options.jid.domainpart):
        return "--host HOST:PORT connects elsewhere; the domain of the JID stays the same"
    return f"xmppsh doctor {options.jid.bare}"
