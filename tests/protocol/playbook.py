"""A server on paper: what it says in each state of a client's stream, and streams driven to any state."""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as ET

import scramp

from xmppsh.model import Credentials, Jid
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Disconnect, HashPassword, Output, Write
from xmppsh.protocol.sm import Resumption, StreamManagement
from xmppsh.protocol.stream import Stream, StreamConfig
from xmppsh.protocol.table import State

JULIET = Jid.parse("juliet@example.org/balcony")
PASSWORD = "pencil"
TOKEN = "secret-token:fast-1"
NS = {
    "tls": "urn:ietf:params:xml:ns:xmpp-tls",
    "sasl": "urn:ietf:params:xml:ns:xmpp-sasl",
    "sasl2": "urn:xmpp:sasl:2",
    "fast": "urn:xmpp:fast:0",
    "bind": "urn:ietf:params:xml:ns:xmpp-bind",
    "sm": "urn:xmpp:sm:3",
    "stanzas": "urn:ietf:params:xml:ns:xmpp-stanzas",
    "streams": "urn:ietf:params:xml:ns:xmpp-streams",
}
HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "id='s1' from='example.org' version='1.0'>"
)
FOOTER = "</stream:stream>"
PROCEED = f"<proceed xmlns='{NS['tls']}'/>"
ENABLED = f"<enabled xmlns='{NS['sm']}'/>"
RESUMED = f"<resumed xmlns='{NS['sm']}' previd='sm1' h='5'/>"
STARTTLS_FEATURES = f"<stream:features><starttls xmlns='{NS['tls']}'><required/></starttls></stream:features>"
BIND_RESULT = (
    f"<iq type='result' id='bind'><bind xmlns='{NS['bind']}'><jid>juliet@example.org/balcony</jid></bind></iq>"
)
MESSAGE = "<message from='romeo@example.net/orchard'><body>But soft!</body></message>"


def mechanisms(*names: str, inside: str = "") -> str:
    listed = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    return f"<stream:features><mechanisms xmlns='{NS['sasl']}'>{listed}</mechanisms>{inside}</stream:features>"


def modern(*names: str, tokens: tuple[str, ...] = (), inside: str = "") -> str:
    """The features of a server with SASL2 beside the older login."""
    listed = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    fast = "".join(f"<mechanism>{name}</mechanism>" for name in tokens)
    inline = f"<inline><fast xmlns='{NS['fast']}'>{fast}</fast></inline>" if tokens else ""
    return mechanisms(*names, inside=f"<authentication xmlns='{NS['sasl2']}'>{listed}{inline}</authentication>{inside}")


def bound_features(*, sm: bool = True, inside: str = "") -> str:
    acks = f"<sm xmlns='{NS['sm']}'/>" if sm else ""
    return f"<stream:features><bind xmlns='{NS['bind']}'/>{acks}{inside}</stream:features>"


def new_stream(tls: Any = "starttls", **changes: Any) -> Stream:
    settings = {"jid": JULIET, "credentials": Credentials(PASSWORD), "tls": tls, **changes}
    return Stream(StreamConfig(**settings))


def former_session() -> StreamManagement:
    """A session whose link is lost: of seven stanzas the server acked four; three of its own were taken."""
    return StreamManagement.restored(Resumption("sm1"), acked=4, sent=7, handled=3)


def feed(stream: Stream, text: str | bytes) -> list[Output]:
    return list(stream.receive(text.encode() if isinstance(text, str) else text))


def written(outputs: Iterable[Output]) -> bytes:
    return b"".join(output.data for output in outputs if isinstance(output, Write))


def fault_of(outputs: list[Any]) -> Any:
    """What the stream ended with."""
    assert isinstance(outputs[-1], ev.StreamEnded)
    assert outputs[-2] == Disconnect()
    return outputs[-1].error


class GoodServer:
    """Gives, for the state a stream is in, what a correct server says next. Hand it every output of the stream."""

    def __init__(
        self, *offered: str, sm: bool = True, password: str = PASSWORD, tokens: tuple[str, ...] | None = None
    ) -> None:
        self.tokens = tokens  # it has SASL2, with these of FAST
        self.offered = offered or ("SCRAM-SHA-1",)
        self.proved = False  # a success was sent that a SCRAM client may believe
        self._sm = sm
        self._client = b""
        self._work: HashPassword | None = None
        scram = scramp.ScramMechanism("SCRAM-SHA-1")
        facts = scram.make_auth_info(password, iteration_count=4096)
        self._scram = scram.make_server(lambda _: facts)
        self._final, self._asks_token = "", False

    def hear(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Write):
                self._client = output.data
            elif isinstance(output, HashPassword):
                self._work = output

    def next(self, stream: Stream) -> str | object | None:
        """Text to feed, an event of the link to handle, or nothing when the stream is closed."""
        match stream.state:
            case State.PLAIN:
                return HEADER + STARTTLS_FEATURES
            case State.STARTTLS:
                return PROCEED
            case State.HANDSHAKE:
                return ev.TlsEstablished(None)
            case State.SECURED:
                if self.tokens is not None:
                    return HEADER + modern(*self.offered, tokens=self.tokens)
                return HEADER + mechanisms(*self.offered)
            case State.SASL:
                return self._sasl()
            case State.SASL2:
                return self._modern()
            case State.HASHING | State.SASL2_HASHING:
                assert self._work is not None
                return ev.PasswordHashed(self._work.work())
            case State.AUTHENTICATED if stream.is_sasl2:
                return bound_features(sm=self._sm)
            case State.AUTHENTICATED:
                return HEADER + bound_features(sm=self._sm)
            case State.RESUMING:
                return RESUMED
            case State.BINDING:
                return BIND_RESULT
            case State.BOUND:
                return ENABLED
            case State.LIVE:
                return MESSAGE
            case State.CLOSING:
                return FOOTER
        return None

    def _sasl(self) -> str:
        found = re.fullmatch(rb"<(auth|response) [^>]*>([^<]*)</\1>", self._client)
        assert found is not None, self._client
        text = b64decode(found.group(2)).decode() if found.group(2) != b"=" else ""
        if found.group(1) == b"auth":
            if b"SCRAM" not in self._client:
                self.proved = True
                return f"<success xmlns='{NS['sasl']}'/>"
            self._scram.set_client_first(text)
            challenge = b64encode(self._scram.get_server_first().encode()).decode()
            return f"<challenge xmlns='{NS['sasl']}'>{challenge}</challenge>"
        if not self._final:
            self._scram.set_client_final(text)
            self._final = b64encode(self._scram.get_server_final().encode()).decode()
        self.proved = True
        return f"<success xmlns='{NS['sasl']}'>{self._final}</success>"

    def _modern(self) -> str:
        said = ET.fromstring(self._client)
        self._asks_token |= said.find(f"{{{NS['fast']}}}request-token") is not None
        initial = said.findtext(f"{{{NS['sasl2']}}}initial-response")
        given = b64decode(said.text or initial or "")
        who, final = f"<authorization-identifier>{JULIET.bare}</authorization-identifier>", ""
        if said.get("mechanism", "").startswith("HT-"):
            assert given == b"juliet\0" + hmac.digest(TOKEN.encode(), b"Initiator", "sha256")
            final = b64encode(hmac.digest(TOKEN.encode(), b"Responder", "sha256")).decode()
        elif initial is not None and "SCRAM" in said.get("mechanism", ""):
            self._scram.set_client_first(given.decode())
            challenge = b64encode(self._scram.get_server_first().encode()).decode()
            return f"<challenge xmlns='{NS['sasl2']}'>{challenge}</challenge>"
        elif initial is None:
            self._scram.set_client_final(given.decode())
            final = b64encode(self._scram.get_server_final().encode()).decode()
        self.proved = True
        data = f"<additional-data>{final}</additional-data>" if final else ""
        token = (
            f"<token xmlns='{NS['fast']}' token='{TOKEN}' expiry='2099-01-01T00:00:00Z'/>" if self._asks_token else ""
        )
        return f"<success xmlns='{NS['sasl2']}'>{data}{who}{token}</success>"


def step(stream: Stream, server: GoodServer) -> list[Output]:
    said = server.next(stream)
    outputs = feed(stream, said) if isinstance(said, str) else stream.handle(said)
    server.hear(outputs)
    return outputs


def stream_at(state: State, **changes: Any) -> tuple[Stream, GoodServer]:
    """A stream that a good server has led to this state."""
    if state is State.RESUMING and "resume" not in changes:
        changes["resume"] = former_session()
    server = GoodServer(tokens=() if state in (State.SASL2, State.SASL2_HASHING) else None)
    if state is State.REGISTERING:
        changes["registers"] = True
    stream = new_stream(**changes)
    if state is State.CONNECTED:
        return stream, server
    server.hear(stream.open())
    target = State.LIVE if state in (State.CLOSING, State.CLOSED) else state
    while stream.state is not target:
        outputs = step(stream, server)
        assert not stream.is_closed, outputs
    if state in (State.CLOSING, State.CLOSED):
        server.hear(stream.close())
    if state is State.CLOSED:
        step(stream, server)
    assert stream.state is state
    return stream, server
