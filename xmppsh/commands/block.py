"""`block`: whom the server keeps away from the account (XEP-0191)."""

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

    from xmppsh.app.app import App
    from xmppsh.model import Jid

WHAT = "blocking (XEP-0191)"


@dataclass(frozen=True, slots=True)
class Blocked(Record):
    """An address that is blocked: of a user, a client, a domain."""

    kind: Literal["blocked"] = field(default="blocked", init=False)
    """What it is."""
    jid: str
    """The address."""

    def text(self) -> str:
        """One line."""
        return safe.line(self.jid)


@command("block", "list")
async def block_list(app: App) -> AsyncIterator[Blocked]:
    """Show who is blocked.

    Example:  xmppsh block list
    """
    async with app.sessions.one_shot() as session:
        with offered(WHAT, session.jid.domainpart):
            answer = await session.request("get", None, element("blocklist", {"xmlns": ns.BLOCKING}))
    listed = tree(answer).find(f"{{{ns.BLOCKING}}}blocklist")
    if listed is None:
        raise ProtocolError(f"{session.jid.domainpart} answered without a list of who is blocked", layer="stanza")
    for item in listed.iterfind(f"{{{ns.BLOCKING}}}item"):
        yield Blocked(item.get("jid", ""))


@command("block", "add")
@click.argument("jids", metavar="JID…", type=JID, nargs=-1, required=True)
async def block_add(app: App, jids: tuple[Jid, ...]) -> None:
    """Block each JID: nothing from it reaches you, and it sees nothing of you.

    Example:  xmppsh block add spam.example.com
    """
    await _change(app, "block", jids)


@command("block", "remove")
@click.argument("jids", metavar="JID…", type=JID, nargs=-1, required=True)
async def block_remove(app: App, jids: tuple[Jid, ...]) -> None:
    """Unblock each JID.

    Example:  xmppsh block remove spam.example.com
    """
    await _change(app, "unblock", jids)


async def _change(app: App, name: str, jids: tuple[Jid, ...]) -> None:
    items = (element("item", {"jid": str(jid)}) for jid in dict.fromkeys(jids))
    async with app.sessions.one_shot() as session:
        with offered(WHAT, session.jid.domainpart):
            await session.request("set", None, element(name, {"xmlns": ns.BLOCKING}, *items))
