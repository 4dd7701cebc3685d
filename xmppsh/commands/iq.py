"""`iq`: one request with a payload of the user's, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xmppsh.commands.base import command
from xmppsh.commands.params import JID
from xmppsh.output import safe
from xmppsh.xmlio.build import element, verbatim
from xmppsh.xmlio.reader import children, read_element

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.model import Jid


@command("iq")
@click.argument("iq_type", metavar="get|set", type=click.Choice(["get", "set"]))
@click.argument("to", type=JID)
@click.argument("payload")
async def iq(app: App, iq_type: str, to: Jid, payload: str) -> None:
    """Send PAYLOAD (one XML element; - is stdin) in an IQ to TO, and print the payload of the answer.

    Example:  xmppsh iq get example.net '<query xmlns="jabber:iq:version"/>'
    """
    if payload == "-":
        payload = (await app.stdin.read_all(app.limits.pending_bytes)).decode("utf-8", "surrogateescape")
    content = verbatim(read_element(payload.strip(), app.limits))
    if app.settings.dry_run:
        await app.stdout.write(element("iq", {"type": iq_type, "to": str(to), "id": "…"}, content) + "\n")
        return
    async with app.session() as session:
        answer = await session.request(iq_type, to, content)
    for child in children(answer):
        data: dict[str, Any] = {"kind": "iq", "from": answer.attributes.get("from"), "id": answer.id, "xml": child}
        await app.emit(data, safe.xml(child), child)
