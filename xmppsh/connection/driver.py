"""Carries out on a link what a stream wants, and feeds the stream what happens on the link."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectionLost, XmppshError
from xmppsh.net import tls
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Disconnect, HashPassword, SessionEvent, StartTls, Write
from xmppsh.tasks import apart, ended, first

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from xmppsh.net.link import Link
    from xmppsh.net.tls import TlsPolicy
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import Output
    from xmppsh.protocol.stream import Stream

CLOSE_WAIT_S = 2.0  # for the server's </stream:stream>, of a session that could be resumed
# For that of a server that writes meanwhile: it is behind, and reads our footer when it is through with what it had for
# us. (`docker stop` gives 10 s.)
CLOSE_BEHIND_S = 8.0
CLOSE_NOTIFY_S = 1.0  # for the peer's
HANDSHAKE_TIMEOUT_S = 60.0  # the owner's deadline is shorter; this one only satisfies asyncio


class Driver:
    """One stream on one link, from the first header to the end.

    on_event is told what concerns the session; peek gives the chain that a failed handshake refused;
    on_secured, when given, is called instead of going on after the handshake.
    """

    def __init__(
        self,
        stream: Stream,
        link: Link,
        policy: TlsPolicy,
        on_event: Callable[[SessionEvent], None],
        *,
        trace: Trace | None = None,
        peek: Callable[[], Awaitable[tuple[bytes, ...]]] | None = None,
        on_secured: Callable[[], None] | None = None,
    ) -> None:
        self.stream, self.link = stream, link
        self.on_event = on_event
        self.ended = asyncio.Event()
        self._policy, self._trace, self._peek, self._on_secured = policy, trace, peek, on_secured
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_handshake = False
        self._context: ssl.SSLContext | None = None
        self._disconnected = False
        self.flights = 0  # how often something came after something had been written
        self._has_written = False
        self._reads = 0  # of the link, so far
        link.on_data, link.on_lost = self._on_data, self._on_lost
        if trace is not None:
            stream.on_item, stream.by_the_run = trace.received, False

    @property
    def is_traced(self) -> bool:
        """Is each piece that is written shown to somebody?"""
        return self._trace is not None

    def start(self) -> None:
        """Write the stream header, or begin the TLS handshake first."""
        self.carry_out(self.stream.open())
        if self.stream.config.tls == "starttls":
            asyncio.get_running_loop().call_soon(self._prepare)  # after the write of this turn

    def _prepare(self) -> None:
        """While the first answer is on its way: what reads it is loaded, and the handshake after it prepared."""
        import xml.etree.ElementTree  # noqa: F401

        with suppress(XmppshError, OSError, ssl.SSLError):  # the handshake tells of it
            self._context = self._made_context()

    def _made_context(self) -> ssl.SSLContext:
        return tls.client_context(self._policy, direct=self.stream.config.tls == "direct")

    def carry_out(self, outputs: Iterable[Output]) -> None:
        """Do what the stream wants, in order."""
        for output in outputs:
            match output:
                case Write() if self._disconnected:
                    pass  # what an event before it made senseless: the session was given up meanwhile
                case Write():
                    if self._trace is not None:
                        self._trace.sent(output.data, secret=output.secret)
                    self.link.write(output.data)
                    self._has_written = True
                case StartTls():
                    self.link.hold_reading("handshake", True)  # nothing more is read as clear text
                    self._spawn(self._start_tls())
                case HashPassword(work):
                    self._spawn(self._hash(work))
                case Disconnect():
                    self._disconnected = True
                    self.link.start_close()
                case _:
                    if isinstance(output, ev.StreamEnded):
                        self.ended.set()
                    self.on_event(output)

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_data(self, data: bytes) -> None:
        self._reads += 1
        self.flights += self._has_written
        self._has_written = False
        self.carry_out(self.stream.receive(data))

    def _on_lost(self, reason: str | None) -> None:
        if not self._in_handshake:  # there, the handshake's own error says more
            self.carry_out(self.stream.handle(ev.LinkLost(reason)))

    async def _start_tls(self) -> None:
        domain = self.stream.config.jid.dial_name
        self._in_handshake = True
        try:
            context = self._context or self._made_context()
            await self.link.start_tls(context, domain, HANDSHAKE_TIMEOUT_S)
            tls.check_pin(self._policy, self.link.certificate, domain)
        except XmppshError as error:
            self.carry_out(self.stream.abort(error))
        except (OSError, ssl.SSLError, UnicodeError) as error:
            chain: tuple[bytes, ...] = ()
            if isinstance(error, ssl.SSLCertVerificationError) and self._peek is not None:
                chain = await self._peek()
            self.carry_out(self.stream.abort(tls.explain(error, domain, *chain)))
        else:
            self._in_handshake = False
            if self._on_secured is not None:
                return self._on_secured()
            self.carry_out(self.stream.handle(ev.TlsEstablished(self.link.certificate)))

    async def _hash(self, work: Callable[[], bytes]) -> None:
        response = await apart(work)  # ten million rounds take seconds
        if not self.stream.is_closed:
            self.carry_out(self.stream.handle(ev.PasswordHashed(response)))

    async def close(self, wait_s: float, hurry: asyncio.Event | None = None) -> None:
        """End the stream cleanly: our footer, the peer's, close_notify, TCP.

        wait_s: for the peer's footer; if something else comes meanwhile, CLOSE_BEHIND_S. hurry: once it is set, nothing
        is waited for.
        """
        self.carry_out(self.stream.close())
        self.link.flush()
        hurry = hurry or asyncio.Event()
        if wait_s > 0:
            await self._ended(wait_s, hurry)
        if not self.ended.is_set():
            self.link.start_close()
            self.carry_out(self.stream.handle(ev.LinkLost()))
        await self.link.closed(0.0 if hurry.is_set() else min(wait_s, CLOSE_NOTIFY_S))
        await ended(*self._tasks)

    async def _ended(self, wait_s: float, hurry: asyncio.Event) -> None:
        reads = self._reads
        for at_most_s in (wait_s, CLOSE_BEHIND_S - wait_s):
            if not (self.ended.is_set() or hurry.is_set()):
                await first(self.ended.wait(), hurry.wait(), timeout_s=at_most_s)
            if self._reads == reads:
                return

    def drop(self, reason: str) -> None:
        """Cut the link without ending the stream, as if the network had done it: the session may be resumed."""
        self.link.on_lost = lambda _: None
        self.link.abort()
        self.carry_out(self.stream.handle(ev.LinkLost(reason)))

    async def abandon(self, error: XmppshError | None = None) -> None:
        """Give the stream up: a deadline passed."""
        self.carry_out(self.stream.abort(error or ConnectionLost("given up")))
        self.link.abort()
        await ended(*self._tasks)
