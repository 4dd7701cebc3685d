"""What the commands of `pubsub` print."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass


@dataclass(frozen=True, slots=True)
class PubsubItem(Record):
    """An item of a node."""

    kind: Literal["pubsub-item"] = field(default="pubsub-item", init=False)
    """What it is."""
    from_: str
    """The service, or the account, that has the node."""
    node: str
    """The node."""
    id: str
    """The item's id."""
    xml: str | None
    """Its payload; null where it has none."""

    def text(self) -> str:
        """The id, and the payload."""
        return f"{safe.line(self.id)}  {safe.xml(self.xml or '')}".rstrip()

    def document(self) -> str:
        """The payload."""
        return self.xml or ""


@dataclass(frozen=True, slots=True)
class PubsubEvent(Record):
    """What happened to a node, or an item of it."""

    kind: Literal["event"] = field(default="event", init=False)
    """What it is."""
    event: str
    """published, retracted, purged, deleted or configured."""
    from_: str
    """The service, or the account, that has the node."""
    node: str
    """The node."""
    id: str | None
    """The item's id; null where all of the node is meant."""
    xml: str | None
    """What was published; null where it is nothing."""

    def text(self) -> str:
        """One line."""
        return f"{safe.line(self.event)}  {safe.line(self.id or self.node)}  {safe.xml(self.xml or '')}".rstrip()

    def document(self) -> str:
        """The payload."""
        return self.xml or ""


@dataclass(frozen=True, slots=True)
class Published(Record):
    """An item that was published."""

    kind: Literal["published"] = field(default="published", init=False)
    """What it is."""
    to: str
    """The service, or the account, that has the node."""
    node: str
    """The node."""
    id: str | None
    """The item's id; null where the service does not tell."""

    def text(self) -> str:
        """The id."""
        return safe.line(self.id or "published")


@dataclass(frozen=True, slots=True)
class Subscription(Record):
    """A subscription to a node."""

    kind: Literal["subscription"] = field(default="subscription", init=False)
    """What it is."""
    from_: str
    """The service, or the account, that has the node."""
    node: str
    """The node."""
    jid: str
    """Where it sends what is published."""
    state: str
    """subscribed, pending (its owner has to agree) or unconfigured."""

    def text(self) -> str:
        """One line."""
        return safe.line(f"{self.node}  {self.state}")
