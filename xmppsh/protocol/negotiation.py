"""The way to a live stream (RFC 6120 §4–7, XEP-0198 §3): headers, STARTTLS, SASL, bind, enable.

One handler for each event of the states before `live`; which may run when stands in table.py.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid, ProtocolError, ProtocolViolation, SaslError
from xmppsh.model import Credentials, Jid
from xmppsh.plain import dataclass
from xmppsh.protocol import events as ev
from xmppsh.protocol import sasl
from xmppsh.protocol.actions import HashPassword, Output, StartTls, Write
from xmppsh.protocol.conditions import condition_of, number, read_h, stanza_error
from xmppsh.protocol.resuming import ask_to_resume, fences_before
from xmppsh.protocol.sm import Resumption, StreamManagement
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import element, start_tag
from xmppsh.xmlio.reader import Limits, StreamReader, tree

if TYPE_CHECKING:
    from typing import Literal
    from xml.etree.ElementTree import Element as Tree


MIN_LIMIT_BYTES = 10_000  # RFC 6120 §13.12: no server may allow less
NEXT_MECHANISM = ("invalid-mechanism", "mechanism-too-weak")
PORT_HINT = "is the port right? --host HOST:PORT; --tls direct for a port of direct TLS; xmppsh doctor tells"


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """What one stream needs to know: whose it is, how TLS comes, what we may send and take."""

    jid: Jid
    credentials: Credentials = field(repr=False)
    tls: Literal["direct", "starttls", "off"] = "starttls"
    acks: bool = True  # XEP-0198, where the server has it
    resumable_s: int | None = None  # ask the server to keep the session that long after its socket (XEP-0198 §5)
    bind_id: str = "bind"  # of the bind request; to be one that nobody can guess
    resource: str | None = None  # to ask for where `jid` names none; the server may give another
    registers: bool = False  # nobody logs in: an account is to be made (XEP-0077)
    resume: StreamManagement | None = None  # the session to resume instead of binding a new one
    language: str = "en"
    limits: Limits = field(default_factory=Limits)


class Negotiation:
    """What a stream knows, and its handlers up to `live`."""

    def __init__(self, config: StreamConfig) -> None:
        self.config = config
        self.state = State.CONNECTED
        self.was_live = False
        self.sm: StreamManagement | None = None
        self.mechanism = ""
        self.jid = config.jid
        self.max_stanza_bytes = config.limits.stanza_bytes  # outbound; the server's XEP-0478 limit when smaller
        self._reader = StreamReader(config.limits)
        self._offer: sasl.Offer | None = None
        self._exchange: sasl.Exchange | None = None
        self._refused: set[str] = set()  # mechanisms, on this stream
        self._certificate: bytes | None = None
        self._acks_offered = False
        self._fences = 0  # to be written before `<resume/>`
        self._wants_session = self._session_asked = False  # the server is one of before RFC 6120
        self._enable_sent = self._was_too_early = False
        self._announced: Jid | None = None  # by which the session is to be found, told before it can outlive us
        self.has_header = False  # the server's header has come

    # ── Opening and TLS (RFC 6120 §4, §5) ───────────────────────────────────────────────────────────────────────

    def _open_header(self, state: State) -> list[Output]:
        self.state = state
        self._reader = StreamReader(self.config.limits)
        self.has_header = False
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
                hint=PORT_HINT,
            )
        self.has_header = True
        return []

    def _on_plain_features(self, event: ev.FeaturesReceived) -> list[Output]:
        if _child(tree(event.element), ns.TLS, "starttls") is None:
            raise ProtocolError(
                f"{self.config.jid.domainpart} offers no STARTTLS, and without TLS nothing is sent",
                layer="tls",
                hint="--tls direct --host HOST:5223, if it has direct TLS; or its operator must switch STARTTLS on",
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
        if self.config.registers:
            self.state = State.REGISTERING
            return [ev.RegistrationOpen(_child(features, ns.REGISTER_FEATURE, "register") is not None)]
        mechanisms = _child(features, ns.SASL, "mechanisms")
        if mechanisms is None and _child(features, ns.TLS, "starttls") is not None:
            raise ProtocolError("the server wants TLS before the login", layer="tls", hint="leave out --tls off")
        if mechanisms is None:
            raise ProtocolError("the server offers no login (no SASL mechanisms)", layer="sasl")
        bindings = _child(features, ns.SASL_CHANNEL_BINDING, "sasl-channel-binding")
        self._offer = sasl.Offer(
            frozenset((mechanism.text or "").strip() for mechanism in mechanisms),
            secure=self.config.tls != "off",
            binding_types=frozenset(binding.get("type", "") for binding in (() if bindings is None else bindings)),
            certificate=self._certificate,
        )
        return self._log_in()

    def _log_in(self) -> list[Output]:
        assert self._offer is not None
        self._exchange = self._offer.begin(self.config.jid, self.config.credentials, self._refused)
        self.mechanism = self._exchange.name
        self.state = State.SASL
        attributes = {"xmlns": ns.SASL, "mechanism": self.mechanism}
        return [Write(element("auth", attributes, sasl.encode(self._exchange.initial())).encode(), secret=True)]

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
        said = element("response", {"xmlns": ns.SASL}, sasl.encode(response) if response else None)
        return [Write(said.encode(), secret=True)]

    def _on_success(self, event: ev.SuccessReceived) -> list[Output]:
        assert self._exchange is not None
        self._exchange.succeeded(sasl.decode(tree(event.element).text))
        return self._open_header(State.AUTHENTICATED)

    def _on_sasl_failure(self, event: ev.SaslFailureReceived) -> list[Output]:
        assert self._offer is not None
        assert self._exchange is not None
        condition, text = condition_of(tree(event.element), ns.SASL)
        self._refused.add(self.mechanism)
        others = [name for name in self._offer.possible(self.config.credentials) if name not in self._refused]
        # RFC 6120 §6.4.5: another mechanism may be tried on the same stream. What is possible is never below what is
        # allowed here (--mechanism alone, PLAIN under TLS alone), and who finds a SCRAM too weak is not given the
        # password itself.
        retry = [name for name in others if condition != "mechanism-too-weak" or name != "PLAIN"]
        if condition in NEXT_MECHANISM and retry:
            return self._log_in()
        error = SaslError.refused(str(self.config.jid.bare), condition, text, self.config.credentials.source)
        if condition == "not-authorized":
            error.hint = "; ".join([str(error.hint), *sasl.other_causes(self._exchange, others)])
        raise error

    # ── Bind and stream management (RFC 6120 §7, XEP-0198 §3) ───────────────────────────────────────────────────

    def _on_authenticated_features(self, event: ev.FeaturesReceived) -> list[Output]:
        features = tree(event.element)
        self._read_limits(features)
        self._acks_offered = _child(features, ns.SM, "sm") is not None
        session = _child(features, ns.SESSION, "session")
        self._wants_session = session is not None and _child(session, ns.SESSION, "optional") is None
        if _child(features, ns.BIND, "bind") is None:
            raise ProtocolError("the server offers no resource binding", layer="bind")
        previous = self.config.resume
        if previous is not None and previous.resumption is not None and self._acks_offered:
            self.state = State.RESUMING
            self._fences = fences_before(previous)
            return ask_to_resume(previous, fence=self._fences > 0)
        return self._bind()

    def _on_resumed(self, event: ev.ResumedReceived) -> list[Output]:
        previous = self.config.resume
        assert previous is not None
        assert previous.resumption is not None
        if event.element.attributes.get("previd", previous.resumption.sm_id) != previous.resumption.sm_id:
            raise ProtocolError("the server resumes another session than ours")  # XEP-0198 §5
        released = previous.on_resumed(read_h(event.element))
        self.sm = previous
        self.state, self.was_live = State.LIVE, True
        return [ev.SessionResumed(released)]

    def _on_resume_failure(self, event: ev.SmFailureReceived) -> list[Output]:
        # XEP-0198 §5: h tells what the session had handled; we may bind on the same stream.
        previous = self.config.resume
        assert previous is not None
        if self._fences:
            self._fences -= 1
            return ask_to_resume(previous, fence=self._fences > 0)
        streams_left = previous.on_resume_failed()
        h = read_h(event.element) if "h" in event.element.attributes else None
        condition, _ = condition_of(tree(event.element), ns.STANZA_ERRORS)
        if h is None and streams_left:
            return ask_to_resume(previous)  # each `<failed/>` proves the end of one stream
        return [ev.ResumeFailed(h, condition), *self._bind()]

    def _bind(self) -> list[Output]:
        self.state = State.BINDING
        resource = self.config.jid.resourcepart or self.config.resource
        wanted = element("bind", {"xmlns": ns.BIND}, None if resource is None else element("resource", None, resource))
        bind = Write(element("iq", {"type": "set", "id": self.config.bind_id}, wanted).encode())
        if not (self.config.acks and self._acks_offered) or self._wants_session:
            return [bind]
        if self.config.resumable_s is None:
            return [bind, self._enable()]
        if resource is None:
            return [bind]  # by which address the session is to be found is known with the answer
        self._announced = self.config.jid.with_resource(resource)
        return [ev.ResourceBound(self._announced), bind, self._enable()]

    def _enable(self) -> Write:
        """XEP-0198 §3. It goes out with the bind: what the server routes to us before `<enabled/>` nobody keeps
        (measured on ejabberd: 5 of 5 messages that a hibernating session had left)."""
        self._enable_sent = True
        # Without resumption the server drops the session with its socket, so no ghost is possible (sessions.md).
        wanted = self.config.resumable_s
        how = {"resume": "false"} if wanted is None else {"resume": "true", "max": str(wanted)}
        return Write(element("enable", {"xmlns": ns.SM, **how}).encode())

    def _on_bind_answer(self, event: ev.StanzaReceived) -> list[Output]:
        if self._session_asked:
            return self._on_session_answer(event)
        answer = tree(event.element)
        if event.element.kind != "iq" or event.element.id != self.config.bind_id:
            raise violation(event, self.state)
        if answer.get("type") == "error":
            raise stanza_error(answer, self.config.jid.domainpart, layer="bind")
        jid = answer.findtext(f"{{{ns.BIND}}}bind/{{{ns.BIND}}}jid")
        if answer.get("type") != "result" or not jid:
            raise ProtocolError("the server's answer to the resource binding holds no address", layer="bind")
        try:
            bound = Jid.parse(jid)
        except MalformedJid as error:
            raise ProtocolError(f"the server bound an address that is none: {error.reason}", layer="bind") from error
        if bound.resourcepart is None:
            raise ProtocolError("the server bound an address without a resource", layer="bind")
        self.jid = bound
        if self._wants_session:
            self._session_asked = True
            session = element("session", {"xmlns": ns.SESSION})
            return [Write(element("iq", {"type": "set", "id": self._session_id}, session).encode())]
        return self._on_bound()

    @property
    def _session_id(self) -> str:
        return f"{self.config.bind_id}-session"

    def _on_session_answer(self, event: ev.StanzaReceived) -> list[Output]:
        """RFC 3921 §3, which RFC 6121 made optional: no stanza before the session is established."""
        if event.element.kind != "iq" or event.element.id != self._session_id:
            raise violation(event, self.state)
        answer = tree(event.element)
        if answer.get("type") == "error":
            raise stanza_error(answer, self.config.jid.domainpart, layer="bind")
        return self._on_bound()

    def _on_bound(self) -> list[Output]:
        if not (self.config.acks and self._acks_offered):
            return self._go_live()
        self.state = State.BOUND
        is_told = self.config.resumable_s is None or self.jid == self._announced
        told: list[Output] = [] if is_told else [ev.ResourceBound(self.jid)]
        return told if self._enable_sent else [*told, self._enable()]

    def _on_enabled(self, event: ev.EnabledReceived) -> list[Output]:
        self.sm = StreamManagement()
        attributes = event.element.attributes
        if attributes.get("resume") in ("true", "1") and attributes.get("id") and self.config.resumable_s is not None:
            self.sm.resumption = Resumption(attributes["id"], attributes.get("location"), number(attributes.get("max")))
        return self._go_live()

    def _on_enable_failure(self, event: ev.SmFailureReceived) -> list[Output]:
        if not self._enable_sent:
            raise violation(event, self.state)
        if self.state is State.BINDING:
            self._enable_sent, self._was_too_early = False, True  # it goes out again when the server has bound us
            return []
        if condition_of(tree(event.element), ns.STANZA_ERRORS)[0] == "unexpected-request" and not self._was_too_early:
            self._was_too_early = True
            return [self._enable()]  # XEP-0198 §3: the server had looked at it before it had bound us
        return self._go_live()

    def _go_live(self) -> list[Output]:
        self.state, self.was_live = State.LIVE, True
        resumption = None if self.sm is None else self.sm.resumption
        return [ev.SessionEstablished(self.jid, self.mechanism, self.sm is not None, resumption)]

    def _read_limits(self, features: Tree) -> None:
        """XEP-0478: the latest announcement counts, and only downwards from our own limit."""
        limit = number(features.findtext(f"{{{ns.STREAM_LIMITS}}}limits/{{{ns.STREAM_LIMITS}}}max-bytes"))
        own = self.config.limits.stanza_bytes
        self.max_stanza_bytes = own if limit is None else min(own, max(limit, MIN_LIMIT_BYTES))


def violation(event: object, state: State) -> ProtocolViolation:
    """The error for an event that the table does not allow."""
    what = f"<{event.element.kind}/>" if isinstance(event, ev.ElementReceived) else type(event).__name__
    return ProtocolViolation(f"the server sent {what} where the protocol forbids it (state: {state})")


def _child(parent: Tree, namespace: str, name: str) -> Tree | None:
    return parent.find(f"{{{namespace}}}{name}")
