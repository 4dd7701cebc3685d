"""What the queue holds: a stanza with its one fate, or a batch of messages that have had the same fate so far."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from xmppsh.plain import dataclass
from xmppsh.xmlio.build import Xml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import ClassVar

_ORIGIN_ID = rb'<origin-id [^>]*id="([^"]*)"/></message>$'


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
    count = 1  # stanzas that it stands for

    def become(self, fate: Fate) -> None:
        """Change the fate; a change that ALLOWED does not hold is a bug."""
        assert (self.fate, fate) in ALLOWED, f"stanza {self.number}: {self.fate} cannot become {fate}"
        self.fate = fate

    @property
    def last_position(self) -> int | None:
        """The place in the input of the last stanza that it stands for."""
        return self.position


class Batch:
    """Messages of ours that one write carries, each of which ends with our own origin-id (xmlio/stanzas.py: numbered).

    number, row, position: those of the first, as an Entry has them; the others follow. stored_as: the row that holds
    them all on disk, under the id of the first stanza that it was stored with.
    """

    kind: ClassVar[str] = "message"

    def __init__(
        self, number: int, messages: list[bytes], position: int | None, row: int | None = None, fate: Fate = Fate.QUEUED
    ) -> None:
        self.number, self.messages, self.position, self.row, self.fate = number, messages, position, row, fate
        self.stored_as = row

    @property
    def count(self) -> int:
        """How many stanzas it stands for."""
        return len(self.messages)

    @property
    def size_bytes(self) -> int:
        """How big it is."""
        return sum(map(len, self.messages))

    @property
    def last_position(self) -> int | None:
        """The place in the input of its last stanza."""
        return None if self.position is None else self.position + self.count - 1

    def become(self, fate: Fate) -> None:
        """Change the fate of all of them."""
        assert (self.fate, fate) in ALLOWED, f"stanzas from {self.number} on: {self.fate} cannot become {fate}"
        self.fate = fate

    def cut(self, count: int) -> Batch:
        """Take off the first `count`, as a batch of their own; the row stays with the others."""
        head = Batch(self.number, self.messages[:count], self.position, None, self.fate)
        self.messages = self.messages[count:]
        self.number += count
        self.row = None if self.row is None else self.row + count
        self.position = None if self.position is None else self.position + count
        return head

    def entries(self) -> list[Entry]:
        """Its stanzas, each for itself."""
        from xmppsh.xmlio.plain import recipient_of  # who sends one message has no batch

        return [
            Entry(
                self.number + at,
                Xml(message.decode().lstrip()),
                self.kind,
                origin_id_of(message),
                recipient_of(message),
                self.fate,
                None if self.row is None else self.row + at,
                None if self.position is None else self.position + at,
            )
            for at, message in enumerate(self.messages)
        ]


def origin_id_of(message: bytes) -> str:
    """The origin-id of a message of a batch, or of its end."""
    found = re.search(_ORIGIN_ID, message)
    return "" if found is None else found[1].decode()


def opened(items: Iterable[Entry | Batch]) -> list[Entry]:
    """The stanzas that these stand for."""
    return [entry for item in items for entry in (item.entries() if isinstance(item, Batch) else (item,))]
