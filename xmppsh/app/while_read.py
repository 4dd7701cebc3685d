"""Input of a command for as long as somebody reads what it prints; after that, what lies there already."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.output.streams import InputStream

if TYPE_CHECKING:
    from xmppsh.output.streams import OutputStream


class WhileRead(InputStream):
    """stop: watch the output no more.

    A command that sends would otherwise leave half of its input behind when somebody has seen enough (`| head -1`).
    """

    def __init__(self, source: InputStream, output: OutputStream) -> None:
        super().__init__(source.fd)
        self._source, self._gone = source, asyncio.Event()
        self.stop = output.on_closed(self._gone.set)

    async def read(self) -> bytes:
        """The next chunk; empty at the end, and where nobody reads the output and nothing lies there."""
        reading = asyncio.ensure_future(self._source.read())
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            if not self.is_ready:
                await asyncio.wait({reading, gone}, return_when=asyncio.FIRST_COMPLETED)
            return await reading if reading.done() or self.is_ready else b""
        finally:
            reading.cancel()
            gone.cancel()
            await asyncio.gather(reading, gone, return_exceptions=True)
