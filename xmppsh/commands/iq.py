"""`iq`: one request with a payload of the user's, and its answer."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from xmppsh.errors import DataError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.output.verbatim import Verbatim
from xmppsh.plain import dataclass
from xmppsh.registry.base import argument, command, option
from xmppsh.xmlio.build import verbatim
from xmppsh.xmlio.reader import children, read_element

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.model import Jid


@dataclass(frozen=True, slots=True)
class IqAnswer(Record):
    """A payload of the answer to an IQ of the user's."""

    kind: Literal["iq"] = field(default="iq", init=False)
    """What it is."""
    from_: str | None
    """Who answered; null where the server left it out, which makes it our own account."""
    id: str | None
    """The id of request and answer."""
    xml: str
    """The payload; in the shell, for an IQ that was typed as XML, the whole answer."""

    def text(self) -> str:
        """The XML."""
        return safe.xml(self.xml)

    def document(self) -> str:
        """The XML."""
        return self.xml


@command("iq")
@argument("iq_type", metavar="get|set", type=("get", "set"))
@argument("to", type="JID")
@argument("payload")
@option("--xpath", metavar="EXPR", help="Print what EXPR finds in the answer, one result per line.")
async def iq(app: App, iq_type: str, to: Jid, payload: str, xpath: str | None) -> AsyncIterator[IqAnswer | Verbatim]:
    """Send PAYLOAD (one XML element; - is stdin) in an IQ to TO, and print the payload of the answer.

    Example:  xmppsh iq get example.net '<query xmlns="jabber:iq:version"/>'
    """
    if payload == "-":
        data = await app.console.stdin.read_all(app.limits.pending_bytes)
        payload = data.decode("utf-8", "surrogateescape")
    child = read_element(payload.strip(), app.limits)
    if child.is_stanza:
        raise DataError(f"PAYLOAD goes inside the IQ: it cannot be <{child.kind}>", hint="xmppsh raw sends stanzas")
    content, find = verbatim(child), None
    if xpath is not None:
        from xmppsh.xmlio.xpath import compiled

        find = compiled(xpath)
    async with app.sessions.one_shot() as session:
        answer = await session.request(iq_type, to, content)
    if find is not None:
        for found in find(answer.xml):
            yield Verbatim(safe.xml(found) if app.console.stdout.is_terminal else found)
        return
    for part in children(answer):
        yield IqAnswer(answer.attributes.get("from"), answer.id, part)
