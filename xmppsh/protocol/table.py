"""The table of the client stream: which event is allowed in which state, its handler, and where it may lead.

This table is the security policy (RFC 6120 §13): no SASL before TLS, no success before the server's proof, no bind
before success, no stanza before the bind except the answers of a registration (XEP-0077). A missing entry is a protocol
violation and ends the stream.
"""

from __future__ import annotations

from enum import StrEnum

from xmppsh import ns
from xmppsh.plain import dataclass
from xmppsh.protocol import events as ev


class State(StrEnum):
    """Where the stream stands."""

    CONNECTED = "connected"  # the link is up, nothing was written
    PLAIN = "plain"  # our header went out in the clear
    STARTTLS = "starttls"  # <starttls/> went out
    HANDSHAKE = "handshake"  # TLS is being negotiated
    SECURED = "secured"  # our header went out under TLS
    REGISTERING = "registering"  # under TLS, for an account that does not exist yet; no login follows
    SASL = "sasl"  # a SASL message went out
    HASHING = "hashing"  # the answer to a SCRAM challenge is being computed
    SASL2 = "sasl2"  # a message of SASL2 went out (XEP-0388)
    SASL2_HASHING = "sasl2-hashing"  # the answer to a SCRAM challenge in it is being computed
    AUTHENTICATED = "authenticated"  # after <success/>: our new header went out, or with SASL2 the features follow
    RESUMING = "resuming"  # <resume/> went out
    # the bind request went out; after its answer, for an old server, the session request of RFC 3921
    BINDING = "binding"
    BOUND = "bound"  # bound, <enable/> went out
    LIVE = "live"  # stanzas flow
    CLOSING = "closing"  # our </stream:stream> went out
    CLOSED = "closed"


@dataclass(frozen=True)
class Step:
    """What an event does in a state: the handler, and the states it may lead to (`closed` is always one)."""

    handler: str
    to: tuple[State, ...]

    @property
    def ends(self) -> bool:
        """Does it always end the stream?"""
        return not self.to


def _stay(handler: str, state: State) -> Step:
    return Step(handler, (state,))


Rows = dict[tuple[State, type], Step]

_PROCEED: Rows = {
    (State.PLAIN, ev.FeaturesReceived): Step("_on_plain_features", (State.STARTTLS,)),
    (State.STARTTLS, ev.ProceedReceived): Step("_on_proceed", (State.HANDSHAKE,)),
    (State.STARTTLS, ev.TlsFailureReceived): Step("_on_tls_failure", ()),
    (State.HANDSHAKE, ev.TlsEstablished): Step("_on_tls", (State.SECURED,)),
    (State.SECURED, ev.FeaturesReceived): Step("_on_secured_features", (State.SASL, State.SASL2, State.REGISTERING)),
    (State.SASL, ev.ChallengeReceived): Step("_on_challenge", (State.HASHING, State.SASL)),
    (State.HASHING, ev.PasswordHashed): Step("_on_hashed", (State.SASL,)),
    (State.SASL, ev.SaslFailureReceived): Step("_on_sasl_failure", (State.SASL,)),
    (State.SASL, ev.SuccessReceived): Step("_on_success", (State.AUTHENTICATED,)),
    (State.SASL2, ev.Sasl2ChallengeReceived): Step("_on_challenge", (State.SASL2_HASHING, State.SASL2)),
    (State.SASL2_HASHING, ev.PasswordHashed): Step("_on_hashed", (State.SASL2,)),
    (State.SASL2, ev.Sasl2FailureReceived): Step("_on_sasl2_failure", (State.SASL2,)),
    (State.SASL2, ev.Sasl2SuccessReceived): Step("_on_sasl2_success", (State.AUTHENTICATED,)),
    (State.SASL2, ev.ContinueReceived): Step("_on_continue", ()),
    (State.AUTHENTICATED, ev.FeaturesReceived): Step("_on_authenticated_features", (State.BINDING, State.RESUMING)),
    (State.RESUMING, ev.ResumedReceived): Step("_on_resumed", (State.LIVE,)),
    (State.RESUMING, ev.SmFailureReceived): Step("_on_resume_failure", (State.BINDING, State.RESUMING)),
    (State.BINDING, ev.StanzaReceived): Step("_on_bind_answer", (State.BINDING, State.BOUND, State.LIVE)),
    (State.BINDING, ev.SmFailureReceived): Step("_on_enable_failure", (State.BINDING,)),
    (State.BOUND, ev.EnabledReceived): Step("_on_enabled", (State.LIVE,)),
    (State.BOUND, ev.SmFailureReceived): Step("_on_enable_failure", (State.LIVE, State.BOUND)),
}
_HEADERS: Rows = {
    (state, ev.HeaderReceived): _stay("_on_header", state)
    for state in (State.PLAIN, State.SECURED, State.AUTHENTICATED)
}
_STANZAS: Rows = {
    (State.REGISTERING, ev.StanzaReceived): _stay("_on_stanza", State.REGISTERING),
    (State.BOUND, ev.StanzaReceived): _stay("_on_stanza", State.BOUND),
    (State.LIVE, ev.StanzaReceived): _stay("_on_stanza", State.LIVE),
    (State.LIVE, ev.RunReceived): _stay("_on_run", State.LIVE),
    (State.LIVE, ev.AckReceived): _stay("_on_ack", State.LIVE),
    (State.LIVE, ev.AckRequestReceived): _stay("_on_ack_request", State.LIVE),
    (State.LIVE, ev.UnknownReceived): _stay("_on_ignored", State.LIVE),
    (State.CLOSING, ev.StanzaReceived): _stay("_on_stanza", State.CLOSING),
    (State.CLOSING, ev.RunReceived): _stay("_on_run", State.CLOSING),
    (State.CLOSING, ev.AckReceived): _stay("_on_ack", State.CLOSING),
    (State.CLOSING, ev.AckRequestReceived): _stay("_on_ignored", State.CLOSING),
    (State.CLOSING, ev.UnknownReceived): _stay("_on_ignored", State.CLOSING),
}
_READING = [state for state in State if state not in (State.CONNECTED, State.HANDSHAKE, State.CLOSED)]
_ENDINGS: Rows = {
    **{(state, ev.StreamErrorReceived): Step("_on_stream_error", ()) for state in _READING},
    **{(state, ev.FooterReceived): Step("_on_footer", ()) for state in _READING},
    **{(state, ev.LinkLost): Step("_on_link_lost", ()) for state in State if state is not State.CLOSED},
}

TABLE: Rows = {**_PROCEED, **_HEADERS, **_STANZAS, **_ENDINGS}

ELEMENT_EVENTS: dict[str, type[ev.ElementReceived]] = {
    f"{{{ns.STREAM}}}features": ev.FeaturesReceived,
    f"{{{ns.STREAM}}}error": ev.StreamErrorReceived,
    f"{{{ns.TLS}}}proceed": ev.ProceedReceived,
    f"{{{ns.TLS}}}failure": ev.TlsFailureReceived,
    f"{{{ns.SASL}}}challenge": ev.ChallengeReceived,
    f"{{{ns.SASL}}}success": ev.SuccessReceived,
    f"{{{ns.SASL}}}failure": ev.SaslFailureReceived,
    f"{{{ns.SASL2}}}challenge": ev.Sasl2ChallengeReceived,
    f"{{{ns.SASL2}}}success": ev.Sasl2SuccessReceived,
    f"{{{ns.SASL2}}}failure": ev.Sasl2FailureReceived,
    f"{{{ns.SASL2}}}continue": ev.ContinueReceived,
    f"{{{ns.SM}}}enabled": ev.EnabledReceived,
    f"{{{ns.SM}}}resumed": ev.ResumedReceived,
    f"{{{ns.SM}}}failed": ev.SmFailureReceived,
    f"{{{ns.SM}}}a": ev.AckReceived,
    f"{{{ns.SM}}}r": ev.AckRequestReceived,
}
