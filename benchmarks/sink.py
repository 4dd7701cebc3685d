"""A server that takes and acknowledges everything, so that the client is what is measured. `python -m benchmarks.sink`.

STARTTLS, PLAIN with any password, bind, XEP-0198; the answer to every IQ of ours is a result. An account named `flood`
gets FLOOD messages behind the acknowledgement of its first presence; everybody has the contacts of ROSTER. It prints
lines of JSON: its port, then what each client has sent.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import ssl
import threading
from base64 import b64decode
from functools import partial
from pathlib import Path

DOMAIN = "sink.test"
OPENED = (
    f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    f" id='s' from='{DOMAIN}' version='1.0'><stream:features>%s</stream:features>"
)
STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
SASL = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
BIND = (
    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/>"
    "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"
)
ASK = re.compile(rb"<r xmlns=(?:'urn:xmpp:sm:3'|\"urn:xmpp:sm:3\") ?/>")
ENABLE = re.compile(rb"<enable xmlns=['\"]urn:xmpp:sm:3")  # and not the one of carbons
IQ = re.compile(rb"<iq\b[^>]*>")
REQUEST = re.compile(IQ.pattern + rb"(?:<query xmlns=['\"]jabber:iq:roster)?")
ID = re.compile(rb"\bid=[\"']([^\"']*)")
CHUNK_BYTES = 256 * 1024
say = partial(print, flush=True)


class Client:
    """One connection, in a thread of its own."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, flood: int, roster: bytes) -> None:
        self._sock, self._context, self._flood, self._roster = sock, context, flood, roster
        self._rest = b""
        self._handled = 0
        self._user = ""
        self._counts = False
        self.messages = 0

    def run(self) -> None:
        """Serve it to its end."""
        try:
            self._until(rb"<stream:stream[^>]*>")
            self._say(OPENED % STARTTLS)
            self._until(rb"<starttls[^>]*>")
            self._say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            self._sock = self._context.wrap_socket(self._sock, server_side=True)
            self._until(rb"<stream:stream[^>]*>")
            self._say(OPENED % SASL)
            self._user = b64decode(self._until(rb"<auth[^>]*>([^<]*)</auth>")[1]).split(b"\0")[1].decode()
            self._say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            self._until(rb"<stream:stream[^>]*>")
            self._say(OPENED % BIND)
            self._live()
        except (OSError, EOFError):
            pass  # the client went: nothing is owed to it
        finally:
            self._sock.close()  # at once behind the end of the stream, as servers do
        say(json.dumps({"messages": self.messages}))

    def _say(self, text: str) -> None:
        self._sock.sendall(text.encode())

    def _read(self) -> bytes:
        data = self._sock.recv(CHUNK_BYTES)
        if not data:
            raise EOFError
        return data

    def _until(self, pattern: bytes) -> re.Match[bytes]:
        while (found := re.search(pattern, self._rest)) is None:
            self._rest += self._read()
        self._rest = self._rest[found.end() :]
        return found

    def _live(self) -> None:
        while True:
            cut = self._rest.rfind(b">") + 1
            whole, self._rest = self._rest[:cut], self._rest[cut:]
            if whole:
                answers = self._answers(whole)
                if answers:
                    self._sock.sendall(b"".join(answers))
            if b"</stream:stream>" in whole:
                self._say("</stream:stream>")
                return
            self._rest += self._read()

    def _answers(self, whole: bytes) -> list[bytes]:
        answers: list[bytes] = []
        start = 0
        for ask in ASK.finditer(whole):
            answers += self._counted(whole[start : ask.start()])
            answers.append(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % self._handled)
            start = ask.end()
        return answers + self._counted(whole[start:])

    def _counted(self, data: bytes) -> list[bytes]:
        """Count the stanzas of a stretch, and answer its IQ."""
        messages, presences = data.count(b"</message>"), data.count(b"<presence")
        self.messages += messages
        requests = REQUEST.findall(data)
        if self._counts:
            self._handled += messages + presences + len(requests)
        answers = [self._result(request) for request in requests]
        if (enable := ENABLE.search(data)) is not None:
            self._counts, self._handled = True, 0
            answers.append(b"<enabled xmlns='urn:xmpp:sm:3' id='s' resume='true' max='300'/>")
            behind = data[enable.end() :]
            self._handled = behind.count(b"</message>") + behind.count(b"<presence") + len(IQ.findall(behind))
        if presences and self._user == "flood":
            answers.append(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % self._handled if self._counts else b"")
            head = f"<message from='alice@{DOMAIN}/x' to='flood@{DOMAIN}' type='chat' id='m"
            answers += [f"{head}{n}'><body>message number {n}</body></message>".encode() for n in range(self._flood)]
        return answers

    def _result(self, request: bytes) -> bytes:
        found = ID.search(request)
        stanza_id = found[1] if found else b""
        jid = f"{self._user}@{DOMAIN}/r"
        if b"jabber:iq:roster" in request:
            return b"<iq type='result' id='%s'><query xmlns='jabber:iq:roster'>%s</query></iq>" % (
                stanza_id,
                self._roster,
            )
        bound = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{jid}</jid></bind>" if not self._counts else ""
        return b"<iq type='result' id='%s'>%s</iq>" % (stanza_id, bound.encode())


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink")
    parser.add_argument("certificate", type=Path, help="PEM with the key and the chain")
    parser.add_argument("--flood", type=int, default=50_000, metavar="N")
    parser.add_argument("--roster", type=Path, metavar="FILE", help="items of a roster, in XML")
    arguments = parser.parse_args()
    roster = b"" if arguments.roster is None else arguments.roster.read_bytes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        say(json.dumps({"port": server.getsockname()[1]}))
        while True:
            sock, _ = server.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = Client(sock, context, arguments.flood, roster)
            threading.Thread(target=client.run, daemon=True).start()


if __name__ == "__main__":
    main()
