"""The outbox in memory: one ordered log of what was handed in, and the one fate of each stanza.

    queued → sent → acked | uncertain → (acked | queued) | failed

Plain messages of a long input are handed in, stored, written and acknowledged by the batch; a batch stands for so many
stanzas with consecutive numbers, and is opened up into its stanzas as soon as their fates may differ.

A stanza is *sent* when its wire number is given, before its bytes leave. A resumed stream repeats what is sent and
unacknowledged, in order, before anything new. After a session that cannot be resumed everything sent is *uncertain*
until it is settled by proof; uncertain is never success, and never sent again without proof.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from xmppsh.outbox.entry import ALLOWED, Batch, Entry, Fate, opened, origin_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xmppsh.xmlio.build import Xml

__all__ = ["ALLOWED", "Batch", "Entry", "Fate", "Queue", "opened"]

MAX_RECENT = 100


class Queue:
    """The log's open end: entries in order, the sent ones first, then the queued ones.

    acked_count and failed_count count final fates; `lost` keeps what stayed uncertain for good. in_flight: how many
    stanzas are sent and not acknowledged; waiting_count: how many were not written yet; batch_bytes: of what is open in
    batches.
    """

    def __init__(self) -> None:
        self.last_number = 0
        self.acked_count = 0
        self.failed_count = 0
        self.in_flight = 0
        self.waiting_count = 0
        self.batch_bytes = 0
        self.lost: list[Entry] = []
        self._recent: deque[str | bytes] = deque(maxlen=MAX_RECENT)  # ids, or messages that hold them
        self._sent: deque[Entry | Batch] = deque()
        self._queued: deque[Entry | Batch] = deque()
        self._uncertain: list[Entry] = []
        self._is_in_order = True  # within each of the three; what was restored is not

    @property
    def open_count(self) -> int:
        """How many of those that were handed in have no final fate yet; the session's own are not counted."""
        lost = sum(entry.number > 0 for entry in self.lost)
        return self.last_number - self.acked_count - self.failed_count - lost

    @property
    def recent(self) -> list[str]:
        """The ids of the messages acked last."""
        return [one if isinstance(one, str) else origin_id_of(one) for one in self._recent]

    @property
    def unproven_count(self) -> int:
        """How many of the user's have been written without any proof of their fate."""
        sent = sum(item.count for item in (*self._sent, *self._uncertain) if item.kind)
        return sent + len(self.lost)

    @property
    def left_count(self) -> int:
        """How many have been written without an acknowledgement, also of those that end with their session."""
        return self.in_flight + len(self._uncertain) + len(self.lost) + self.failed_count

    @property
    def in_doubt(self) -> bool:
        """Does something wait to be settled?"""
        return bool(self._uncertain)

    @property
    def open_fates(self) -> dict[int, Fate]:
        """The fate of each stanza, by its number, that is not acknowledged; of batches that of the first alone."""
        return {item.number: item.fate for item in (*self, *self.lost) if item.number}

    @property
    def settled_up_to(self) -> int:
        """Every stanza up to this number has its final fate, or is lost."""
        if not self._is_in_order:
            return min((item.number for item in self if item.number), default=self.last_number + 1) - 1
        parts: tuple[Iterable[Entry | Batch], ...] = (self._uncertain, self._sent, self._queued)
        oldest = (next((item.number for item in part if item.number), self.last_number + 1) for part in parts)
        return min(oldest) - 1

    def add(self, xml: Xml, kind: str, stanza_id: str, to: str, position: int | None = None) -> Entry:
        """Append a stanza, which gets the next number; it leaves when `take` reaches it."""
        self.last_number += 1
        self.waiting_count += 1
        entry = Entry(self.last_number, xml, kind, stanza_id, to, position=position)
        self._queued.append(entry)
        return entry

    def add_batch(self, messages: list[bytes], position: int | None = None) -> Batch:
        """Append messages, which get the next numbers; they leave together. position: of the first."""
        batch = Batch(self.last_number + 1, messages, position)
        self.last_number += batch.count
        self.waiting_count += batch.count
        self.batch_bytes += batch.size_bytes
        self._queued.append(batch)
        return batch

    def add_own(self, xml: Xml) -> Entry:
        """A stanza of the session's own, which leaves at once, before what is queued."""
        entry = Entry(0, xml, "", "", "", Fate.SENT)
        self._sent.append(entry)
        self.in_flight += 1
        return entry

    def restore(self, entries: Iterable[Entry], recent: Iterable[str] = ()) -> None:
        """Take over what a former process left, in order, before anything new.

        recent: the origin-ids of messages that were acknowledged last.
        """
        self._is_in_order = False
        self._recent.extend(recent)
        for entry in entries:
            if entry.xml:
                self.last_number += 1
                entry.number = self.last_number
            if entry.fate is Fate.SENT:
                self._sent.append(entry)
                self.in_flight += 1
            elif entry.fate is Fate.QUEUED:
                self._queued.append(entry)
                self.waiting_count += 1
            else:
                self._uncertain.append(entry)

    def peek(self, room: int) -> list[Entry | Batch]:
        """The next queued entries, at most `room` stanzas; a batch that is larger goes alone when nothing is on its
        way."""
        found: list[Entry | Batch] = []
        for item in self._queued:
            if item.count > room and (found or self.in_flight or room < 1):
                break
            found.append(item)
            room -= item.count
        return found

    def take(self, room: int) -> list[Entry | Batch]:
        """Send what `peek` gives: they get their numbers on the wire in this order."""
        return self.send(self.peek(room))

    def send(self, items: list[Entry | Batch]) -> list[Entry | Batch]:
        """Send what was looked at; nothing was queued before it meanwhile."""
        for item in items:
            assert self._queued.popleft() is item
            item.become(Fate.SENT)
            self.waiting_count -= item.count
            self.in_flight += item.count
        self._sent.extend(items)
        return items

    def repeat(self) -> list[Entry]:
        """What a resumed stream must carry again first."""
        repeated = [entry for entry in self._opened() if entry.xml]
        for entry in repeated:
            entry.become(Fate.SENT)
        self._sent = deque(repeated)
        self.in_flight = len(repeated)
        return repeated

    def _opened(self) -> list[Entry]:
        """What is sent, stanza by stanza."""
        self.batch_bytes -= sum(item.size_bytes for item in self._sent if isinstance(item, Batch))
        return opened(self._sent)

    def acked(self, count: int) -> list[Entry | Batch]:
        """The server has handled the `count` oldest sent stanzas; what stands for them now."""
        done: list[Entry | Batch] = []
        self.in_flight -= count
        while count:
            item = self._sent[0]
            if isinstance(item, Batch) and item.count > count:
                item = item.cut(count)
            else:
                self._sent.popleft()
            count -= item.count
            item.become(Fate.ACKED)
            self.acked_count += item.count if item.number else 0
            self._note_acked(item)
            done.append(item)
        return done

    def _note_acked(self, item: Entry | Batch) -> None:
        if isinstance(item, Batch):
            self.batch_bytes -= item.size_bytes
            self._recent.extend(item.messages[-MAX_RECENT:])
        elif item.kind == "message":
            self._recent.append(item.stanza_id)

    def doubt(self) -> list[Entry]:
        """The session is gone: everything sent is uncertain. Returns it, in order."""
        doubted = self._opened()
        for entry in doubted:
            entry.become(Fate.UNCERTAIN)
        self._uncertain += doubted
        self._sent.clear()
        self.in_flight = 0
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
        self.waiting_count += len(again)
        return [entry for entry in doubted if entry.fate in (Fate.ACKED, Fate.FAILED)]

    @property
    def uncertain(self) -> list[Entry]:
        """What waits to be settled, in order."""
        return list(self._uncertain)

    def __iter__(self) -> Iterator[Entry | Batch]:
        yield from self._uncertain
        yield from self._sent
        yield from self._queued
