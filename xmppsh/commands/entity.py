"""`version`, `time`, `last`: what a client or server says of itself."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

import click

from xmppsh import ns
from xmppsh.errors import ProtocolError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import JID
from xmppsh.xep.missing import offered
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.app.app import App
    from xmppsh.model import Jid


@dataclass(frozen=True, slots=True)
class Version(Record):
    """The software of somebody (XEP-0092)."""

    kind: Literal["version"] = field(default="version", init=False)
    """What it is."""
    from_: str
    """Who was asked."""
    name: str | None
    """The name of the software."""
    version: str | None
    """Its version."""
    os: str | None
    """The operating system, where it tells."""

    def text(self) -> str:
        """One line."""
        words = [word for word in (self.name, self.version, self.os and f"on {self.os}") if word]
        return f"{safe.line(self.from_)}: {safe.line(' '.join(words) or 'tells nothing')}"


@dataclass(frozen=True, slots=True)
class EntityTime(Record):
    """The clock of somebody (XEP-0202)."""

    kind: Literal["time"] = field(default="time", init=False)
    """What it is."""
    from_: str
    """Who was asked."""
    utc: str | None
    """The time there, RFC 3339 in UTC, as it tells."""
    tzo: str | None
    """The offset of its time zone, such as +02:00."""

    def text(self) -> str:
        """One line."""
        return f"{safe.line(self.from_)}: {safe.line(self.utc or '?')} (time zone {safe.line(self.tzo or '?')})"


@dataclass(frozen=True, slots=True)
class LastActivity(Record):
    """How long somebody has been idle or away, or a server has been up (XEP-0012)."""

    kind: Literal["last"] = field(default="last", init=False)
    """What it is."""
    from_: str
    """Who was asked."""
    seconds: int | None
    """For how long, in seconds."""
    status: str | None
    """The last words of its unavailable presence."""

    def text(self) -> str:
        """One line."""
        said = f": {safe.block(self.status)}" if self.status else ""
        return f"{safe.line(self.from_)}: {'?' if self.seconds is None else self.seconds} s{said}"


async def _asked(app: App, to: Jid, namespace: str, name: str, what: str) -> Tree:
    """The child of that name in the answer; raises ProtocolError where it has none."""
    async with app.sessions.one_shot() as session:
        with offered(what, str(to)):
            answer = await session.request("get", to, element(name, {"xmlns": namespace}))
    found = tree(answer).find(f"{{{namespace}}}{name}")
    if found is None:
        raise ProtocolError(f"{to} answered without {what}", layer="stanza")
    return found


@command("version")
@click.argument("to", type=JID)
async def version(app: App, to: Jid) -> AsyncIterator[Version]:
    """Ask TO, a client or a server, for the name and version of its software (XEP-0092).

    Example:  xmppsh version example.org
    """
    found = await _asked(app, to, ns.VERSION, "query", "its version (XEP-0092)")
    name, number, system = (found.findtext(f"{{{ns.VERSION}}}{part}") for part in ("name", "version", "os"))
    yield Version(str(to), name, number, system)


@command("time")
@click.argument("to", type=JID)
async def time(app: App, to: Jid) -> AsyncIterator[EntityTime]:
    """Ask TO, a client or a server, for its time (XEP-0202).

    Example:  xmppsh time example.org
    """
    found = await _asked(app, to, ns.TIME, "time", "its time (XEP-0202)")
    yield EntityTime(str(to), *(found.findtext(f"{{{ns.TIME}}}{part}") for part in ("utc", "tzo")))


@command("last")
@click.argument("to", type=JID)
async def last(app: App, to: Jid) -> AsyncIterator[LastActivity]:
    """Ask how long TO has been idle or away, or a server has been up (XEP-0012).

    Example:  xmppsh last romeo@example.net
    """
    found = await _asked(app, to, ns.LAST, "query", "its last activity (XEP-0012)")
    seconds = found.get("seconds", "")
    yield LastActivity(str(to), int(seconds) if seconds.isdecimal() else None, found.text)
