"""`vcard`: the card of somebody, and our own (XEP-0054, XEP-0292)."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

import click

from xmppsh.errors import ExitCode, Partial, UsageError, XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import JID
from xmppsh.xep import vcard
from xmppsh.xep.forms import split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.model import Jid

SHOWN = 200  # characters of a value in a line: a picture has many


@dataclass(frozen=True, slots=True)
class VcardField(Record):
    """A field of a card."""

    kind: Literal["vcard-field"] = field(default="vcard-field", init=False)
    """What it is."""
    from_: str
    """Whose card it is."""
    name: str
    """The field, such as FN or N.FAMILY."""
    value: str
    """What stands in it; a picture as base64."""

    def text(self) -> str:
        """One line."""
        shown = self.value if len(self.value) <= SHOWN else f"({len(self.value)} characters)"
        return safe.line(f"{self.name}={shown}")


class NoCard(XmppshError):
    """Somebody has no card, or shows us none."""

    exit_code = ExitCode.NOUSER
    layer = "stanza"


@command("vcard", "get")
@click.argument("whose", metavar="[JID]", type=JID, required=False)
async def vcard_get(app: App, whose: Jid | None) -> AsyncIterator[VcardField]:
    """Show the vCard of JID, or your own.

    Example:  xmppsh vcard get juliet@example.org
    """
    async with app.sessions.one_shot() as session:
        found = await vcard.fields(session, whose)
        own = session.jid.bare
        owner = str(own if whose is None else whose.bare)
        if not found and owner == str(own):
            await vcard.require_cards(session)
    if not found:
        raise NoCard(f"{owner} has no card (XEP-0054)", hint=None if whose else "xmppsh vcard set FN=…")
    for name, value in found:
        yield VcardField(owner, name, value)


@command("vcard", "set")
@click.argument("pairs", metavar="FIELD=VALUE…", nargs=-1, required=True)
async def vcard_set(app: App, pairs: tuple[str, ...]) -> None:
    """Change fields of your vCard; the others stay, and FIELD= removes one.

    What your server has not kept is told, and the exit code is 80.

    Example:  xmppsh vcard set FN="Juliet Capulet" N.FAMILY=Capulet TITLE=
    """
    given = {}
    for name, values in split(pairs).items():
        if len(values) > 1:
            raise UsageError(f"{name} is given {len(values)} times", hint="a field has one value")
        given[name] = values[0]
    async with app.sessions.one_shot() as session, app.storage.changing(app.settings.timeout):
        lost = await vcard.change(session, given)
        server = session.jid.domainpart
    if lost:
        raise Partial(f"{server} has not kept {', '.join(lost)} as given", hint="xmppsh vcard get")
