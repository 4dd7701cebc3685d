"""The outbox in memory: one ordered log of what was handed in, and the one fate of each stanza.

    queued → sent → acked | uncertain → (acked | queued) | failed

A stanza is *sent* when its wire number is given, before its bytes leave. A resumed stream repeats what is sent and
unacknowledged, in order, before anything new. After a session that cannot be resumed everything sent is *uncertain*
until it is settled by proof; uncertain is never success, and never sent again without proof.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from xmppsh.plain import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xmppsh.xmlio.build import Xml


MAX_RECENT = 100


class Fate(StrEnum):
    """Where a stanza stands; acked and failed are final."""

    QUEUED = "queued"
    SENT = "sent"
    ACKED = "acked"
    UNCERTAIN = "uncertain"
    FAILED = "failed"


ALLOWED = frozenset(
    {
        (Fate.QUEUED, Fate.SENT),
        (Fate.SENT, Fate.SENT),  # written again on a resumed stream, under the same number
        (Fate.SENT, Fate.ACKED),
        (Fate.SENT, Fate.UNCERTAIN),
        (Fate.UNCERTAIN, Fate.ACKED),  # h of <failed/>, or the archive has it
        (Fate.UNCERTAIN, Fate.QUEUED),  # proved not to have arrived
        (Fate.UNCERTAIN, Fate.FAILED),  # an IQ or presence of a session that is gone
    }
)


@dataclass(slots=True)
class Entry:
    """One stanza of ours.

    number: its place in the log, from 1; 0 for the session's own (answers, presence of a new session), whose fate
    nobody asks for. row: its row on disk, when it has one. position: the place in the input of `pipe --checkpoint`.
    xml: empty for a stanza of a former process that nobody remembers. stanza_id: a message's origin-id, where we gave
    it one; the archive tells by that alone whether it has arrived (reconcile.py).
    """

    number: int
    xml: Xml
    kind: str
    stanza_id: str
    to: str
    fate: Fate = Fate.QUEUED
    row: int | None = None
    position: int | None = None

    def become(self, fate: Fate) -> None:
        """Change the fate; a change that ALLOWED does not hold is a bug."""
        assert (self.fate, fate) in ALLOWED, f"stanza {self.number}: {self.fate} cannot become {fate}"
        self.fate = fate


class Queue:
    """The log's open end: entries in order, the sent ones first, then the queued ones.

    acked_count and failed_count count final fates; `lost` keeps what stayed uncertain for good.
    """

    def __init__(self) -> None:
        self.last_number = 0
        self.acked_count = 0
        self.failed_count = 0
        self.lost: list[Entry] = []
        self.recent: deque[str] = deque(maxlen=MAX_RECENT)  # ids of the messages acked last
        self._sent: deque[Entry] = deque()
        self._queued: deque[Entry] = deque()
        self._uncertain: list[Entry] = []
        self._is_in_order = True  # within each of the three; what was restored is not

    @property
    def in_flight(self) -> int:
        """How many are sent and not acknowledged."""
        return len(self._sent)

    @property
    def open_count(self) -> int:
        """How many have no final fate yet."""
        return len(self._sent) + len(self._queued) + len(self._uncertain)

    @property
    def waiting_count(self) -> int:
        """How many were not written yet."""
        return len(self._queued)

    @property
    def unproven_count(self) -> int:
        """How many of the user's have been written without any proof of their fate."""
        sent = sum(1 for entry in (*self._sent, *self._uncertain) if entry.kind)
        return sent + len(self.lost)

    @property
    def in_doubt(self) -> bool:
        """Does something wait to be settled?"""
        return bool(self._uncertain)

    @property
    def settled_up_to(self) -> int:
        """Every stanza up to this number has its final fate, or is lost."""
        if not self._is_in_order:
            return min((entry.number for entry in self if entry.number), default=self.last_number + 1) - 1
        parts: tuple[Iterable[Entry], ...] = (self._uncertain, self._sent, self._queued)
        oldest = (next((entry.number for entry in part if entry.number), self.last_number + 1) for part in parts)
        return min(oldest) - 1

    def add(self, xml: Xml, kind: str, stanza_id: str, to: str, position: int | None = None) -> Entry:
        """Append a stanza, which gets the next number; it leaves when `take` reaches it."""
        self.last_number += 1
        entry = Entry(self.last_number, xml, kind, stanza_id, to, position=position)
        self._queued.append(entry)
        return entry

    def add_own(self, xml: Xml) -> Entry:
        """A stanza of the session's own, which leaves at once, before what is queued."""
        entry = Entry(0, xml, "", "", "", Fate.SENT)
        self._sent.append(entry)
        return entry

    def restore(self, entries: Iterable[Entry]) -> None:
        """Take over what a former process left, in order, before anything new."""
        self._is_in_order = False
        for entry in entries:
            if entry.xml:
                self.last_number += 1
                entry.number = self.last_number
            if entry.fate is Fate.SENT:
                self._sent.append(entry)
            elif entry.fate is Fate.QUEUED:
                self._queued.append(entry)
            else:
                self._uncertain.append(entry)

    def peek(self, room: int) -> list[Entry]:
        """The next queued entries, at most `room`."""
        return list(islice(self._queued, max(0, room)))

    def take(self, room: int) -> list[Entry]:
        """Send the next queued entries, at most `room`: they get their numbers on the wire in this order."""
        batch = [self._queued.popleft() for _ in range(min(room, len(self._queued)))]
        for entry in batch:
            entry.become(Fate.SENT)
        self._sent.extend(batch)
        return batch

    def repeat(self) -> list[Entry]:
        """What a resumed stream must carry again first."""
        self._sent = deque(entry for entry in self._sent if entry.xml)
        for entry in self._sent:
            entry.become(Fate.SENT)
        return list(self._sent)

    def acked(self, count: int) -> list[Entry]:
        """The server has handled the `count` oldest sent entries."""
        batch = [self._sent.popleft() for _ in range(count)]
        for entry in batch:
            entry.become(Fate.ACKED)
        self.acked_count += sum(1 for entry in batch if entry.number)
        self.recent.extend(entry.stanza_id for entry in batch if entry.kind == "message")
        return batch

    def doubt(self) -> list[Entry]:
        """The session is gone: everything sent is uncertain. Returns it, in order."""
        for entry in self._sent:
            entry.become(Fate.UNCERTAIN)
        self._uncertain += self._sent
        self._sent.clear()
        return list(self._uncertain)

    @property
    def uncertain_count(self) -> int:
        """How many wait to be settled."""
        return len(self._uncertain)

    def settle(self, fates: Sequence[Fate | None]) -> list[Entry]:
        """End the doubt: one proven fate for each uncertain entry, in order; UNCERTAIN again means lost for good, None
        that it is still to be settled.

        Returns the entries whose fate is final now; what is queued again stands before the new ones, in its order.
        """
        doubted, self._uncertain = self._uncertain, []
        again: list[Entry] = []
        for entry, fate in zip(doubted, fates, strict=True):
            if fate is None:
                self._uncertain.append(entry)
            elif fate is Fate.UNCERTAIN:
                self.lost.append(entry)
            else:
                entry.become(fate)
                again += [entry] if fate is Fate.QUEUED else []
                self.acked_count += fate is Fate.ACKED and entry.number > 0
                self.failed_count += fate is Fate.FAILED and entry.number > 0
        self._queued.extendleft(reversed(again))
        return [entry for entry in doubted if entry.fate in (Fate.ACKED, Fate.FAILED)]

    def __iter__(self) -> Iterator[Entry]:
        yield from self._uncertain
        yield from self._sent
        yield from self._queued
