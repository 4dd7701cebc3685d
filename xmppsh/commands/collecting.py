"""What comes back while a command sends: read beside it, and let go when it is done."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from xmppsh.errors import StanzaError
from xmppsh.protocol.conditions import stanza_error
from xmppsh.session.requests import may_refuse
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from xmppsh.model import Jid
    from xmppsh.session.session_port import Reader, SessionPort
    from xmppsh.xmlio.build import Xml

    Collect = Callable[[Reader], Awaitable[None]]


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


async def send_unrefused(session: SessionPort, to: Jid, attributes: dict[str, str], payload: Xml, last: str) -> None:
    """Send a message, and wait until its refusal would have come; raises that (StanzaError).

    last: who answers a ping behind it, a server or a room, which has a queue of its own.
    """
    stanza_id, refusals = new_id(), list[StanzaError]()

    async def read(bounces: Reader) -> None:
        async for stanza in bounces:
            if stanza.id == stanza_id and may_refuse(stanza.sender, to, session.jid):
                refusals.append(stanza_error(tree(stanza), stanza.sender or session.jid.domainpart))

    async with Collecting((session.bounces(), read)) as reading:
        stanza = element("message", {"to": str(to), "id": stanza_id, **attributes}, payload)
        number = session.send(stanza, to=str(to))
        await asyncio.gather(session.acked(number), session.requests.fence({last}))
        await reading.finish()
    if refusals:
        raise refusals[0]


@asynccontextmanager
async def reading_from(reader: Reader) -> AsyncIterator[Reader]:
    """The reader, which is let go at the end of the block."""
    try:
        yield reader
    finally:
        reader.cancel()
