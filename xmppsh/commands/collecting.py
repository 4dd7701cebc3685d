"""Messages whose refusal is waited for, and readers that are let go."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from xmppsh.errors import StanzaError
from xmppsh.protocol.conditions import stanza_error
from xmppsh.session.requests import may_refuse
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.model import Jid
    from xmppsh.session.session_port import Reader, SessionPort
    from xmppsh.xmlio.build import Xml


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
