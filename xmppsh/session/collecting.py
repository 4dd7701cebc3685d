"""What comes back while a command sends: read beside it, and let go when it is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from xmppsh.session.session_port import Collect, Reader


class Collecting:
    """Hands each reader to its function for as long as the block runs; then nothing is read any more.

    In the shell the session goes on, and a reader that nobody asks for more would hold back the acknowledgement of all
    that comes (XEP-0198 §4).
    """

    def __init__(self, *work: tuple[Reader, Collect]) -> None:
        self._work = work
        self._tasks: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.ensure_future(collect(reader)) for reader, collect in self._work]
        return self

    async def finish(self) -> None:
        """Let the functions see all that has come by now; raises what one of them raised."""
        for reader, _ in self._work:
            reader.finish()
        await asyncio.gather(*self._tasks)

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for reader, _ in self._work:
            reader.cancel()
