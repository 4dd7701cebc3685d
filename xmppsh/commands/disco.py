"""`disco`: who somebody is, what it can do, and what else is there (XEP-0030)."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import field
from typing import TYPE_CHECKING, Literal

import click

from xmppsh.app.progress import listed
from xmppsh.errors import Partial, StanzaError, XmppshError
from xmppsh.model import Jid
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import JID
from xmppsh.xep import disco

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App

MAX_ITEMS = 10_000  # of a tree


@dataclass(frozen=True, slots=True)
class DiscoIdentity(Record):
    """What somebody says it is."""

    kind: Literal["identity"] = field(default="identity", init=False)
    """What it is."""
    from_: str
    """Who was asked."""
    category: str
    """Its category in the registry, such as server or client."""
    type: str
    """Its type in that category, such as im or pc."""
    name: str | None
    """Its name."""

    def text(self) -> str:
        """One line."""
        return safe.line(f"identity  {self.category}/{self.type}  {self.name or ''}".rstrip())


@dataclass(frozen=True, slots=True)
class DiscoFeature(Record):
    """Something that somebody can do."""

    kind: Literal["feature"] = field(default="feature", init=False)
    """What it is."""
    from_: str
    """Who was asked."""
    var: str
    """The namespace of the feature."""

    def text(self) -> str:
        """One line."""
        return safe.line(f"feature   {self.var}")


@dataclass(frozen=True, slots=True)
class DiscoItem(Record):
    """Something that belongs to who was asked."""

    kind: Literal["item"] = field(default="item", init=False)
    """What it is."""
    jid: str
    """Its address."""
    node: str | None
    """The node at that address; null where there is none."""
    name: str | None
    """Its name."""
    depth: int
    """How deep it stands in a tree; 0 in a list."""

    def text(self) -> str:
        """One line, indented by its depth."""
        node = f"  node {self.node}" if self.node is not None else ""
        name = f"  {self.name}" if self.name else ""
        return "  " * self.depth + safe.line(f"{self.jid}{node}{name}")


@command("disco", "info")
@click.argument("to", type=JID)
@click.argument("node", required=False)
async def disco_info(app: App, to: Jid, node: str | None) -> AsyncIterator[DiscoIdentity | DiscoFeature]:
    """Show what TO is, and what it can do.

    Example:  xmppsh disco info example.org
    """
    async with app.sessions.one_shot() as session:
        try:
            identities, features = await disco.info(session, to, node)
        except StanzaError as error:
            if node and error.condition == "item-not-found":
                error.hint = f"check the node: xmppsh disco items {to}"
            raise
    for one in identities:
        yield DiscoIdentity(str(to), one.category, one.type, one.name)
    for feature in features:
        yield DiscoFeature(str(to), feature)


@command("disco", "items")
@click.argument("to", type=JID)
@click.argument("node", required=False)
async def disco_items(app: App, to: Jid, node: str | None) -> AsyncIterator[DiscoItem]:
    """Show what belongs to TO: services of a server, rooms of a service, nodes.

    Example:  xmppsh disco items example.org
    """
    async with (
        app.sessions.one_shot() as session,
        aclosing(listed(app, "items", disco.pages_of_items(session, to, node))) as found,
    ):
        async for one in found:
            yield DiscoItem(one.jid, one.node, one.name, 0)


@command("disco", "tree")
@click.argument("to", type=JID)
@click.option("--depth", type=click.IntRange(1, 10), default=3, metavar="N", help="How deep to look [3].")
async def disco_tree(app: App, to: Jid, depth: int) -> AsyncIterator[DiscoItem]:
    """Show what belongs to TO, and what belongs to that. With -v, also what gave no answer.

    Example:  xmppsh disco tree example.org --depth 2
    """
    seen: set[tuple[str, str | None]] = set()
    async with app.sessions.one_shot() as session:
        waiting = [(disco.Item(str(to), None, None), 0)]
        while waiting and len(seen) < MAX_ITEMS:
            one, level = waiting.pop(0)
            if (one.jid, one.node) in seen:
                continue
            seen.add((one.jid, one.node))
            yield DiscoItem(one.jid, one.node, one.name, level)
            if level >= depth:
                continue
            try:
                below = await disco.items(session, Jid.parse(one.jid), one.node)
            except XmppshError as error:
                if level == 0:
                    raise
                app.console.log(1, f"{one.jid}: {error}")
                continue
            waiting = [(item, level + 1) for item in below] + waiting
    if waiting:
        raise Partial(f"the tree of {to} has more than {MAX_ITEMS} items: the others are left out", hint="--depth N")
