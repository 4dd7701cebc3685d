"""A server on loopback that sends any number of messages at once, right behind the client's presence."""

import asyncio
import re
from collections.abc import Sequence
from typing import Self

from support.servers import PortClaim

DOMAIN = "flood.example"
JID = f"somebody@{DOMAIN}/here"
SM = "urn:xmpp:sm:3"
HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    f"id='s1' from='{DOMAIN}' version='1.0'>"
)
LOGIN = (
    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    "<mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>"
)
BIND_NS = "urn:ietf:params:xml:ns:xmpp-bind"
FEATURES = f"<stream:features><bind xmlns='{BIND_NS}'/><sm xmlns='{SM}'/></stream:features>"
ITEM = re.compile(rb"<(stream:stream|auth|iq|enable|presence|message|r|a|/stream:stream)\b[^>]*?(/?)>")


class FloodServer:
    """Takes one client (`--anonymous --tls off`).

    acked: the h of its last `<a/>`, without the answers to its requests; received: the bodies of its messages.

    per_second: how many messages leave in a second, evenly; None: all at once. early: comes before the presence.
    """

    def __init__(self, messages: Sequence[str], per_second: int | None = None, early: str = "") -> None:
        self.received: list[str] = []
        self._messages, self._per_second, self._early = messages, per_second, early
        self._flood: asyncio.Task[None] | None = None
        self._claim = PortClaim()
        self.port, self.acked = self._claim.port, 0
        self._handled = self._headers = self._answers = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._flood is not None:
            self._flood.cancel()
        self._server.close()
        self._claim.release()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = b""
        while data := await reader.read(65536):
            rest += data
            while found := ITEM.search(rest):
                name, is_empty = found.group(1).decode(), bool(found.group(2))
                end = found.end()
                if name in ("iq", "auth", "presence", "message") and not is_empty:
                    closing = rest.find(f"</{name}>".encode(), end)
                    if closing < 0:
                        break
                    end = closing + len(name) + 3
                item, rest = rest[found.start() : end], rest[end:]
                if name == "presence" and self._per_second is not None and self._flood is None:
                    self._flood = asyncio.ensure_future(self._send_evenly(writer, self._per_second))
                writer.write(self._answer(name, item).encode())
            await writer.drain()
        writer.close()

    async def _send_evenly(self, writer: asyncio.StreamWriter, per_second: int) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, message in enumerate(self._messages):
            early_s = began + number / per_second - loop.time()
            if early_s > 0:
                await asyncio.sleep(early_s)
            writer.write(message.encode())
            await writer.drain()

    def _answer(self, name: str, item: bytes) -> str:
        match name:
            case "stream:stream":
                self._headers += 1
                return HEADER + (LOGIN if self._headers == 1 else FEATURES)
            case "auth":
                return "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
            case "iq" if BIND_NS.encode() in item:
                (stanza_id,) = re.findall(rb"""\bid=["']([^"']*)""", item)
                bound = f"<bind xmlns='{BIND_NS}'><jid>{JID}</jid></bind>"
                return f"<iq type='result' id='{stanza_id.decode()}'>{bound}</iq>"
            case "enable":
                return f"<enabled xmlns='{SM}'/>{self._early}"
            case "presence" | "message" | "iq":
                self._handled += 1
                self.received += [body.decode() for body in re.findall(rb"<body>(.*?)</body>", item)]
                if name == "iq":
                    self._answers += 1
                    return _answered(item)
                return "".join(self._messages) if name == "presence" and self._per_second is None else ""
            case "r":
                return f"<a xmlns='{SM}' h='{self._handled}'/>"
            case "a":
                self.acked = int(re.findall(rb"""\bh=["'](\d+)""", item)[0]) - self._answers
                return ""
            case _:
                return "</stream:stream>"


def _answered(request: bytes) -> str:
    """The result that a request is owed."""
    stanza_id, to = (re.findall(rb"""\b%s=["']([^"']*)""" % name, request) for name in (b"id", b"to"))
    sender = f" from='{to[0].decode()}'" if to else ""
    return f"<iq type='result' id='{stanza_id[0].decode()}'{sender}/>"
