"""One client's stream, from the header to the footer (RFC 6120 §4–§7).

What may come in which state stands in `TABLE`; anything else is a stream error. `fail` is the one place that turns
a fault into an error, a footer and a close.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import MalformedJid, SaslError, XmlError
from xmppsh.playground import login, management
from xmppsh.playground.faults import Trouble
from xmppsh.playground.stanza import error_reply, made, parse_jid, random_id
from xmppsh.playground.wire import Wire
from xmppsh.protocol.sm import HandledCountTooHigh
from xmppsh.xmlio.build import Xml, element, start_tag
from xmppsh.xmlio.reader import STREAM_NAME, Footer, Header, Limits, StreamReader, tree

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from xmppsh.model import Element
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.login import Login, PasswordFile
    from xmppsh.playground.router import Router
    from xmppsh.playground.session import Session

LIMITS = Limits()
MAX_LOGIN_ATTEMPTS = 5  # RFC 6120 §6.4.5
FOOTER = "</stream:stream>"


class State(Enum):
    """How far the stream is."""

    CLEAR = "clear"  # only STARTTLS is allowed
    SECURING = "securing"  # the TLS handshake runs
    SECURED = "secured"  # only SASL is allowed
    AUTHENTICATED = "authenticated"  # bind, or resume
    BOUND = "bound"
    CLOSED = "closed"


class Connection:
    """The stream of one client on one wire."""

    def __init__(self, router: Router, passwords: PasswordFile, context: ssl.SSLContext, *, direct_tls: bool) -> None:
        self.router, self.passwords = router, passwords
        self.state = State.CLEAR
        self.session: Session | None = None
        self.account: Account | None = None
        self.wire = Wire(self)
        self._trouble = Trouble(router.faults, self.wire)
        self._context, self._direct_tls = context, direct_tls
        self._reader = StreamReader(LIMITS)
        self._fresh = True  # nothing of this stream has come yet
        self._header_sent = False
        self._login: Login | None = None
        self._failed_logins = 0

    # What the wire tells

    def on_connected(self) -> None:
        if self._direct_tls:
            self._secure()

    def on_secured(self) -> None:
        self.state = State.SECURED
        self._restart()

    def on_bytes(self, data: bytes) -> None:
        """A stream may restart after any tag until it is bound, so until then one tag at a time is read."""
        start = 0
        while start < len(data) and self.state not in (State.BOUND, State.CLOSED):
            if self.state is State.SECURING:
                # Bytes in clear after <starttls/> could be anybody's (RFC 6120 §5.3.4); Go clients send a newline.
                if data[start:].strip():
                    self.abort()
                return
            end = data.find(b">", start) + 1 or len(data)
            self._read(data[start:end])
            start = end
        if start < len(data):
            self._read(data[start:])

    def on_lost(self) -> None:
        self.state = State.CLOSED
        session, self.session = self.session, None
        if session is not None:
            session.lost()

    def trailer(self) -> str:
        return self.session.trailer() if self.session is not None else ""

    # What the session and the server ask for

    def write(self, xml: str) -> None:
        """Send at the end of this turn of the loop."""
        self.wire.write(xml)

    def abort(self) -> None:
        """Cut the connection without a word."""
        self.wire.abort()

    def leave(self) -> None:
        """The session goes on without this connection."""
        self.session = None

    def fail(self, condition: str, text: str | None = None, *application: Xml) -> None:
        """End the stream with an error (RFC 6120 §4.9), and its session with it."""
        if self.state in (State.SECURING, State.CLOSED):
            self.abort()
            return
        if not self._header_sent:
            self._send_header()  # RFC 6120 §4.9.1.2
        named = element(condition, {"xmlns": ns.STREAM_ERRORS})
        detail = element("text", {"xmlns": ns.STREAM_ERRORS, "xml:lang": "en"}, text) if text else None
        self.write(element("stream:error", {}, named, detail, *application))
        self._end()

    def _end(self) -> None:
        """Close our side, then the connection (RFC 6120 §4.4)."""
        self.write(FOOTER)
        self.state = State.CLOSED
        session, self.session = self.session, None
        if session is not None:
            session.end()
        self.wire.close()

    # Reading

    def _read(self, data: bytes) -> None:
        if self._fresh:
            # Some clients end each element with a newline, which then leads the restarted stream.
            data = data.lstrip(b" \t\r\n")
            self._fresh = not data
        try:
            items = self._reader.feed(data)
        except XmlError as error:
            self.fail(error.condition or "not-well-formed", str(error))
            return
        for item in items:
            if self.state is State.CLOSED:
                return
            if isinstance(item, Header):
                self._on_header(item)
            elif isinstance(item, Footer):
                self._end()
            else:
                self._on_element(item)

    def _on_header(self, header: Header) -> None:
        to = header.attributes.get("to")
        if header.name != STREAM_NAME:
            self.fail("invalid-namespace", "the root is not stream:stream")
        elif to is not None and to.lower() != self.router.domain:
            self.fail("host-unknown", f"this is {self.router.domain}")  # RFC 6120 §4.9.3.6
        elif not header.attributes.get("version", "0").startswith("1."):
            self.fail("unsupported-version")
        else:
            self._send_header()
            self.write(element("stream:features", {}, *self._features()))

    def _on_element(self, received: Element) -> None:
        handler = TABLE.get((self.state, received.name))
        if handler is not None:
            handler(self, received)
        elif self.state is State.BOUND or not received.is_stanza:
            self.fail("unsupported-stanza-type", f"<{received.kind}> cannot be handled now")
        else:
            self.fail("not-authorized", "no stanza before a resource is bound")  # RFC 6120 §7.1

    def _restart(self) -> None:
        self._reader = StreamReader(LIMITS)
        self._fresh, self._header_sent = True, False

    def _send_header(self) -> None:
        self._header_sent = True
        attributes = {
            "xmlns": ns.CLIENT,
            "xmlns:stream": ns.STREAM,
            "id": random_id(),
            "from": self.router.domain,
            "version": "1.0",
            "xml:lang": "en",
        }
        self.write('<?xml version="1.0"?>' + start_tag("stream:stream", attributes))

    def _features(self) -> list[Xml]:
        limits = element(
            "limits", {"xmlns": ns.STREAM_LIMITS}, element("max-bytes", {}, str(LIMITS.stanza_bytes))
        )  # XEP-0478
        match self.state:
            case State.CLEAR:
                return [element("starttls", {"xmlns": ns.TLS}, element("required"))]
            case State.SECURED:
                mechanisms = (element("mechanism", {}, name) for name in login.MECHANISMS)
                return [element("mechanisms", {"xmlns": ns.SASL}, *mechanisms), limits]
            case _:
                session = element("session", {"xmlns": ns.SESSION}, element("optional"))
                return [element("bind", {"xmlns": ns.BIND}), session, management.FEATURE, limits]

    # TLS (RFC 6120 §5)

    def _on_starttls(self, _: Element) -> None:
        self.write(element("proceed", {"xmlns": ns.TLS}))
        self._secure()

    def _secure(self) -> None:
        self.state = State.SECURING
        self.wire.secure(self._context)

    # SASL (RFC 6120 §6)

    def _on_auth(self, auth: Element) -> None:
        try:
            self._login = self.passwords.begin(auth.attributes.get("mechanism", ""), self.router.domain)
        except SaslError as error:
            self._refuse(error)
            return
        if tree(auth).text is None:
            self.write(element("challenge", {"xmlns": ns.SASL}))  # RFC 6120 §6.4.2: no initial response
        else:
            self._on_response(auth)

    def _on_response(self, response: Element) -> None:
        attempt = self._login
        try:
            if attempt is None:
                raise login.refused("malformed-request")
            answer = attempt.step(login.decoded(tree(response).text or "="))
        except SaslError as error:
            self._refuse(error)
            return
        if attempt.account is None:
            self.write(element("challenge", {"xmlns": ns.SASL}, answer))
            return
        self.write(element("success", {"xmlns": ns.SASL}, answer))
        self.account, self._login, self.state = attempt.account, None, State.AUTHENTICATED
        self._restart()

    def _on_abort(self, _: Element) -> None:
        self._refuse(login.refused("aborted"))

    def _refuse(self, error: SaslError) -> None:
        self._login = None
        self._failed_logins += 1
        self.write(element("failure", {"xmlns": ns.SASL}, element(error.condition or "not-authorized")))
        if self._failed_logins >= MAX_LOGIN_ATTEMPTS:
            self.fail("policy-violation", "too many logins failed")

    # Bind (RFC 6120 §7) and stanzas

    def _on_bind(self, source: Element) -> None:
        assert self.account is not None
        request = made("iq", source.attributes.get("type"), self.account.jid, self.account.jid, stanza_id=source.id)
        bind = tree(source).find(f"{{{ns.BIND}}}bind")
        if bind is None:
            self.fail("not-authorized", "no stanza before a resource is bound")
            return
        wanted = bind.findtext(f"{{{ns.BIND}}}resource")
        try:
            jid = parse_jid(f"{self.account.jid}/{wanted}") if wanted else None
        except MalformedJid as error:
            self.write(error_reply(request, "bad-request", str(error)).xml)
            return
        if request.type != "set" or request.id is None:
            self.write(error_reply(request, "bad-request").xml)
            return
        self.session = self.router.bind(self.account, jid.resourcepart if jid is not None else None, self)
        self.state = State.BOUND
        self._trouble.begin()
        payload = element("bind", {"xmlns": ns.BIND}, element("jid", {}, str(self.session.jid)))
        # Without addresses: only now the client knows its own.
        self.write(element("iq", {"type": "result", "id": request.id}, payload))

    @property
    def _bound(self) -> Session:
        assert self.session is not None
        return self.session

    def _on_stanza(self, source: Element) -> None:
        if self._trouble.befalls(source, self._bound.receive):
            self.state = State.CLOSED

    # Stream management (XEP-0198)

    def _on_enable(self, nonza: Element) -> None:
        early = self.session is None
        self.write(management.failed("unexpected-request") if early else self._bound.enable(nonza))

    def _on_resume(self, nonza: Element) -> None:
        assert self.account is not None
        previd, h = nonza.attributes.get("previd", ""), management.handled_count(nonza)
        session = self.router.resumable.get(previd)
        if session is None or session.account is not self.account or h is None or self.session is not None:
            condition = "item-not-found" if h is not None and self.session is None else "unexpected-request"
            self.write(management.failed(condition, self.router.last_count(self.account, previd)))
            return
        try:
            session.resume(self, h)
        except HandledCountTooHigh as error:
            self._count_too_high(error)
            return
        self.session, self.state = session, State.BOUND
        self._trouble.begin()

    def _on_request(self, _: Element) -> None:
        managed = self._bound.managed
        if managed is None or not self._trouble.keeps_acks():
            self.write(managed.ack() if managed is not None else management.failed("unexpected-request"))

    def _on_ack(self, nonza: Element) -> None:
        managed, h = self._bound.managed, management.handled_count(nonza)
        if managed is None or h is None:
            self.write(management.failed("unexpected-request"))
            return
        try:
            managed.on_ack(h)
        except HandledCountTooHigh as error:
            self._count_too_high(error)
            return
        if managed.unacked:
            self.write("")  # the next flush asks again

    def _count_too_high(self, error: HandledCountTooHigh) -> None:
        self.fail("undefined-condition", f"you acknowledge {error.h} of {error.sent}", management.too_high(error))


IQ = f"{{{ns.CLIENT}}}iq"
TABLE: dict[tuple[State, str], Callable[[Connection, Element], None]] = {
    (State.CLEAR, f"{{{ns.TLS}}}starttls"): Connection._on_starttls,
    (State.SECURED, f"{{{ns.SASL}}}auth"): Connection._on_auth,
    (State.SECURED, f"{{{ns.SASL}}}response"): Connection._on_response,
    (State.SECURED, f"{{{ns.SASL}}}abort"): Connection._on_abort,
    (State.AUTHENTICATED, IQ): Connection._on_bind,
    (State.AUTHENTICATED, management.ENABLE): Connection._on_enable,
    (State.AUTHENTICATED, management.RESUME): Connection._on_resume,
    (State.BOUND, IQ): Connection._on_stanza,
    (State.BOUND, f"{{{ns.CLIENT}}}message"): Connection._on_stanza,
    (State.BOUND, f"{{{ns.CLIENT}}}presence"): Connection._on_stanza,
    (State.BOUND, management.ENABLE): Connection._on_enable,
    (State.BOUND, management.RESUME): Connection._on_resume,
    (State.BOUND, management.REQUEST): Connection._on_request,
    (State.BOUND, management.ACK): Connection._on_ack,
}
