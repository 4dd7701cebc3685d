"""The way to a stream that is logged in (RFC 6120 §4–6): headers, STARTTLS, SASL. What follows is in binding.py.

One handler for each event of these states; which may run when stands in table.py.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import ProtocolError, ProtocolViolation, SaslError
from xmppsh.plain import dataclass
from xmppsh.protocol import events as ev
from xmppsh.protocol import sasl
from xmppsh.protocol.actions import HashPassword, Output, StartTls, Write
from xmppsh.protocol.ahead import Known, Rung, Surprise
from xmppsh.protocol.conditions import condition_of, number
from xmppsh.protocol.table import State
from xmppsh.xmlio.arriving import ArrivalReader
from xmppsh.xmlio.build import element, start_tag
from xmppsh.xmlio.reader import Limits, tree

if TYPE_CHECKING:
    from typing import Literal
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Credentials, Jid
    from xmppsh.protocol.fast import Client
    from xmppsh.protocol.scram import Pbkdf2
    from xmppsh.protocol.sm import StreamManagement

MIN_LIMIT_BYTES = 10_000  # RFC 6120 §13.12: no server may allow less
NEXT_MECHANISM = ("invalid-mechanism", "mechanism-too-weak")
LATER = "try again later"
PORT_HINT = "is the port right? --host HOST:PORT; --tls direct for a port with direct TLS"


@dataclass(frozen=True)
class StreamConfig:
    """What one stream needs to know: whose it is, how TLS comes, what we may send and take."""

    jid: Jid
    credentials: Credentials = field(repr=False)
    tls: Literal["direct", "starttls", "off"] = "starttls"
    acks: bool = True  # XEP-0198, where the server has it
    resumable_s: int | None = None  # ask the server to keep the session that long after its socket (XEP-0198 §5)
    bind_id: str = "bind"  # the id of the bind request; it must be hard to guess
    resource: str | None = None  # asked for where `jid` has none; the server may bind another one
    registers: bool = False  # register a new account instead of logging in (XEP-0077)
    resume: StreamManagement | None = None  # the session to resume instead of binding a new one
    account: Jid | None = None  # the server must bind this one; None: whichever it makes of `jid`
    known: Known | None = None  # what the server offered the last time (ahead.py)
    sasl2: bool = True  # SASL2 (XEP-0388), where the server has it
    client: Client | None = None  # asks for tokens and uses them (XEP-0484); None: no tokens
    pbkdf2: Pbkdf2 | None = None  # computes the hash for SCRAM; None: hashlib does it
    language: str = "en"
    limits: Limits = field(default_factory=Limits)


class Negotiation:
    """What a stream knows, and its handlers up to the end of the login.

    content: the namespace of its stanzas (RFC 6120 §4.8.3).
    """

    content = ns.CLIENT

    def __init__(self, config: StreamConfig) -> None:
        self.config = config
        self.state = State.CONNECTED
        self.was_live = False
        self.sm: StreamManagement | None = None
        self.mechanism = ""
        self.password_mechanism = ""  # the one of the login before tokens, where one is used
        self.is_by_token = self._is_token_refused = False
        self.jid = config.jid
        self.max_stanza_bytes = config.limits.stanza_bytes  # outbound; the server's XEP-0478 limit when smaller
        self._reader = ArrivalReader(config.limits.arriving)
        self._offer: sasl.Offer | None = None
        self._exchange: sasl.Exchange | None = None
        self._starttls_sent = False
        # By this remembered offer a login was begun, before the server's own offer came.
        self._guessed: sasl.Offer | None = None
        self._refused: set[str] = set()  # mechanisms, on this stream
        self._certificate: bytes | None = None
        self.has_header = False  # the server's header has come
        self.offers_sasl2 = False  # the server offers SASL2, which we may or may not use

    @property
    def _ahead(self) -> Known | None:
        """What the server offered the last time, where we may act on it before it answers; without TLS None."""
        known = self.config.known
        return None if known is None or known.rung is Rung.NOTHING or self.config.tls == "off" else known

    # ── Opening and TLS (RFC 6120 §4, §5) ───────────────────────────────────────────────────────────────────────

    def _open_header(self, state: State) -> list[Output]:
        self.state = state
        self._reader = ArrivalReader(self.config.limits.arriving)
        self.has_header = False
        header = start_tag(
            "stream:stream",
            {
                # RFC 6120 §4.7.1: our own address is not sent in the clear, before TLS.
                "from": None if state is State.PLAIN or self.jid.localpart is None else str(self.jid.bare),
                "to": self.config.jid.domainpart,
                "version": "1.0",
                "xml:lang": self.config.language,
                "xmlns": self.content,
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
        if child(tree(event.element), ns.TLS, "starttls") is None:
            elsewhere = "--tls direct --host HOST:5223, if it has direct TLS; or " * (self.content == ns.CLIENT)
            raise ProtocolError(
                f"{self.config.jid.domainpart} offers no STARTTLS, and without TLS nothing is sent",
                layer="tls",
                hint=f"{elsewhere}its operator must switch STARTTLS on",
            )
        self.state = State.STARTTLS
        return [] if self._starttls_sent else [self._starttls()]

    def _starttls(self) -> Write:
        self._starttls_sent = True
        return Write(element("starttls", {"xmlns": ns.TLS}).encode())

    def _on_proceed(self, _event: ev.ProceedReceived) -> list[Output]:
        self.state = State.HANDSHAKE
        return [StartTls()]

    def _on_tls_failure(self, _event: ev.TlsFailureReceived) -> list[Output]:
        raise ProtocolError(
            "the server refuses STARTTLS", layer="tls", hint="try again later, or --tls direct with the port for it"
        )

    def _on_tls(self, event: ev.TlsEstablished) -> list[Output]:
        self._certificate = event.certificate
        return self._open_header(State.SECURED) + self._log_in_ahead()

    # ── SASL (RFC 6120 §6) ──────────────────────────────────────────────────────────────────────────────────────

    def _on_secured_features(self, event: ev.FeaturesReceived) -> list[Output]:
        features = tree(event.element)
        self._read_limits(features)
        if self.config.registers:
            self.state = State.REGISTERING
            return [ev.RegistrationOpen(child(features, ns.REGISTER_FEATURE, "register") is not None)]
        older = child(features, ns.SASL, "mechanisms")
        newer = child(features, ns.SASL2, "authentication") if self._may_use_sasl2 else None
        if older is None and newer is None:
            if self.config.tls == "off" and child(features, ns.TLS, "starttls") is not None:
                raise ProtocolError("the server wants TLS before the login", layer="tls", hint="leave out --tls off")
            raise ProtocolError("the server offers no login (no SASL mechanisms)", layer="sasl")
        bindings = child(features, ns.SASL_CHANNEL_BINDING, "sasl-channel-binding")
        types = frozenset(binding.get("type", "") for binding in (() if bindings is None else bindings))
        self._offer = self._chosen(*(None if one is None else self._listed(one, types) for one in (older, newer)))
        self.state = State.SASL if self._offer.tokens is None else State.SASL2
        return [] if self._guessed is not None else self._log_in(self._offer)

    def _listed(self, feature: Tree, bindings: frozenset[str]) -> sasl.Offer:
        """What one of the two logins, the older one and SASL2, offers."""
        names = frozenset((one.text or "").strip() for one in feature if one.tag.endswith("}mechanism"))
        is_sasl2 = feature.tag.startswith(f"{{{ns.SASL2}}}")
        return self._offer_of(names, bindings, _tokens(feature) if is_sasl2 else None)

    def _chosen(self, older: sasl.Offer | None, newer: sasl.Offer | None) -> sasl.Offer:
        """SASL2, unless the older login has a stronger mechanism; or the one that was begun ahead, if it is there.

        Where SASL2 lists PLAIN alone beside the older login's SCRAM, the password itself is not sent.
        """
        mine = self.config.credentials
        if older is not None and newer is not None and older.strength(mine) > newer.strength(mine):
            newer = None
        self.offers_sasl2 = newer is not None
        begun = self._guessed
        chosen = (newer or older) if begun is None else older if begun.tokens is None else newer
        if chosen is None:
            raise Surprise("it offers the login of the last time no more, or a stronger one beside it")
        return chosen

    @property
    def _may_use_sasl2(self) -> bool:
        """May SASL2 be used? Only under TLS (XEP-0388 §3)."""
        return self.config.sasl2 and self.config.tls != "off"

    @property
    def is_sasl2(self) -> bool:
        """Is SASL2 used for this login?"""
        offer = self._offer or self._guessed
        return offer is not None and offer.tokens is not None

    @property
    def way(self) -> str:
        """How we logged in, for people."""
        protocol = "SASL2 with a FAST token" if self.is_by_token else "SASL2" if self.is_sasl2 else ""
        return self.mechanism + (f" ({protocol})" if protocol else "")

    def _offer_of(
        self, mechanisms: frozenset[str], bindings: frozenset[str], tokens: frozenset[str] | None
    ) -> sasl.Offer:
        is_secure = self.config.tls != "off"
        return sasl.Offer(mechanisms, is_secure, bindings, self._certificate, tokens, self.config.pbkdf2)

    def _log_in_ahead(self) -> list[Output]:
        """Begin the login by the offer of the last time, before the server makes its own, where that is possible."""
        if (known := self._ahead) is None:
            return []
        if known.tokens is not None and not self._may_use_sasl2:
            return []
        offer = self._offer_of(known.mechanisms, known.bindings, known.tokens)
        if not offer.possible(self.config.credentials):
            return []
        self._guessed = offer
        try:
            return self._log_in(offer)
        except SaslError:  # such as a downgrade; only the new offer may decide that, not a remembered one
            self._guessed = None
            return []

    def _log_in(self, offer: sasl.Offer) -> list[Output]:
        self._exchange = self._begin(offer)
        self.mechanism = self._exchange.name
        self._refuse_downgrade()
        if not self.is_by_token:
            self.password_mechanism = self.mechanism
        return [self._auth(offer, self._exchange.initial())]

    def _begin(self, offer: sasl.Offer) -> sasl.Exchange:
        return offer.begin(self.config.jid, self.config.credentials, self._refused)

    def _auth(self, _offer: sasl.Offer, initial: bytes) -> Write:
        auth = element("auth", {"xmlns": ns.SASL, "mechanism": self.mechanism}, sasl.encode(initial))
        return Write(auth.encode(), secret=True)

    def _refuse_downgrade(self) -> None:
        """Refuse PLAIN where the last login was by SCRAM, which proved the server; raises SaslError.

        Somebody in the server's place could offer PLAIN alone to get the password itself.
        """
        asked, before = self.config.credentials.mechanism, self._mechanism_before
        if asked is not None or self.mechanism != "PLAIN" or not before.startswith("SCRAM"):
            return
        raise SaslError(
            f"{self.config.jid.domainpart} took {before} the last time, and PLAIN is all that is left now:"
            " the password is not sent",
            hint="ask its operator; --mechanism PLAIN sends it all the same",
        )

    @property
    def _mechanism_before(self) -> str:
        """The mechanism of the last login with the password, empty when none is known."""
        token = None if self.config.client is None else self.config.client.token
        known = "" if self.config.known is None else self.config.known.mechanism
        return known or ("" if token is None else token.by)

    def _on_challenge(self, event: ev.ChallengeReceived | ev.Sasl2ChallengeReceived) -> list[Output]:
        assert self._exchange is not None
        assert self._offer is not None
        data = sasl.decode(tree(event.element).text) or b""
        answer = self._exchange.challenged(data)
        if isinstance(answer, bytes):
            return self._respond(answer)
        self._offer.refuse_tampering(self.mechanism, data)
        self.state = State.SASL2_HASHING if self.is_sasl2 else State.HASHING
        return [HashPassword(answer)]

    def _on_hashed(self, event: ev.PasswordHashed) -> list[Output]:
        self.state = State.SASL2 if self.is_sasl2 else State.SASL
        return self._respond(event.response)

    def _respond(self, response: bytes) -> list[Output]:
        if self.is_sasl2:
            said = element("response", {"xmlns": ns.SASL2}, sasl.encode_sasl2(response))
            return [Write(said.encode(), secret=True)]
        said = element("response", {"xmlns": ns.SASL}, sasl.encode(response) if response else None)
        return [Write(said.encode(), secret=True)]

    def _on_success(self, event: ev.SuccessReceived) -> list[Output]:
        assert self._exchange is not None
        self._exchange.succeeded(sasl.decode(tree(event.element).text))
        return self._open_header(State.AUTHENTICATED)

    def _on_sasl_failure(self, event: ev.SaslFailureReceived) -> list[Output]:
        return self._on_refusal(*condition_of(tree(event.element), ns.SASL))

    def _on_refusal(self, condition: str, text: str | None) -> list[Output]:
        """The login was refused: begin another one, or raise SaslError."""
        assert self._offer is not None
        assert self._exchange is not None
        guessed, self._guessed = self._guessed, None
        if guessed not in (None, self._offer):
            return self._log_in(self._offer)  # begin again by what the server offers now
        self._refused.add(self.mechanism)
        others = [name for name in self._offer.possible(self.config.credentials) if name not in self._refused]
        # RFC 6120 §6.4.5: another mechanism may be tried on the same stream. `possible` keeps to what is allowed (only
        # that of --mechanism, PLAIN only under TLS). A server that calls a SCRAM too weak does not get PLAIN, which is
        # weaker.
        retry = [name for name in others if condition != "mechanism-too-weak" or name != "PLAIN"]
        if condition in NEXT_MECHANISM and retry:
            return self._log_in(self._offer)
        error = SaslError.refused(str(self.config.jid.bare), condition, text, self.config.credentials.source)
        if condition == "not-authorized":
            error.hint = "; ".join([str(error.hint), *sasl.other_causes(self._exchange, others)])
        raise error

    def _read_limits(self, features: Tree) -> None:
        """Take the server's limit for a stanza (XEP-0478): the latest one counts, where it is below our own."""
        limits = child(features, ns.STREAM_LIMITS, "limits")
        limit = None if limits is None else number(limits.findtext(f"{{{ns.STREAM_LIMITS}}}max-bytes"))
        own = self.config.limits.stanza_bytes
        self.max_stanza_bytes = own if limit is None else min(own, max(limit, MIN_LIMIT_BYTES))


def violation(event: object, state: State) -> ProtocolViolation:
    """The error for an event that the table does not allow."""
    what = f"<{event.element.kind}/>" if isinstance(event, ev.ElementReceived) else type(event).__name__
    return ProtocolViolation(f"the server sent {what} where the protocol forbids it (state: {state})")


def _tokens(feature: Tree) -> frozenset[str]:
    """The mechanisms for tokens (XEP-0484 §3.2). Step by step: a path has xml.etree.ElementPath loaded, and `re` by it,
    while the server waits for our answer."""
    inline = child(feature, ns.SASL2, "inline")
    fast = None if inline is None else child(inline, ns.FAST, "fast")
    mechanisms = () if fast is None else fast.findall(f"{{{ns.FAST}}}mechanism")
    return frozenset((one.text or "").strip() for one in mechanisms)


def child(parent: Tree, namespace: str, name: str) -> Tree | None:
    """The first child element of this name, None where there is none."""
    return parent.find(f"{{{namespace}}}{name}")
