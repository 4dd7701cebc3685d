"""`raw`: stanzas as they are, acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xmppsh.commands.base import command
from xmppsh.errors import UsageError
from xmppsh.xmlio.build import verbatim
from xmppsh.xmlio.reader import StanzaReader

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.model import Element


@command("raw")
@click.argument("stanzas", metavar="STANZA…", nargs=-1, required=True)
async def raw(app: App, stanzas: tuple[str, ...]) -> None:
    """Send each STANZA (message, presence or iq) as it stands; - reads them from stdin.

    Example:  xmppsh raw '<presence to="romeo@example.net" type="subscribe"/>'
    """
    elements = [element for text in stanzas for element in await _read(app, text)]
    if not elements:
        raise UsageError("there is no stanza to send")
    from xmppsh.xmlio.ids import new_id

    async with app.sessions.one_shot() as session:
        number = 0
        for element in elements:
            to = element.attributes.get("to", "")
            # Nothing is added to it: the outbox gets a name for it that is not in it.
            number = session.send(verbatim(element), kind=element.kind, stanza_id=new_id(), to=to)
        await session.acked(number)


async def _read(app: App, text: str) -> list[Element]:
    limits = app.limits
    stdin = app.console.stdin
    data = await stdin.read_all(limits.pending_bytes) if text == "-" else text.encode("utf-8", "surrogateescape")
    reader = StanzaReader(limits)
    elements = reader.feed(data)
    reader.end()
    return elements
