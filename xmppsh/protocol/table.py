"""The table of the client stream: which event is allowed in which state, and which handler it has.

This table is the security policy (RFC 6120 §13): no SASL before TLS, no success before the server's proof, no bind
before success, no stanza before the bind. A missing entry is a protocol violation and ends the stream.
"""

from __future__ import annotations

from enum import StrEnum

from xmppsh.protocol import events as ev
from xmppsh.protocol import ns


class State(StrEnum):
    """Where the stream stands."""

    CONNECTED = "connected"  # the link is up, nothing was written
    PLAIN = "plain"  # our header went out in the clear
    STARTTLS = "starttls"  # <starttls/> went out
    HANDSHAKE = "handshake"  # TLS is being negotiated
    SECURED = "secured"  # our header went out under TLS
    SASL = "sasl"  # a SASL message went out
    HASHING = "hashing"  # the answer to a SCRAM challenge is being computed
    AUTHENTICATED = "authenticated"  # our header went out after <success/>
    BINDING = "binding"  # the bind request went out
    BOUND = "bound"  # bound, <enable/> went out
    LIVE = "live"  # stanzas flow
    CLOSING = "closing"  # our </stream:stream> went out
    CLOSED = "closed"


# The rows of the table: the events a state allows, and the method that handles each.
TABLE: dict[tuple[State, type], str] = {
    (State.PLAIN, ev.HeaderReceived): "_on_header",
    (State.PLAIN, ev.FeaturesReceived): "_on_plain_features",
    (State.STARTTLS, ev.ProceedReceived): "_on_proceed",
    (State.STARTTLS, ev.TlsFailureReceived): "_on_tls_failure",
    (State.HANDSHAKE, ev.TlsEstablished): "_on_tls",
    (State.SECURED, ev.HeaderReceived): "_on_header",
    (State.SECURED, ev.FeaturesReceived): "_on_secured_features",
    (State.SASL, ev.ChallengeReceived): "_on_challenge",
    (State.SASL, ev.SuccessReceived): "_on_success",
    (State.SASL, ev.SaslFailureReceived): "_on_sasl_failure",
    (State.HASHING, ev.PasswordHashed): "_on_hashed",
    (State.AUTHENTICATED, ev.HeaderReceived): "_on_header",
    (State.AUTHENTICATED, ev.FeaturesReceived): "_on_authenticated_features",
    (State.BINDING, ev.StanzaReceived): "_on_bind_answer",
    (State.BOUND, ev.EnabledReceived): "_on_enabled",
    (State.BOUND, ev.SmFailureReceived): "_on_enable_failure",
    (State.BOUND, ev.StanzaReceived): "_on_stanza",
    (State.LIVE, ev.StanzaReceived): "_on_stanza",
    (State.LIVE, ev.AckReceived): "_on_ack",
    (State.LIVE, ev.AckRequestReceived): "_on_ack_request",
    (State.LIVE, ev.UnknownReceived): "_on_ignored",
    (State.CLOSING, ev.StanzaReceived): "_on_stanza",
    (State.CLOSING, ev.AckReceived): "_on_ack",
    (State.CLOSING, ev.AckRequestReceived): "_on_ignored",
    (State.CLOSING, ev.UnknownReceived): "_on_ignored",
    **{
        (state, event): handler
        for state in State
        if state not in (State.CONNECTED, State.HANDSHAKE, State.CLOSED)
        for event, handler in ((ev.StreamErrorReceived, "_on_stream_error"), (ev.FooterReceived, "_on_footer"))
    },
    **{(state, ev.LinkLost): "_on_link_lost" for state in State if state is not State.CLOSED},
}

ELEMENT_EVENTS: dict[str, type[ev.ElementReceived]] = {
    f"{{{ns.STREAM}}}features": ev.FeaturesReceived,
    f"{{{ns.STREAM}}}error": ev.StreamErrorReceived,
    f"{{{ns.TLS}}}proceed": ev.ProceedReceived,
    f"{{{ns.TLS}}}failure": ev.TlsFailureReceived,
    f"{{{ns.SASL}}}challenge": ev.ChallengeReceived,
    f"{{{ns.SASL}}}success": ev.SuccessReceived,
    f"{{{ns.SASL}}}failure": ev.SaslFailureReceived,
    f"{{{ns.SM}}}enabled": ev.EnabledReceived,
    f"{{{ns.SM}}}failed": ev.SmFailureReceived,
    f"{{{ns.SM}}}a": ev.AckReceived,
    f"{{{ns.SM}}}r": ev.AckRequestReceived,
}
