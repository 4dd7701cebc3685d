"""One TCP connection, with TLS on top when it is asked for: bytes in, bytes out, no decisions.

Writes of one turn of the event loop leave together.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any, cast

from xmppsh.net.tls import is_plain_name, why_failed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

CLOSE_NOTIFY_TIMEOUT_S = 2.0  # for the peer's TLS close_notify
_MAX_READ_AWAY_BYTES = 4 * 1024 * 1024  # read and dropped at the end; a peer that goes on sending cannot keep us
_READ_BYTES = 256 * 1024
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux
_NODELAY = getattr(socket, "TCP_NODELAY", None)


class Link(asyncio.Protocol):
    """A connection whose owner is told of data and of the end.

    on_data(bytes); on_lost(reason or None), called once.
    """

    def __init__(self) -> None:
        self.on_data: Callable[[bytes], None] = lambda _: None
        self.on_lost: Callable[[str | None], None] = lambda _: None
        self._transport: asyncio.Transport | None = None
        self._tcp: asyncio.Transport | None = None  # the same without TLS
        self._pending: list[bytes] = []
        self.said = b""  # what stands on the wire already, of what is going to be written (head_start.py)
        self._flush_scheduled = False
        self._last_words: list[bytes] | None = None  # that had come before a write failed; see _take_last_words
        self._holds: set[str] = set()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    # ── asyncio.Protocol ────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is up (not called again for TLS)."""
        self._transport = self._tcp = cast("asyncio.Transport", transport)
        self._set(_NODELAY)  # asyncio sets it only on the sockets that it has made itself
        self._set(_QUICKACK)

    def data_received(self, data: bytes) -> None:
        """Bytes came, decrypted where there is TLS."""
        self._set(_QUICKACK)
        if self._last_words is None:
            self.on_data(data)
        else:
            self._last_words.append(data)

    def eof_received(self) -> bool:
        """The peer will send no more: close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        for data in self._last_words or ():
            self.on_data(data)
        self._lost.set()
        self._writable.set()
        self.on_lost(None if exc is None else why_failed(exc))

    def pause_writing(self) -> None:
        """The send buffer is full: whoever makes us answer is not read either."""
        self._writable.clear()
        self.hold_reading("writing", True)

    def resume_writing(self) -> None:
        """The send buffer has room again."""
        self._writable.set()
        self.hold_reading("writing", False)

    # ── For the owner ───────────────────────────────────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> None:
        """Queue bytes; they leave at the end of this turn of the loop."""
        if self.said:
            count = min(len(data), len(self.said))
            assert self.said[:count] == data[:count]
            data, self.said = data[count:], self.said[count:]
        self._pending.append(data)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush_turn)

    def _flush_turn(self) -> None:
        if self._flush_scheduled:
            self.flush()

    def flush(self) -> None:
        """Hand everything that is queued to the transport now."""
        self._flush_scheduled = False
        if self._pending and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._pending))
            self._set(_QUICKACK)
            if self._tcp is not None and self._tcp.is_closing():
                self._take_last_words(self._tcp)
        self._pending.clear()

    def _take_last_words(self, tcp: asyncio.Transport) -> None:
        """A write has failed: keep for the owner what the peer had sent before it reset the connection.

        That may acknowledge what we sent, or be the stream error that tells why, and asyncio closes without reading.
        The owner hears of it in connection_lost; it may be in the middle of what came before.
        """
        if self._holds:  # nobody can take it; the server keeps what we have not acknowledged
            return
        self._last_words = []
        protocol, sock = tcp.get_protocol(), tcp.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the reset itself, behind the last byte
            for _ in range(_MAX_READ_AWAY_BYTES // _READ_BYTES):
                if not (data := os.read(sock.fileno(), _READ_BYTES)):
                    return
                if isinstance(protocol, asyncio.BufferedProtocol):  # TLS
                    _fill(protocol, data)
                else:
                    self._last_words.append(data)

    async def drained(self) -> None:
        """Wait until the send buffer has room, or the link is lost."""
        await self._writable.wait()

    def hold_reading(self, reason: str, hold: bool) -> None:
        """Take no more bytes from the peer as long as any reason holds."""
        before = bool(self._holds)
        (self._holds.add if hold else self._holds.discard)(reason)
        if self._transport is None or self._transport.is_closing() or before == bool(self._holds):
            return
        if hold:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def start_tls(self, context: ssl.SSLContext, server_name: str, timeout_s: float) -> None:
        """Do the TLS handshake; raises what ssl and the socket raise (`tls.explain` makes it ours)."""
        assert self._transport is not None
        self.flush()
        self._holds.discard("handshake")  # the handshake itself reads on
        transport = await self._loop.start_tls(
            self._transport,
            self,
            context,
            server_hostname=_encoded(server_name),
            ssl_handshake_timeout=timeout_s,
            ssl_shutdown_timeout=CLOSE_NOTIFY_TIMEOUT_S,
        )
        if transport is None:
            raise ConnectionResetError("the connection closed during the TLS handshake")
        self._transport = transport
        self._set(_QUICKACK)
        if self._holds:
            transport.pause_reading()

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate, DER; None without TLS."""
        tls = self._tls()
        return None if tls is None else tls.getpeercert(binary_form=True)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates that the peer sent, DER, its own first; checked or not."""
        tls = self._tls()
        if tls is None:
            return ()
        if hasattr(tls, "get_unverified_chain"):  # Python 3.13
            return tuple(tls.get_unverified_chain())
        import _ssl

        # Python 3.11 and 3.12 give the chain only by this private object; 3.13 has the method above.
        inner: Any = tls._sslobj  # type: ignore[attr-defined]
        return tuple(one.public_bytes(_ssl.ENCODING_DER) for one in inner.get_unverified_chain() or ())

    @property
    def tls_version(self) -> str | None:
        """Such as `TLSv1.3`; None without TLS."""
        tls = self._tls()
        return None if tls is None else tls.version()

    def _tls(self) -> ssl.SSLObject | None:
        if self._transport is None:
            return None
        return cast("ssl.SSLObject | None", self._transport.get_extra_info("ssl_object"))

    def start_close(self) -> None:
        """Flush, send close_notify, close; the peer gets a moment to answer while the loop goes on."""
        self.flush()
        # Once: a second close() takes a TLS transport's protocol away (sslproto.py), and the peer's close_notify counts
        # as the first. abort() does nothing then, and raises AttributeError in Python 3.11.2.
        if self._transport is not None and not self._transport.is_closing():
            if self._tls() is None:
                self._read_away()
            self._transport.close()

    async def closed(self, timeout_s: float) -> None:
        """Wait for the end of a close that was started, for at most `timeout_s`, and end it then.

        We do not wait for a peer that is late, and it gets no RST for what it had sent by then. With 0 FIN leaves at
        once, and what still comes is read as long as the loop runs.
        """
        # Before Python 3.11.3 asyncio.timeout does not work in a task that was cancelled (gh-102780), and a command
        # that a signal ends closes its link in such a one.
        lost = asyncio.ensure_future(self._lost.wait())
        await asyncio.wait({lost}, timeout=timeout_s)
        if not lost.done():
            self._finish()
            if timeout_s > 0:
                self.abort()
        lost.cancel()

    def _finish(self) -> None:
        """Send FIN after what was written, where the peer has taken all of that."""
        sock = None if self._tcp is None else self._tcp.get_extra_info("socket")
        if self._tcp is None or sock is None or self._tcp.get_write_buffer_size():
            return
        with contextlib.suppress(OSError):  # the peer may have gone
            sock.shutdown(socket.SHUT_WR)
        self._read_away()

    def _read_away(self) -> None:
        """Take what has come: the kernel answers a close over unread bytes with RST, which overtakes what we wrote."""
        sock = None if self._tcp is None else self._tcp.get_extra_info("socket")
        with contextlib.suppress(OSError):  # nothing is there any more
            for _ in range(_MAX_READ_AWAY_BYTES // _READ_BYTES):
                if sock is None or not os.read(sock.fileno(), _READ_BYTES):
                    return

    def abort(self) -> None:
        """Drop the TCP connection now, without closing TLS or waiting for what is unsent."""
        self._pending.clear()
        self._last_words = None
        if self._transport is not None:
            self._transport.abort()

    def _set(self, option: int | None) -> None:
        # Measured: without TCP_QUICKACK Prosody waits about 40 ms for our delayed ACK (Nagle) on Linux. The kernel
        # forgets it, so it is set anew after each read and write.
        sock = None if option is None or self._transport is None else self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, 1)


def _fill(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    """Give a protocol what came, as its transport does."""
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        count = min(len(data), len(buffer))
        buffer[:count], data = data[:count], data[count:]
        protocol.buffer_updated(count)


def _encoded(name: str) -> str:
    """The name for the handshake; plain ASCII as bytes, for which Python does not load its IDNA codec."""
    return cast("str", name.encode()) if is_plain_name(name) else name
