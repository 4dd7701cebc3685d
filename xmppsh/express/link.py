"""A connection that is waited for: bytes out, bytes in, TLS on top when it is asked for.

TLS is the part of `ssl` that is written in C: the other one takes longer to import than a message to a server nearby
takes. The context is set up by the same function as everywhere (net/tls.py), and it is OpenSSL that checks.
"""

from __future__ import annotations

import _socket
import _ssl
import contextlib
import select
import time
from typing import TYPE_CHECKING

from xmppsh.net.tls import set_up

if TYPE_CHECKING:
    from typing import Any

    from xmppsh.express.waits import Waits
    from xmppsh.net.tls import TlsPolicy

READ_BYTES = 256 * 1024
MAX_READ_AWAY_BYTES = 4 * 1024 * 1024  # at the end; who floods us does not hold us
_QUICKACK = getattr(_socket, "TCP_QUICKACK", None)  # Linux
_NODELAY = getattr(_socket, "TCP_NODELAY", None)


def tls_context(policy: TlsPolicy, *, direct: bool) -> Any:
    """The context for one connection (net/tls.py); raises NoInputError or ConfigError for files that do not serve."""
    context: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)  # a Python without it raises AttributeError here
    if direct:
        name = policy.alpn.encode()
        context._set_alpn_protocols(bytes([len(name)]) + name)  # RFC 7301 §3.1
    set_up(context, policy)
    return context


class Link:
    """One connection. said: what stands on the wire already, of what is going to be written (net/head_start.py).

    deadline: in time.monotonic(), as everywhere here. Whatever waits raises what Waits.until does, and what the socket
    and OpenSSL raise.
    """

    def __init__(self, sock: _socket.socket, said: bytes, waits: Waits) -> None:
        self._sock, self._said, self._waits = sock, said, waits
        self._tls: Any = None
        self._coming, self._going = _ssl.MemoryBIO(), _ssl.MemoryBIO()
        self._pending: list[bytes] = []
        self.failed: OSError | None = None  # how a write did; what had come before it is there to be read first
        self._set(_NODELAY)
        self._set(_QUICKACK)

    def write(self, data: bytes) -> None:
        """Queue bytes; they leave with `flush`, and before anything is waited for."""
        if self._said:
            count = min(len(data), len(self._said))
            assert self._said[:count] == data[:count]
            data, self._said = data[count:], self._said[count:]
        self._pending.append(data)

    def flush(self, deadline: float) -> None:
        """Hand what is queued to the system."""
        data = b"".join(self._pending)
        self._pending.clear()
        if data and self._tls is not None:
            self._tls.write(data)  # into memory, which takes all of it
            data = self._going.read()
        self._send(data, deadline)

    def receive(self, deadline: float) -> bytes:
        """Flush, then wait for what comes; empty at the end of it."""
        self.flush(deadline)
        while True:
            if self._tls is not None:
                try:
                    return bytes(self._tls.read(READ_BYTES))
                except _ssl.SSLWantReadError:
                    self._send(self._going.read(), deadline)  # what TLS itself has to say
                except (_ssl.SSLZeroReturnError, _ssl.SSLEOFError):
                    return b""  # with close_notify or without: the stream itself tells whether it had ended
            data = self._raw(deadline)
            if self._tls is None:
                return data
            self._feed(data)

    def start_tls(self, context: Any, name: str, deadline: float) -> None:
        """Do the handshake with the server of that name (ASCII)."""
        self.flush(deadline)
        tls = context._wrap_bio(self._coming, self._going, False, server_hostname=name)
        while True:
            try:
                tls.do_handshake()
            except _ssl.SSLWantReadError:
                self._send(self._going.read(), deadline)
                self._feed(self._raw(deadline))
            else:
                self._send(self._going.read(), deadline)
                self._tls = tls
                return

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate, DER; None without TLS."""
        certificate: bytes | None = None if self._tls is None else self._tls.getpeercert(True)
        return certificate

    def close(self) -> None:
        """What is queued, close_notify, FIN; nothing is waited for.

        What has come is taken: the kernel answers a close over unread bytes with RST, which overtakes what we wrote.
        """
        with contextlib.suppress(OSError):  # the peer may have gone; TimeoutError is one
            self.flush(time.monotonic())
            if self._tls is not None:
                with contextlib.suppress(_ssl.SSLError):  # it waits for the peer's
                    self._tls.shutdown()
                self._send(self._going.read(), time.monotonic())
            self._sock.shutdown(_socket.SHUT_WR)
            for _ in range(MAX_READ_AWAY_BYTES // READ_BYTES):
                if not self._sock.recv(READ_BYTES):
                    break
        self._sock.close()

    def _send(self, data: bytes, deadline: float) -> None:
        while data and self.failed is None:
            try:
                data = data[self._sock.send(data) :]
            except BlockingIOError:
                self._waits.until(self._sock.fileno(), select.POLLOUT, deadline)
            except OSError as error:
                self.failed = error  # told behind the peer's last words (net/link.py)
        self._set(_QUICKACK)

    def _raw(self, deadline: float) -> bytes:
        while True:
            try:
                data = self._sock.recv(READ_BYTES)
            except BlockingIOError:
                self._waits.until(self._sock.fileno(), select.POLLIN, deadline)
            else:
                if self.failed is not None and not data:
                    raise self.failed
                self._set(_QUICKACK)
                return data

    def _feed(self, data: bytes) -> None:
        if data:
            self._coming.write(data)
        else:
            self._coming.write_eof()

    def _set(self, option: int | None) -> None:
        if option is not None:  # see net/link.py
            with contextlib.suppress(OSError):
                self._sock.setsockopt(_socket.IPPROTO_TCP, option, 1)
