"""The bytes of one client: coalesced writes, bounded buffers, the change to TLS, an orderly end.

What is written in one turn of the loop leaves as one piece. asyncio sets TCP_NODELAY on its TCP transports.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl

MAX_BACKLOG_BYTES = 16 * 1024 * 1024  # a client that lags further has stopped reading; nobody waits for it
HANDSHAKE_TIMEOUT_S = 10.0
GOODBYE_TIMEOUT_S = 2.0  # for the last bytes and the client's close_notify


class Reader(Protocol):
    """Who takes the bytes."""

    def on_connected(self) -> None:
        """Somebody is there."""

    def on_bytes(self, data: bytes) -> None:
        """Take what the client sent."""

    def on_secured(self) -> None:
        """TLS is up; what comes now is under it."""

    def on_lost(self) -> None:
        """The connection is gone. Comes once, whatever ended it."""

    def trailer(self) -> str:
        """What belongs after everything that is written now."""


class Wire(asyncio.Protocol):
    """One TCP connection, as an asyncio protocol.

    closed: done once the connection is gone. late_s: all that is written leaves so many seconds later, in order.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.late_s = 0.0
        self._late: deque[bytes] = deque()
        self._pending: list[str] = []
        self._pending_characters = 0
        self._scheduled = False
        self._closing = self._silent = False
        self._handshake: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._early = bytearray()  # came under TLS before start_tls() had returned

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.reader.on_connected()

    def data_received(self, data: bytes) -> None:
        if self._handshake is not None:
            self._early += data
        elif not self._closing:
            self.reader.on_bytes(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose()

    def _lose(self) -> None:
        self._closing = True
        self._pending.clear()
        if self._deadline is not None:
            self._deadline.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
            self.reader.on_lost()

    # our side

    def write(self, xml: str) -> None:
        """Send at the end of this turn of the loop."""
        if self._closing:
            return
        self._pending.append(xml)
        self._pending_characters += len(xml)
        if self._pending_characters > MAX_BACKLOG_BYTES:
            self.abort()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        if not self._closing:
            self.flush(self.reader.trailer())

    def flush(self, trailer: str = "") -> None:
        """Write what has been collected to the socket now."""
        text, self._pending, self._pending_characters = "".join(self._pending) + trailer, [], 0
        if not text or self._transport is None or self._transport.is_closing():
            return
        if self.late_s:
            self._late.append(text.encode())
            self._loop.call_later(self.late_s, self._write_late)
            return
        self._transport.write(text.encode())
        if self._transport.get_write_buffer_size() > MAX_BACKLOG_BYTES:
            self.abort()

    def _write_late(self) -> None:
        if self._late and self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._late.popleft())

    def secure(self, context: ssl.SSLContext) -> None:
        """Go on under TLS (RFC 6120 §5.4.3); `reader.on_secured` tells when."""
        assert self._transport is not None
        self.flush()
        # Not one byte more is read in clear: what follows belongs to the handshake.
        self._transport.pause_reading()
        self._handshake = self._loop.create_task(self._start_tls(self._transport, context))

    async def _start_tls(self, plain: asyncio.Transport, context: ssl.SSLContext) -> None:
        try:
            secured = await self._loop.start_tls(
                plain,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=GOODBYE_TIMEOUT_S,
            )
        except (OSError, ConnectionError):  # ssl.SSLError is an OSError
            secured = None
        if secured is None:
            plain.abort()
            self._lose()  # asyncio does not call connection_lost for a handshake that failed
            return
        self._transport, self._handshake = secured, None
        if self._closing:
            secured.abort()
            return
        self.reader.on_secured()
        early, self._early = bytes(self._early), bytearray()
        if early:
            self.data_received(early)

    def close(self) -> None:
        """Send what waits, then close_notify, then close; bounded by GOODBYE_TIMEOUT_S."""
        if self._silent:
            self.abort()
        if self._closing or self._transport is None:
            return
        self.flush()
        self._transport.write(b"".join(self._late))
        self._late.clear()
        self._closing = True
        self._transport.close()
        self._deadline = self._loop.call_later(GOODBYE_TIMEOUT_S, self.abort)

    def fall_silent(self) -> None:
        """Read and write nothing more, and close nothing: the client cannot tell it from a pulled cable."""
        self._closing = self._silent = True
        if self._transport is not None:
            self._transport.pause_reading()

    def abort(self) -> None:
        """Close at once, whatever waits."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone; bounded by the caller."""
        await asyncio.shield(self.closed)
        if self._handshake is not None:
            self._handshake.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._handshake
