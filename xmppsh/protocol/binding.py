"""The last part of the way to a live stream (RFC 6120 §7, XEP-0198 §3, §5): resume or bind, enable."""

from __future__ import annotations

from xmppsh import ns
from xmppsh.errors import MalformedJid, ProtocolError, StanzaError
from xmppsh.model import Jid
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Output, Write
from xmppsh.protocol.ahead import Known, Rung, Surprise
from xmppsh.protocol.conditions import condition_of, number, read_h, stanza_error
from xmppsh.protocol.login import Login
from xmppsh.protocol.negotiation import StreamConfig, child, violation
from xmppsh.protocol.resuming import FORMER_IS_BUSY, ask_to_resume, fences_before
from xmppsh.protocol.sasl import BROKEN_HINT
from xmppsh.protocol.sm import Resumption, StreamManagement
from xmppsh.protocol.table import State
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree


def is_no_resource(error: StanzaError) -> bool:
    """Did the server refuse the resource itself (RFC 6120 §7.7.2.1)? Then no session with it can exist."""
    return error.layer == "bind" and error.condition == "bad-request"


class Binding(Login):
    """What a stream knows of its session, and its handlers from `<success/>` to `live`."""

    def __init__(self, config: StreamConfig) -> None:
        super().__init__(config)
        self.is_presumed = False  # stanzas may be written, and the server has not yet said that the session is there
        self._acks_offered = self._states_offered = False
        self._fences = 0  # to be written before `<resume/>`
        self._former_is_busy = False
        self._wants_session = False  # the server wants the session request of RFC 3921
        self._session_asked = False
        self._bound_ahead = False
        self._enable_sent = self._was_too_early = False
        # The address already told in a ResourceBound, before the session can outlive us.
        self._announced: Jid | None = None

    # ── Ahead of the features (ahead.py) ────────────────────────────────────────────────────────────────────────

    def _on_success(self, event: ev.SuccessReceived) -> list[Output]:
        return super()._on_success(event) + self._bind_ahead()

    def _on_sasl2_success(self, event: ev.Sasl2SuccessReceived) -> list[Output]:
        return super()._on_sasl2_success(event) + self._bind_ahead()

    def _bind_ahead(self) -> list[Output]:
        """Bind and ask for acks at once; where the server has shown that it takes that, the session counts as there.

        Not a session that may outlive its socket: it must be known where to find it.
        """
        known, config = self._ahead, self.config
        if known is None or not (known.acks and config.acks) or config.resume or config.resumable_s is not None:
            return []
        self._bound_ahead = self._acks_offered = True
        outputs = self._bind()
        self.state = State.AUTHENTICATED  # the features come first
        # A server may make another resource of one that is not ASCII: its answer says by which address we are there.
        if known.rung < Rung.STANZAS or not (self._wanted.resourcepart or "").isascii():
            return outputs
        self.is_presumed, self.sm = True, StreamManagement()
        self.jid = self._wanted
        self.max_stanza_bytes = min(self.max_stanza_bytes, known.max_bytes)
        return [*outputs, ev.SessionEstablished(self.jid, self.mechanism, acks=True)]

    @property
    def _wanted(self) -> Jid:
        """The address that is asked for; without a resource the server makes one."""
        resource = self.config.jid.resourcepart or self.config.resource
        return self.config.jid if resource is None else self.config.jid.with_resource(resource)

    @property
    def learned(self) -> Known:
        """What this stream has shown of the server, for the next one; once it is live."""
        assert self._offer is not None
        rung = Rung.STANZAS if self._bound_ahead else Rung.BIND
        acks = self._acks_offered and not self._wants_session and self.jid == self._wanted
        offer = self._offer
        by = self._mechanism_before if self.is_by_token else self.mechanism
        tokens = frozenset() if self.offers_sasl2 and offer.tokens is None else offer.tokens
        return Known(offer.mechanisms, offer.binding_types, by, acks, self.max_stanza_bytes, rung, tokens)

    # ── Bind and stream management (RFC 6120 §7, XEP-0198 §3) ───────────────────────────────────────────────────

    def _on_authenticated_features(self, event: ev.FeaturesReceived) -> list[Output]:
        features = tree(event.element)
        self._read_limits(features)
        self._acks_offered = child(features, ns.SM, "sm") is not None
        self._states_offered = child(features, ns.CSI, "csi") is not None
        session = child(features, ns.SESSION, "session")
        self._wants_session = session is not None and child(session, ns.SESSION, "optional") is None
        if child(features, ns.BIND, "bind") is None:
            raise ProtocolError("the server offers no resource binding", layer="bind")
        if self._bound_ahead:
            if not self._acks_offered or self._wants_session:
                raise Surprise("it has no stream management any more")
            self.state = State.BINDING
            return []
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
        condition, text = condition_of(tree(event.element), ns.STANZA_ERRORS)
        self._former_is_busy |= text == FORMER_IS_BUSY
        if self._fences:
            self._fences -= 1
            return ask_to_resume(previous, fence=self._fences > 0)
        streams_left = previous.on_resume_failed()
        h = read_h(event.element) if "h" in event.element.attributes else None
        if h is None and streams_left:
            return ask_to_resume(previous)  # each `<failed/>` proves that one former stream has ended
        return [ev.ResumeFailed(h, condition, is_proof=not self._former_is_busy), *self._bind()]

    def _bind(self) -> list[Output]:
        self.state = State.BINDING
        resource = self._wanted.resourcepart
        wanted = element("resource", None, resource) if resource is not None else None
        request = element("iq", {"type": "set", "id": self.config.bind_id}, element("bind", {"xmlns": ns.BIND}, wanted))
        bind = Write(request.encode())
        if not (self.config.acks and self._acks_offered) or self._wants_session:
            return [bind]
        if self.config.resumable_s is None:
            return [bind, self._enable()]
        if resource is None:
            return [bind]  # the server chooses the address; <enable/> waits until its answer tells it
        self._announced = self._wanted
        return [ev.ResourceBound(self._announced), bind, self._enable()]

    def _enable(self) -> Write:
        """Ask for stream management (XEP-0198 §3), in one packet with the bind.

        What the server sends us before `<enabled/>` is lost if the link breaks (measured on ejabberd: 5 of 5 messages
        that a hibernating session had left).
        """
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
            error = stanza_error(answer, self.config.jid.domainpart, layer="bind")
            if is_no_resource(error):
                error.hint = "the server does not take this resource: give the JID another one, or none"
            raise error
        bind = child(answer, ns.BIND, "bind")
        jid = None if bind is None else bind.findtext(f"{{{ns.BIND}}}jid")
        if answer.get("type") != "result" or not jid:
            raise ProtocolError("the server's answer to the resource binding holds no address", layer="bind")
        try:
            bound = Jid.parse(jid)
        except MalformedJid as error:
            raise ProtocolError(f"the server bound an address that is none: {error.reason}", layer="bind") from error
        if bound.resourcepart is None:
            raise ProtocolError("the server bound an address without a resource", layer="bind")
        if bound.domainpart != self.config.jid.domainpart:  # the certificate was checked for our own domain only
            raise ProtocolError(f"the server bound an address of another domain: {bound.bare}", layer="bind")
        if self.config.account not in (None, bound.bare):
            sentence = f"the server has made this session {bound.bare}, which was {self.config.account} before"
            raise ProtocolError(sentence, layer="bind", hint=BROKEN_HINT)
        if self.is_presumed and bound != self.jid:
            raise Surprise("it binds another address than the one it was asked for")
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
        """The answer to the session request (RFC 3921 §3), which old servers want before any stanza."""
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
        self.sm = self.sm or StreamManagement()
        attributes = event.element.attributes
        if attributes.get("resume") in ("true", "1") and attributes.get("id") and self.config.resumable_s is not None:
            self.sm.resumption = Resumption(attributes["id"], attributes.get("location"), number(attributes.get("max")))
        return self._go_live()

    def _on_enable_failure(self, event: ev.SmFailureReceived) -> list[Output]:
        if not self._enable_sent:
            raise violation(event, self.state)
        if self._bound_ahead:
            raise Surprise("it refuses stream management")
        if self.state is State.BINDING:
            self._enable_sent, self._was_too_early = False, True  # it goes out again when the server has bound us
            return []
        condition, _ = condition_of(tree(event.element), ns.STANZA_ERRORS)
        if condition == "unexpected-request" and not self._was_too_early:
            self._was_too_early = True
            return [self._enable()]  # XEP-0198 §3: the server had looked at it before it had bound us
        return self._go_live()

    def _go_live(self) -> list[Output]:
        self.state, self.was_live = State.LIVE, True
        if self.is_presumed:
            self.is_presumed = False
            return [ev.SessionConfirmed()]
        resumption = None if self.sm is None else self.sm.resumption
        return [ev.SessionEstablished(self.jid, self.mechanism, self.sm is not None, resumption)]
