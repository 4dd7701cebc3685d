"""One connection to one place, from TCP to the list of SASL mechanisms, and what it has shown by then.

It is the stream that every command opens, except that it ends where the login would begin: it has nobody's
credentials. A place that does not come as far as TLS is tried once more in the other mode, which tells a port for
direct TLS from one for STARTTLS.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.connection.driver import Driver
from xmppsh.connection.opening import SILENCES
from xmppsh.doctor.check_tcp import MODES
from xmppsh.errors import ConnectError, DeadlineExceeded, TlsError
from xmppsh.model import Credentials
from xmppsh.net.tls import CertificateRefused, TlsPolicy
from xmppsh.protocol.events import StreamEnded, TlsEstablished
from xmppsh.protocol.negotiation import StreamConfig
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State
from xmppsh.resolve.options import SERVERS
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.doctor.case import Case
    from xmppsh.doctor.report import Group
    from xmppsh.errors import Layer, XmppshError
    from xmppsh.net.attempts import Attempt
    from xmppsh.net.link import Link
    from xmppsh.protocol.actions import Output, SessionEvent
    from xmppsh.protocol.events import FeaturesReceived, HeaderReceived

SECOND_LOOK_S = 3.0  # for what only explains a failure
IN_TLS = (State.STARTTLS, State.HANDSHAKE)


class ProbeStream(Stream):
    """A stream that never logs in.

    header: the attributes of the server's last header; features: those under TLS.
    """

    def __init__(self, config: StreamConfig) -> None:
        super().__init__(config)
        self.header: Mapping[str, str] = {}
        self.features: Tree | None = None

    def _open_header(self, state: State) -> list[Output]:
        self.header = {}
        return super()._open_header(state)

    def _on_header(self, event: HeaderReceived) -> list[Output]:
        outputs = super()._on_header(event)
        self.header = event.attributes
        return outputs

    def _on_secured_features(self, event: FeaturesReceived) -> list[Output]:
        self.features = tree(event.element)
        return self._fail(None)  # no fault: the footer and the end


class PeerProbeStream(ProbeStream):
    """The same, as a server opens it that has mail for this one (RFC 6120 §4.8.3)."""

    content = ns.SERVER


class Probe:
    """Looks at one place. handshake_only: no farther than TLS; label: what its checks are called by.

    certificate: DER, also one that was refused; error: what ended it before its goal, and group: where that belongs;
    failed: the check that was told to have failed.
    """

    def __init__(
        self,
        case: Case,
        place: Attempt,
        *,
        policy: TlsPolicy | None = None,
        handshake_only: bool = False,
        label: str = "",
    ) -> None:
        self.case, self.place, self.label = case, place, label or str(place)
        self.certificate: bytes | None = None
        self.chain: tuple[bytes, ...] = ()
        self.tls_version: str | None = None
        self.is_secured = False
        self.error: XmppshError | None = None
        self.group: Group = "tcp"
        self.failed = f"header {self.label}"
        self.tls_known = asyncio.Event()  # what there is to know of TLS
        stream = PeerProbeStream if case.side is SERVERS else ProbeStream
        self.stream = stream(StreamConfig(case.options.jid, Credentials(), tls=place.candidate.tls))
        self._policy, self._handshake_only = policy or case.options.policy, handshake_only
        self._ended: asyncio.Future[XmppshError | None] = asyncio.get_running_loop().create_future()

    @property
    def mode(self) -> str:
        """STARTTLS, direct TLS or none."""
        return MODES[self.place.candidate.tls]

    async def run(self, limit_s: float | None = None) -> None:
        """Connect and look; what goes wrong is kept, not raised."""
        deadline = self.case.deadline(limit_s)
        try:
            connected = await self.case.dial(self.place, deadline)
            if connected is None:
                # It took a connection a moment ago.
                self.error = ConnectError(f"{self.place} {self.place.outcome}")
            else:
                await self._look(await connected.link(), deadline)
                if self.error is not None and not self._handshake_only:
                    await self._try_other_mode()
        except ConnectError as error:
            self.error = error
        self.tls_known.set()

    async def _look(self, link: Link, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def on_secured() -> None:
            self.certificate, self.chain, self.tls_version = link.certificate, link.chain, link.tls_version
            self.is_secured = True
            self.tls_known.set()
            if self._handshake_only:
                driver.carry_out(self.stream.close())
            else:
                driver.carry_out(self.stream.handle(TlsEstablished(link.certificate)))

        driver = Driver(
            self.stream,
            link,
            self._policy,
            self._on_event,
            trace=self.case.trace,
            peek=self._peek,
            on_secured=on_secured,
        )
        try:
            driver.start()
            done, _ = await asyncio.wait({self._ended}, timeout=max(0.0, deadline - loop.time()))
            if done:
                self.error, where = self._ended.result(), self.stream.ended_in
            else:
                where = self.stream.state
                self.error = self._silent(loop.time() - begun)
            if self.error is not None:
                self.group = "tls" if self.error.layer == "tls" or where in IN_TLS else "stream"
            if self.group == "tls" and self._policy.pins:
                await self._peek()  # it may be one that is not pinned
        finally:
            await (driver.close(0) if driver.ended.is_set() else driver.abandon())

    def _on_event(self, event: SessionEvent) -> None:
        if isinstance(event, StreamEnded) and not self._ended.done():
            self._ended.set_result(event.error)

    async def _peek(self) -> tuple[bytes, ...]:
        """What a certificate holds that was refused: a handshake that nothing follows."""
        other = Probe(
            self.case, replace(self.place), policy=TlsPolicy(insecure=True, alpn=self._policy.alpn), handshake_only=True
        )
        await other.run(SECOND_LOOK_S)
        self.certificate, self.chain, self.tls_version = other.certificate, other.chain, other.tls_version
        return other.chain

    # ── What went wrong ─────────────────────────────────────────────────────────────────────────────────────────

    def _silent(self, waited_s: float) -> DeadlineExceeded:
        what = SILENCES.get(self.stream.state, "does not answer")
        if self.stream.state in (State.PLAIN, State.SECURED) and self.stream.has_header:
            what = "answers with a stream header and then falls silent"
        layer: Layer = "tls" if self.stream.state in IN_TLS else "stream"
        waited = f"{waited_s:.1f}".removesuffix(".0")
        return DeadlineExceeded(
            f"{self.place} {what} (waited {waited} s)", layer=layer, hint="--connect-timeout S waits longer"
        )

    async def _try_other_mode(self) -> None:
        """No TLS, and no answer in XML: is it a port for the other mode?"""
        tls = self.place.candidate.tls
        if self.is_secured or isinstance(self.error, CertificateRefused) or self.certificate is not None:
            return
        if tls == "off" or (tls == "starttls" and self.stream.has_header):
            return
        candidate = replace(self.place.candidate, tls="direct" if tls == "starttls" else "starttls")
        there = replace(self.place, candidate=candidate)
        other = Probe(self.case, there, policy=TlsPolicy(insecure=True, alpn=self._policy.alpn), handshake_only=True)
        await other.run(SECOND_LOOK_S)
        if other.is_secured:
            self.group = "tls"
            self.error = TlsError(
                f"{self.place} is a port for {other.mode}, and {self.mode} was tried",
                hint=f"--tls {candidate.tls}, or an SRV record for {self.service(candidate.tls)} that names this port",
            )

    def service(self, tls: str) -> str:
        """The name of the SRV records for what is spoken there."""
        return next(service for service, mode in self.case.side.services.items() if mode == tls)
