"""One client stream as a pure state machine (RFC 6120): bytes and events in, actions and events out.

    connected → plain → starttls → handshake → secured → sasl ⇄ hashing → authenticated → binding → bound → live
    and from everywhere → closing → closed

No socket, no loop, no clock. `TABLE` says which event is allowed in which state; a missing entry is a protocol
violation and ends the stream. That table is the security policy: there is no SASL before TLS, no success before the
server's proof, no bind before success, no stanza before the bind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xmppsh.errors import (
    ConnectionLost,
    ProtocolError,
    ProtocolViolation,
    SaslError,
    StreamError,
    XmppshError,
)
from xmppsh.model import Credentials, Element, Jid
from xmppsh.protocol import events as ev
from xmppsh.protocol import ns, sasl
from xmppsh.protocol.actions import Disconnect, HashPassword, Output, StartTls, Write
from xmppsh.protocol.conditions import condition_of, stanza_error
from xmppsh.protocol.sm import MODULUS, StreamManagement
from xmppsh.protocol.table import ELEMENT_EVENTS, TABLE, State
from xmppsh.xmlio.build import Xml, element, start_tag
from xmppsh.xmlio.reader import Footer, Header, Limits, StreamReader, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal
    from xml.etree.ElementTree import Element as Tree


FOOTER = b"</stream:stream>"
BIND_ID = "bind"


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """What one stream needs to know: whose it is, how TLS comes, what we may send and take."""

    jid: Jid
    credentials: Credentials = field(repr=False)
    tls: Literal["direct", "starttls", "off"] = "starttls"
    acks: bool = True  # XEP-0198, where the server has it
    language: str = "en"
    limits: Limits = field(default_factory=Limits)


class Stream:
    """The client's side of one stream. Every method returns what is to be done, in order."""

    def __init__(self, config: StreamConfig) -> None:
        self.config = config
        self.state = State.CONNECTED
        self.sm: StreamManagement | None = None
        self.mechanism = ""
        self.jid = config.jid
        self.max_stanza_bytes = config.limits.stanza_bytes  # outbound; the server's XEP-0478 limit when smaller
        self._reader = StreamReader(config.limits)
        self._exchange: sasl.Exchange | None = None
        self._certificate: bytes | None = None
        self._acks_offered = False
        self._pending_header = True
        self.on_item: Callable[[Header | Element | Footer], None] = lambda _: None  # for a trace

    # ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> list[Output]:
        """The link is up: write the first header; with direct TLS (XEP-0368) the handshake comes first."""
        assert self.state is State.CONNECTED
        if self.config.tls == "direct":
            self.state = State.HANDSHAKE
            return [StartTls()]
        # `--tls off` (loopback alone) skips the TLS gate, and only that one.
        return self._open_header(State.SECURED if self.config.tls == "off" else State.PLAIN)

    def receive(self, data: bytes) -> Iterator[Output]:
        """Bytes came from the link. Each output must be carried out before the next is asked for.

        (A stanza that is taken at once must count in the `<a/>` that answers an `<r/>` of the same read.)
        """
        if self.is_closed:
            return
        if self._awaits_tls:
            yield from self._fail(ProtocolViolation("the server sent clear text where TLS was to start", layer="tls"))
            return
        reader = self._reader
        items, error = reader.feed_until_error(data)
        for index, item in enumerate(items):
            self.on_item(item)
            outputs = self.handle(_event(item))
            if self._awaits_tls and (reader.has_rest or error is not None or index + 1 < len(items)):
                # RFC 6120 §5.4.3.3: what follows <proceed/> in the clear comes from somebody else.
                outputs = self._fail(ProtocolViolation("the server sent clear text behind <proceed/>", layer="tls"))
            yield from outputs
            if self.is_closed:
                return
        if error is not None:
            yield from self._fail(ProtocolError(f"the server sent bad XML: {error}"), error.condition)

    @property
    def is_closed(self) -> bool:
        """Is the stream over?"""
        return self.state is State.CLOSED

    @property
    def _awaits_tls(self) -> bool:
        return self.state is State.HANDSHAKE

    def handle(self, event: object) -> list[Output]:
        """Look the event up in the table and let its handler decide."""
        handler = TABLE.get((self.state, type(event)))
        if handler is None:
            return [] if self.state is State.CLOSED else self._fail(self._violation(event))
        try:
            outputs: list[Output] = getattr(self, handler)(event)
        except XmppshError as error:
            return self._fail(error, error.condition if isinstance(error, ProtocolError) else None)
        return outputs

    def send(self, stanza: Xml) -> list[Output]:
        """Write one stanza and count it."""
        assert self.state is State.LIVE
        if self.sm is not None:
            self.sm.on_sent()
        return [Write(stanza.encode())]

    def request_ack(self) -> list[Output]:
        """Ask the server how many stanzas it has handled (XEP-0198 §4)."""
        if self.state is not State.LIVE or self.sm is None:
            return []
        return [Write(element("r", {"xmlns": ns.SM}).encode())]

    def taken(self, number: int) -> list[Output]:
        """The program is done with an inbound stanza: it may be acknowledged."""
        if self.sm is None:
            return []
        owed = self.sm.on_taken(number)
        return self._ack() if owed and self.state is State.LIVE else []

    def close(self) -> list[Output]:
        """End the stream: the last `<a/>` (XEP-0198 §4), then `</stream:stream>` (RFC 6120 §4.4)."""
        if self.state in (State.CLOSING, State.CLOSED):
            return []
        if self.state in (State.CONNECTED, State.HANDSHAKE):
            return self._end(None)
        last = self._ack() if self.state is State.LIVE and self.sm is not None and self.sm.owes_ack else []
        self.state = State.CLOSING
        return [*last, Write(FOOTER)]

    def abort(self, error: XmppshError | None, condition: str | None = None) -> list[Output]:
        """Give up at once: a deadline passed, or the user will not wait."""
        return [] if self.state is State.CLOSED else self._fail(error, condition)

    # ── Opening and TLS (RFC 6120 §4, §5) ───────────────────────────────────────────────────────────────────────

    def _open_header(self, state: State) -> list[Output]:
        self.state = state
        self._reader = StreamReader(self.config.limits)
        self._pending_header = True
        header = start_tag(
            "stream:stream",
            {
                # RFC 6120 §4.7.1: our own address is nobody's business before TLS.
                "from": None if state is State.PLAIN or self.jid.localpart is None else str(self.jid.bare),
                "to": self.config.jid.domainpart,
                "version": "1.0",
                "xml:lang": self.config.language,
                "xmlns": ns.CLIENT,
                "xmlns:stream": ns.STREAM,
            },
        )
        return [Write(b"<?xml version='1.0'?>" + header.encode())]

    def _on_header(self, event: ev.HeaderReceived) -> list[Output]:
        if event.name != f"{{{ns.STREAM}}}stream":
            raise ProtocolError(
                f"the server does not speak XMPP: its answer begins with <{event.name.rpartition('}')[2]}>",
                condition="invalid-namespace",
                hint="is the port right? --host HOST:PORT",
            )
        self._pending_header = False
        return []

    def _on_plain_features(self, event: ev.FeaturesReceived) -> list[Output]:
        if _child(tree(event.element), ns.TLS, "starttls") is None:
            raise ProtocolError(
                f"{self.config.jid.domainpart} offers no STARTTLS, and without TLS nothing is sent",
                layer="tls",
                hint="--tls direct when this is a direct TLS port; otherwise somebody may have removed it on the way",
            )
        self.state = State.STARTTLS
        return [Write(element("starttls", {"xmlns": ns.TLS}).encode())]

    def _on_proceed(self, _event: ev.ProceedReceived) -> list[Output]:
        self.state = State.HANDSHAKE
        return [StartTls()]

    def _on_tls_failure(self, _event: ev.TlsFailureReceived) -> list[Output]:
        raise ProtocolError(
            "the server refuses STARTTLS", layer="tls", hint="try again later, or --tls direct with the port for it"
        )

    def _on_tls(self, event: ev.TlsEstablished) -> list[Output]:
        self._certificate = event.certificate
        return self._open_header(State.SECURED)

    # ── SASL (RFC 6120 §6) ──────────────────────────────────────────────────────────────────────────────────────

    def _on_secured_features(self, event: ev.FeaturesReceived) -> list[Output]:
        features = tree(event.element)
        self._read_limits(features)
        mechanisms = _child(features, ns.SASL, "mechanisms")
        if mechanisms is None:
            raise ProtocolError("the server offers no login (no SASL mechanisms)", layer="sasl")
        bindings = _child(features, ns.SASL_CHANNEL_BINDING, "sasl-channel-binding")
        self._exchange = sasl.choose(
            self.config.jid,
            self.config.credentials,
            frozenset((mechanism.text or "").strip() for mechanism in mechanisms),
            secure=self.config.tls != "off",
            binding_types=frozenset(binding.get("type", "") for binding in (() if bindings is None else bindings)),
            certificate=self._certificate,
        )
        self.mechanism = self._exchange.name
        self.state = State.SASL
        initial = sasl.encode(self._exchange.initial())
        auth = element("auth", {"xmlns": ns.SASL, "mechanism": self.mechanism}, initial)
        return [Write(auth.encode(), secret=True)]

    def _on_challenge(self, event: ev.ChallengeReceived) -> list[Output]:
        assert self._exchange is not None
        answer = self._exchange.challenged(sasl.decode(tree(event.element).text) or b"")
        if isinstance(answer, bytes):
            return self._respond(answer)
        self.state = State.HASHING
        return [HashPassword(answer)]

    def _on_hashed(self, event: ev.PasswordHashed) -> list[Output]:
        self.state = State.SASL
        return self._respond(event.response)

    def _respond(self, response: bytes) -> list[Output]:
        content = sasl.encode(response) if response else None
        return [Write(element("response", {"xmlns": ns.SASL}, content).encode(), secret=True)]

    def _on_success(self, event: ev.SuccessReceived) -> list[Output]:
        assert self._exchange is not None
        self._exchange.succeeded(sasl.decode(tree(event.element).text))
        return self._open_header(State.AUTHENTICATED)

    def _on_sasl_failure(self, event: ev.SaslFailureReceived) -> list[Output]:
        condition, text = condition_of(tree(event.element), ns.SASL)
        raise SaslError.refused(str(self.config.jid.bare), condition, text)

    # ── Bind and stream management (RFC 6120 §7, XEP-0198 §3) ───────────────────────────────────────────────────

    def _on_authenticated_features(self, event: ev.FeaturesReceived) -> list[Output]:
        features = tree(event.element)
        self._read_limits(features)
        self._acks_offered = _child(features, ns.SM, "sm") is not None
        if _child(features, ns.BIND, "bind") is None:
            raise ProtocolError("the server offers no resource binding", layer="bind")
        self.state = State.BINDING
        resource = self.config.jid.resourcepart
        wanted = element("resource", None, resource) if resource is not None else None
        request = element("iq", {"type": "set", "id": BIND_ID}, element("bind", {"xmlns": ns.BIND}, wanted))
        return [Write(request.encode())]

    def _on_bind_answer(self, event: ev.StanzaReceived) -> list[Output]:
        answer = tree(event.element)
        if event.element.kind != "iq" or event.element.id != BIND_ID:
            raise self._violation(event)
        if answer.get("type") == "error":
            raise stanza_error(answer, self.config.jid.domainpart, layer="bind")
        jid = answer.findtext(f"{{{ns.BIND}}}bind/{{{ns.BIND}}}jid")
        if answer.get("type") != "result" or not jid:
            raise ProtocolError("the server's answer to the resource binding holds no address", layer="bind")
        bound = Jid.parse(jid)
        if bound.resourcepart is None:
            raise ProtocolError(f"the server bound {jid}, which has no resource", layer="bind")
        self.jid = bound
        if not (self.config.acks and self._acks_offered):
            return self._go_live()
        self.state = State.BOUND
        # resume='false': the server drops the session with its socket, so no ghost is possible (sessions.md).
        return [Write(element("enable", {"xmlns": ns.SM, "resume": "false"}).encode())]

    def _on_enabled(self, _event: ev.EnabledReceived) -> list[Output]:
        self.sm = StreamManagement()
        return self._go_live()

    def _on_enable_failure(self, _event: ev.SmFailureReceived) -> list[Output]:
        return self._go_live()

    def _go_live(self) -> list[Output]:
        self.state = State.LIVE
        return [ev.SessionEstablished(self.jid, self.mechanism, acks=self.sm is not None)]

    # ── Live ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_stanza(self, event: ev.StanzaReceived) -> list[Output]:
        return [ev.StanzaArrived(event.element, 0 if self.sm is None else self.sm.on_received())]

    def _on_ack(self, event: ev.AckReceived) -> list[Output]:
        if self.sm is None:
            raise self._violation(event)
        h = event.element.attributes.get("h", "")
        if not (h.isascii() and h.isdigit() and int(h) < MODULUS):
            raise ProtocolError(f"the server acknowledges {h!r}, which is no number", condition="undefined-condition")
        return [ev.StanzasAcked(count)] if (count := self.sm.on_ack(int(h))) else []

    def _on_ack_request(self, event: ev.AckRequestReceived) -> list[Output]:
        if self.sm is None:
            raise self._violation(event)
        return self._ack()

    def _ack(self) -> list[Output]:
        assert self.sm is not None
        return [Write(element("a", {"xmlns": ns.SM, "h": str(self.sm.answer())}).encode())]

    def _on_ignored(self, _event: object) -> list[Output]:
        return []

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_stream_error(self, event: ev.StreamErrorReceived) -> list[Output]:
        condition, text = condition_of(tree(event.element), ns.STREAM_ERRORS)
        if condition != "see-other-host":
            return self._farewell(StreamError(condition, text))
        target = (tree(event.element).findtext(f"{{{ns.STREAM_ERRORS}}}see-other-host") or "").strip()
        if self.state not in (State.AUTHENTICATED, State.BINDING, State.BOUND, State.LIVE) or not target:
            # RFC 6120 §4.9.3.19 leaves it open; before TLS and SASL anybody on the way could say it.
            return self._farewell(
                ProtocolError(
                    f"a server that has not proved who it is redirects to {target or 'nowhere'}",
                    condition=condition,
                    hint=f"--host {target}, if you trust that" if target else None,
                )
            )
        return self._farewell(StreamError(condition, target), redirect=target)

    def _on_footer(self, _event: ev.FooterReceived) -> list[Output]:
        if self.state is State.CLOSING:
            return self._end(None)
        return self._farewell(ConnectionLost("the server closed the stream", hint="try again later"))

    def _on_link_lost(self, event: ev.LinkLost) -> list[Output]:
        if self.state is State.CLOSING:
            return self._end(None)
        if self.state in (State.PLAIN, State.CONNECTED) and self._pending_header:
            why = event.reason or "it closed the connection without a word"
            hint = "is the port right? --host HOST:PORT"
            return self._end(ConnectionLost(f"no XMPP from the server: {why}", hint=hint))
        return self._end(ConnectionLost(f"the connection broke: {event.reason or 'the server closed it'}"))

    def _farewell(self, error: XmppshError, redirect: str | None = None) -> list[Output]:
        """The server ended the stream: answer with our footer (RFC 6120 §4.4), unless it is out already."""
        footer: list[Output] = [] if self.state is State.CLOSING else [Write(FOOTER)]
        return footer + self._end(error, redirect)

    def _fail(self, error: XmppshError | None, condition: str | None = None) -> list[Output]:
        """End the stream for a reason of ours: a stream error where one is due (RFC 6120 §4.9), the footer."""
        outputs: list[Output] = []
        if self.state not in (State.CONNECTED, State.HANDSHAKE, State.CLOSING, State.CLOSED):
            if condition is not None:
                known = element(condition, {"xmlns": ns.STREAM_ERRORS})
                outputs.append(Write(element("stream:error", None, known).encode()))
            outputs.append(Write(FOOTER))
        return outputs + self._end(error)

    def _end(self, error: XmppshError | None, redirect: str | None = None) -> list[Output]:
        self.state = State.CLOSED
        return [Disconnect(), ev.StreamEnded(error, redirect)]

    def _violation(self, event: object) -> ProtocolViolation:
        what = f"<{event.element.kind}/>" if isinstance(event, ev.ElementReceived) else type(event).__name__
        return ProtocolViolation(f"the server sent {what} where the protocol forbids it (state: {self.state})")

    def _read_limits(self, features: Tree) -> None:
        """XEP-0478: the latest announcement counts, and only downwards from our own limit."""
        limit = features.findtext(f"{{{ns.STREAM_LIMITS}}}limits/{{{ns.STREAM_LIMITS}}}max-bytes") or ""
        own = self.config.limits.stanza_bytes
        self.max_stanza_bytes = min(own, int(limit)) if limit.isascii() and limit.isdigit() and int(limit) else own


def _event(item: Header | Element | Footer) -> object:
    """Name what the reader found."""
    if isinstance(item, Header):
        return ev.HeaderReceived(item.name, item.attributes)
    if isinstance(item, Footer):
        return ev.FooterReceived()
    return ELEMENT_EVENTS.get(item.name, ev.StanzaReceived if item.is_stanza else ev.UnknownReceived)(item)


def _child(parent: Tree, namespace: str, name: str) -> Tree | None:
    return parent.find(f"{{{namespace}}}{name}")
