"""A small XMPP server on loopback that behaves, except at the steps where a scenario says otherwise.

The steps, in order; a reply in `Spec.steps` (misbehaviour.py) stands in for the good answer to:

    accept                      the connection itself (good: nothing)
    header, features, starttls  in the clear
    tls                         the moment before the handshake (good: nothing)
    header-tls, features-tls, auth (SASL2: authenticate), response
    header-auth, features-auth, bind, enable
    message, presence, r, ping, iq, resume, close
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from scramp import ScramException, ScramMechanism
from support.reset import reset

from hostile.misbehaviour import (
    BIND,
    CLOSE,
    CUT,
    RESET,
    SILENCE,
    SKIP,
    Deed,
    Spec,
    features,
    mechanisms,
    older,
    sasl,
    sasl2,
    sasl_failure,
    token_answer,
)
from hostile.ports import bound_to_a_fresh_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hostile.misbehaviour import Reply

DOMAIN = "hostile.example"
USER = "juliet"
TOKEN = b"t0ken-S3CRET-77aa"
PASSWORD = "pa55-S3CRET-0d9e"
STREAM = "{http://etherx.jabber.org/streams}stream"
SM = "urn:xmpp:sm:3"
FOOTER = "</stream:stream>"
HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    f"id='s1' from='{DOMAIN}' version='1.0' xml:lang='en'>"
)
STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
SCRAM = ScramMechanism("SCRAM-SHA-256")
SALT, STORED_KEY, SERVER_KEY, ITERATIONS = SCRAM.make_auth_info(PASSWORD, iteration_count=4096)


class Over(Exception):
    """This connection is done with."""


class Connection(threading.Thread):
    """One client, from accept to close; what it sent stays in `clear` and `encrypted`."""

    PATIENCE_S = 20.0  # no scenario lasts longer; only keeps threads from living for ever

    def __init__(self, server: Server, sock: socket.socket, number: int) -> None:
        super().__init__(daemon=True, name=f"connection {number}")
        self.server, self.sock, self.number = server, sock, number
        self.clear, self.encrypted = bytearray(), bytearray()
        self.close_notify = False
        self.server_first = ""
        self._secure, self._phase, self.handled = False, "", 0  # handled: stanzas since `<enable/>`
        self._out: list[bytes] = []
        self._scram = SCRAM.make_server(lambda _name: (SALT, STORED_KEY, SERVER_KEY, ITERATIONS))
        self._restart()

    @property
    def footer(self) -> bool:
        """Did the client end its stream?"""
        return FOOTER.encode() in (self.encrypted or self.clear)

    def run(self) -> None:
        """Serve until somebody closes."""
        self.sock.settimeout(self.PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._serve()
        except Over:
            pass  # the scenario ended; what was received says the rest
        except OSError:
            self._hear_out()
        finally:
            self.sock.close()

    def _hear_out(self) -> None:
        """The client left while we were writing, maybe: what it had said before is there to be read."""
        self._out.clear()
        with contextlib.suppress(OSError, ValueError):
            while self._receive():
                pass

    def _serve(self) -> None:
        self._reply("accept", "")
        if self.server.spec.direct:
            self._handshake()
        try:
            for element in self._elements():
                if element is None:
                    self._reply("close", FOOTER)
                else:
                    self._on(element)
        except ElementTree.ParseError:
            # A client that speaks TLS to a port for STARTTLS: what Prosody and ejabberd answer.
            not_well_formed = "<not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            self._act((f"{HEADER}<stream:error>{not_well_formed}</stream:error>{FOOTER}", CLOSE), "", {})

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _restart(self) -> None:
        self._parser: Any = ElementTree.XMLPullParser(("start", "end"))
        self._depth = 0

    def _elements(self) -> Iterator[ElementTree.Element | None]:
        """The header and each element behind it; None for the footer."""
        while data := self._receive():
            self._parser.feed(data)
            if hasattr(self._parser, "flush"):
                self._parser.flush()
            parser = self._parser
            for event, element in parser.read_events():
                self._depth += 1 if event == "start" else -1
                if event == "start" and self._depth == 1:
                    yield element
                elif event == "end" and self._depth < 2:
                    yield element if self._depth else None
                if parser is not self._parser:
                    break

    def _receive(self) -> bytes:
        self.flush()
        try:
            data = self.sock.recv(65536)
        except ssl.SSLEOFError:
            return b""  # FIN without close_notify
        (self.encrypted if self._secure else self.clear).extend(data)
        self.close_notify = self._secure and not data
        return data

    def _handshake(self) -> None:
        self._reply("tls", "")
        self.flush()
        spec = self.server.spec
        context = self.server.contexts[
            spec.certificate if self.number == 1 else spec.later_certificate or spec.certificate
        ]
        self.sock = context.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=False)
        self._secure, self._phase = True, "-tls"
        self._restart()

    # ── Answering ───────────────────────────────────────────────────────────────────────────────────────────────

    def _on(self, element: ElementTree.Element) -> None:
        name = element.tag.rpartition("}")[2]
        facts = {key: element.get(key, "") for key in ("id", "to")}
        if name in ("message", "presence", "iq"):
            self.handled += 1
        match name:
            case "stream":
                self._reply("header" + self._phase, HEADER)
                self._reply("features" + self._phase, self._features())
            case "starttls":
                if "<proceed" in self._reply("starttls", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"):
                    self._handshake()
            case "authenticate" | "response" if element.tag.startswith("{urn:xmpp:sasl:2}"):
                if "<success" in self._reply(name, sasl2(self._sasl(*older(name, element)))):
                    self._phase = "-auth"
                    self._reply("features-auth", self._features())
            case "auth" | "response":
                if "<success" in self._reply(name, self._sasl(name, element)):
                    self._phase = "-auth"
                    self._restart()
            case "enable":
                self.handled = 0
                self._reply("enable", f"<enabled xmlns='{SM}'/>")
            case "resume":
                gone = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                self._reply("resume", f"<failed xmlns='{SM}'>{gone}</failed>")
            case "r":
                self._reply("r", f"<a xmlns='{SM}' h='{self.handled}'/>")
            case "message" | "presence":
                self._reply(name, "", facts)
            case "iq" if element.get("type") in ("get", "set"):
                self._on_request(element, facts)
            case _:
                pass

    def _on_request(self, iq: ElementTree.Element, facts: dict[str, str]) -> None:
        sender = f" from='{facts['to']}'" if facts["to"] else ""
        payload = iq[0].tag if len(iq) else ""
        if payload.endswith("xmpp-bind}bind"):
            jid = f"<jid>{USER}@{DOMAIN}/r1</jid>"
            facts["resource"] = iq[0].findtext("{*}resource") or "r1"
            bound = f"<iq type='result' id='{facts['id']}'>{BIND.removesuffix('/>')}>{jid}</bind></iq>"
            self._reply("bind", bound, facts)
        elif payload == "{urn:xmpp:ping}ping":
            self._reply("ping", f"<iq type='result' id='{facts['id']}'{sender}/>", facts)
        else:
            self._reply("iq", f"<iq type='result' id='{facts['id']}'{sender}/>", facts)

    def _features(self) -> str:
        if self._phase == "":
            return features(STARTTLS)
        if self._phase == "-tls":
            return features(mechanisms("SCRAM-SHA-256", "PLAIN"))
        return features(f"{BIND}<sm xmlns='{SM}'/>")

    def _sasl(self, name: str, element: ElementTree.Element) -> str:
        data = b64decode("" if element.text in (None, "=") else element.text)
        if name == "auth" and element.get("mechanism", "").startswith("HT-"):
            return token_answer(data, USER, TOKEN)
        if name == "auth" and element.get("mechanism") != SCRAM.name:
            return sasl("success")
        if not data:
            return sasl("success")  # the client took the server's signature out of a challenge
        try:
            if name == "auth":
                self._scram.set_client_first(data.decode())
                self.server_first = self._scram.get_server_first()
                return sasl("challenge", self.server_first.encode())
            self._scram.set_client_final(data.decode())
            return sasl("success", self._scram.get_server_final().encode())
        except ScramException:
            return sasl_failure("not-authorized")

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _reply(self, step: str, good: str, facts: Mapping[str, str] | None = None) -> str:
        return self._act(self.server.spec.steps.get(step, good), good, facts or {})

    def _act(self, reply: Reply, good: str, facts: Mapping[str, str]) -> str:
        written = ""
        for act in reply if isinstance(reply, tuple) else (reply,):
            if isinstance(act, str):
                written += self._filled(act, good, facts)
                self._out.append(self._filled(act, good, facts).encode())
            elif isinstance(act, bytes):
                self._out.append(act)
            elif isinstance(act, Deed):
                self._do(act)
            else:
                written += self._act(act(self, good), good, facts)
        return written

    def _filled(self, text: str, good: str, facts: Mapping[str, str]) -> str:
        ports = {"good": good, "port": str(self.server.port), "other": str(self.server.other_port), **facts}
        for key, value in ports.items():
            text = text.replace("{" + key + "}", value)
        return text

    def _do(self, deed: Deed) -> None:
        if deed is SKIP:
            return
        self.flush()
        if deed is CLOSE and isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(2.0)
            self.sock = self.sock.unwrap()
        if deed in (CLOSE, CUT):
            self.sock.shutdown(socket.SHUT_WR)
        if deed is RESET:
            reset(self.sock)
        if deed is SILENCE:
            while self._receive():
                pass
        raise Over

    def flush(self) -> None:
        """Write what waits."""
        data, self._out = b"".join(self._out), []
        chunk = self.server.spec.chunk or len(data) or 1
        for start in range(0, len(data), chunk):
            self.send(data[start : start + chunk])

    def send(self, data: bytes) -> None:
        """Write now, in a packet of its own."""
        self.sock.sendall(data)


class Server:
    """Listens on a free port of 127.0.0.1 as long as the block lasts."""

    connected: type[Connection] = Connection  # what serves a client

    def __init__(self, spec: Spec, contexts: Mapping[str, ssl.SSLContext], other_port: int = 0) -> None:
        self.spec, self.contexts, self.other_port = spec, contexts, other_port
        self.connections: list[Connection] = []
        self._listener = (
            bound_to_a_fresh_port()
        )  # one that never listens refuses, and keeps its port from other servers
        if spec.listens:
            self._listener.listen(0 if spec.fills_backlog else 20)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True, name="accept")
        self._fillers: list[socket.socket] = []

    def __enter__(self) -> Server:
        if self.spec.fills_backlog:
            self._fill_backlog()
        elif self.spec.listens:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._listener.shutdown(socket.SHUT_RDWR)
            self._thread.join()
        self._listener.close()
        for filler in self._fillers:
            filler.close()
        deadline = time.monotonic() + 5
        for connection in self.connections:
            connection.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            connection = self.connected(self, sock, len(self.connections) + 1)
            self.connections.append(connection)
            connection.start()

    def _fill_backlog(self) -> None:
        """Linux drops the SYNs of a listener whose queue is full: a black hole on loopback."""
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)
