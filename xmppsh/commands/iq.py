"""`iq`: one request with a payload of the user's, and its answer."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

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
    from typing import Literal

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


@dataclass(frozen=True, slots=True)
class IqFound(Record):
    """What `iq --xpath` has found, with --format json or -F."""

    kind: Literal["found"] = field(default="found", init=False)
    """What it is."""
    from_: str | None
    """Who answered; null where the server left it out, which makes it our own account."""
    id: str | None
    """The id of request and answer."""
    value: str
    """The text, or the XML of an element."""

    def text(self) -> str:
        """The value."""
        return safe.xml(self.value)


@command("iq")
@argument("iq_type", metavar="get|set", type=("get", "set"))
@argument("to", type="JID")
@argument("payload")
@option("--xpath", metavar="EXPR", help="Print what EXPR finds in the answer, one result per line.")
async def iq(app: App, iq_type: str, to: Jid, payload: str, xpath: str | None) -> AsyncIterator[Record]:
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
    sender = answer.attributes.get("from")
    if find is None:
        for part in children(answer):
            yield IqAnswer(sender, answer.id, part)
        return
    for found in find(answer.xml):
        if app.printer.shows_all:
            yield IqFound(sender, answer.id, found)
        else:
            yield Verbatim(safe.xml(found) if app.console.stdout.is_terminal else found)
