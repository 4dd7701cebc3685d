"""What `sessions` prints."""

from __future__ import annotations

from dataclasses import field
from itertools import zip_longest
from typing import Literal

from xmppsh.output import safe
from xmppsh.output.record import NOT_JSON, Record
from xmppsh.plain import dataclass

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class HeldRecord(Record):
    """What a program of ours on this machine has of a session, or left of it."""

    state: Literal["live", "dead"]
    """Does the program live?"""
    started: str
    """When the session began; RFC 3339, UTC."""
    handled: int
    """How many stanzas of the server the program has handled (XEP-0198)."""
    unacked: int
    """How many of its own messages are unacknowledged."""
    max_s: float | None
    """How long the server keeps the session after a cut, in seconds."""


@dataclass(frozen=True, slots=True)
class SessionRecord(Record):
    """One session of the account."""

    kind: Literal["session"] = field(default="session", init=False)
    """What it is."""
    jid: str
    """Its full JID."""
    resource: str | None
    """The resource alone."""
    online: bool
    """Is it there?"""
    client: str | None
    """Name and version of its client, where it tells (XEP-0092)."""
    age_s: float | None
    """How old it is in seconds, or its last presence where nobody of ours has it."""
    show: str | None
    """away, chat, dnd or xa."""
    status: str | None
    """The text of its presence."""
    priority: int | None
    """The priority of its presence; null where it has none."""
    this: bool
    """Is it the one that asks?"""
    held: HeldRecord | None
    """What a program of this machine has of it."""
    widths: tuple[int, ...] = field(default=(), metadata=NOT_JSON)
    """The columns of the whole list, in characters."""

    def text(self) -> str:
        """One aligned line."""
        padded = (f"{cell:{width}}" for cell, width in zip_longest(self.cells(), self.widths, fillvalue=0))
        return "  ".join(padded).rstrip()

    def cells(self) -> tuple[str, ...]:
        """Resource, presence, priority, client, age, whose it is, status."""
        presence = "offline"
        if self.online:
            presence = "-" if self.priority is None else self.show or "available"
        whose = "this" if self.this else "" if self.held is None else f"ours, {self.held.state}"
        if self.held is not None and self.held.unacked:
            whose += f", {self.held.unacked} unacked"
        return (
            safe.line(self.resource or ""),
            safe.line(presence),
            "" if self.priority is None else str(self.priority),
            safe.line(self.client or "-"),
            "-" if self.age_s is None else span(self.age_s),
            whose,
            safe.line(self.status or ""),
        )


@dataclass(frozen=True, slots=True)
class Closed(Record):
    """A session that was closed."""

    kind: Literal["closed"] = field(default="closed", init=False)
    """What it is."""
    jid: str
    """Its full JID."""
    resource: str | None
    """The resource alone."""
    resumed: bool
    """Was it resumed and closed by what a dead program left, and not replaced?"""

    def text(self) -> str:
        """One line."""
        return f"closed {safe.line(self.jid)}"


@dataclass(frozen=True, slots=True)
class ReapedRecord(Record):
    """A session that a dead program left, and that is gone now."""

    kind: Literal["reaped"] = field(default="reaped", init=False)
    """What it is."""
    jid: str
    """Its full JID."""
    resumed: bool
    """Was it resumed and closed? Otherwise it was gone, or is replaced and closed."""
    age_s: float
    """How old it was, in seconds."""
    acked: int
    """How many of its messages are known to have arrived."""
    left: int
    """How many are in the outbox."""

    def text(self) -> str:
        """One line."""
        how = "closed" if self.resumed else "was gone, or is replaced and closed"
        left = f", {self.left} unconfirmed: xmppsh outbox retry" if self.left else ""
        return f"{safe.line(self.jid)}  {how}, {span(self.age_s)} old{left}"


def span(seconds: float) -> str:
    """A length of time in its largest unit."""
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
