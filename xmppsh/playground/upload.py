"""Files that are kept for as long as the server runs: slots by XMPP, the files by HTTPS on loopback (XEP-0363)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from xmppsh import ns
from xmppsh.plain import dataclass
from xmppsh.playground import handlers
from xmppsh.playground.stanza import error_reply, random_id, result
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from xmppsh.playground.ports import Routes
    from xmppsh.playground.stanza import Stanza

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_HEAD_BYTES = 16 * 1024
PATIENCE_S = 30.0  # for one request
END_OF_HEAD = b"\r\n\r\n"


@dataclass
class Slot:
    """A place for one file. kind: what its uploader calls it, as a media type; path: None until it is there."""

    size_bytes: int
    kind: str
    path: Path | None = None


class UploadService:
    """The domain `upload.…`, and its web server."""

    def __init__(self, router: Routes) -> None:
        self.domain = f"upload.{router.domain}"
        self._router = router
        self._slots: dict[str, Slot] = {}
        self._folder: Path
        self._listener: asyncio.Server | None = None
        self._base = ""

    async def start(self, host: str, context: ssl.SSLContext, folder: Path) -> None:
        """Listen on a free port; raises OSError. folder: where the files lie; its owner removes it."""
        self._folder = folder
        self._listener = await asyncio.start_server(self._serve, host, 0, ssl=context, limit=MAX_HEAD_BYTES)
        self._base = f"https://{host}:{self._listener.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()

    # XMPP

    def take(self, stanza: Stanza) -> None:
        """Take a stanza to the service."""
        if stanza.is_request:
            self._router.route(self._answer(stanza))
        else:
            self._router.bounce(stanza, "service-unavailable")

    def _answer(self, iq: Stanza) -> Stanza:
        payload = iq.tree()[0]
        if payload.tag == f"{{{ns.DISCO_INFO}}}query":
            return result(iq, handlers.disco_info(None, [("store", "file", "Uploads")], [ns.DISCO_INFO, ns.UPLOAD]))
        if payload.tag == f"{{{ns.PING}}}ping":
            return result(iq)
        if payload.tag != f"{{{ns.UPLOAD}}}request":
            return error_reply(iq, "service-unavailable")
        size, name = payload.get("size", ""), payload.get("filename", "")
        if not (size.isascii() and size.isdigit()) or not name:
            return error_reply(iq, "bad-request", "a request has a filename and a size in bytes")
        if int(size) > MAX_FILE_BYTES:
            return error_reply(iq, "not-acceptable", f"a file has {MAX_FILE_BYTES} bytes at most")
        kind = payload.get("content-type", "")
        path = f"/{random_id()}/{quote(name, safe='')}"
        self._slots[path] = Slot(int(size), kind if kind.isprintable() and kind else "application/octet-stream")
        url = self._base + path
        places = (element("put", {"url": url}), element("get", {"url": url}))
        return result(iq, element("slot", {"xmlns": ns.UPLOAD}, *places))

    # HTTP: one request a connection (RFC 9112)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, kind, body = await self._answered(reader)
                head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close"
                writer.write(head.encode() + END_OF_HEAD + body)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # a client that went away, or that does not speak HTTP, gets no answer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answered(self, reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
        """Read a request and carry it out: the status line, the type of the body, the body."""
        request, *lines = (await reader.readuntil(END_OF_HEAD)).decode("latin-1").split("\r\n")
        method, target, *_ = [*request.split(" "), "", ""]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        slot = self._slots.get(target)
        if slot is None:
            return "404 Not Found", "text/plain", b"no such file\n"
        if method == "PUT" and slot.path is None:
            if fields.get("content-length") != str(slot.size_bytes):
                return "413 Content Too Large", "text/plain", b"the slot has another size\n"
            await self._store(slot, target, await reader.readexactly(slot.size_bytes))
            return "201 Created", "text/plain", b""
        if method == "GET" and slot.path is not None:
            return "200 OK", slot.kind, await asyncio.to_thread(slot.path.read_bytes)
        return "405 Method Not Allowed", "text/plain", b"PUT it once, then GET it\n"

    async def _store(self, slot: Slot, target: str, data: bytes) -> None:
        path = self._folder / ("upload-" + target.split("/")[1])
        await asyncio.to_thread(path.write_bytes, data)
        slot.path = path
