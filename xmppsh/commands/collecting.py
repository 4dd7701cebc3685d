"""What happens on a session beside the work: a message's refusal, its end, and readers that are let go."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from xmppsh.errors import StanzaError, XmppshError
from xmppsh.protocol.conditions import stanza_error
from xmppsh.session.requests import may_refuse
from xmppsh.tasks import running, unless
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from xmppsh.model import Jid
    from xmppsh.session.session_port import Reader, SessionPort
    from xmppsh.xmlio.build import Xml

T = TypeVar("T")


async def send_unrefused(session: SessionPort, to: Jid, attributes: dict[str, str], payload: Xml, last: str) -> None:
    """Send a message, and wait until its refusal would have come; raises that (StanzaError).

    last: who answers a ping that follows it, a server or a room, which has a queue of its own.
    """
    stanza_id, refusals = new_id(), list[StanzaError]()

    async def read(bounces: Reader) -> None:
        async for stanza in bounces:
            if stanza.id == stanza_id and may_refuse(stanza.sender, to, session.jid):
                refusals.append(stanza_error(tree(stanza), stanza.sender or session.jid.domainpart))

    async with session.beside((session.bounces(), read)) as reading:
        stanza = element("message", {"to": str(to), "id": stanza_id, **attributes}, payload)
        number = session.send(stanza, to=str(to))
        await session.through(number, {last})
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


async def until_lost(session: SessionPort) -> None:
    """Raises what ends the session for good, and what it leaves unconfirmed."""
    async with reading_from(session.subscribe()) as nothing:  # no kind of stanza: only the end comes
        with suppress(XmppshError):
            async for _ in nothing:
                pass
    await session.acked(session.sent_count)
    raise session.cause


async def unless_lost(session: SessionPort, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which waits for its input and does not see the end of the session: that is raised."""
    async with running(until_lost(session)) as (watch,):
        return await unless(watch, asyncio.ensure_future(work))
