"""What each account has sent and received, for as long as the server runs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from xmppsh import ns
from xmppsh.playground.stanza import archived

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xmppsh.model import Jid
    from xmppsh.playground.stanza import Stanza

MAX_KEPT = 20_000  # messages of an account; then the oldest go


class Kept(NamedTuple):
    """A message with its number, which is its id."""

    number: int
    message: Stanza


class Wanted(NamedTuple):
    """Which messages: with somebody; since and until a moment, in seconds since the epoch."""

    partner: Jid | None
    since: float
    until: float

    def holds(self, message: Stanza) -> bool:
        """Is it one of them?"""
        if not self.since <= message.received_at <= self.until:
            return False
        return self.partner is None or self.partner in _sides(message)


def _sides(message: Stanza) -> Iterator[Jid]:
    for side in (message.sender, message.to):
        if side is not None:
            yield from (side, side.bare)


class Archive:
    """What an account has sent and received, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[Kept] = deque(maxlen=MAX_KEPT)
        self._next = 1

    def add(self, message: Stanza, by: Jid) -> Stanza:
        """Keep a message that somebody could want to read again (§5.1.1). by: whose archive it is.

        Gives it as its reader gets it: with the id that it has here (§5.1.3).
        """
        if message.type not in ("chat", "normal") or "<body" not in message.xml or _is_unwanted(message.xml):
            return message
        message = archived(message, by, str(self._next))
        self._kept.append(Kept(self._next, message))
        self._next += 1
        return message

    def forwards(self, wanted: Wanted, after: int) -> Iterable[Kept]:
        """The messages after a number."""
        return (kept for kept in self._kept if kept.number > after and wanted.holds(kept.message))

    def backwards(self, wanted: Wanted, before: int) -> Iterable[Kept]:
        """The messages before a number, the newest first."""
        return (kept for kept in reversed(self._kept) if kept.number < before and wanted.holds(kept.message))


def _is_unwanted(xml: str) -> bool:
    return ns.HINTS in xml and ("<no-store" in xml or "<no-permanent-store" in xml)  # XEP-0334 §4
