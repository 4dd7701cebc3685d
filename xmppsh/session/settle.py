"""Sessions that were lost without a count, and what a witness may know of them.

What is uncertain in the queue belongs to these sessions, in their order. Whoever closed one knows the server's final
count of what it had sent, which proves the fate of every stanza of it, as the h of `<failed/>` does (XEP-0198 §5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.outbox.queue import Fate
from xmppsh.protocol.sm import MODULUS
from xmppsh.session.archive import by_handled
from xmppsh.witness.announcer import final_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xmppsh.outbox.queue import Entry
    from xmppsh.protocol.sm import StreamManagement
    from xmppsh.session.session import Session


class LostSessions:
    """The lost sessions whose stanzas are still uncertain, the oldest first."""

    def __init__(self) -> None:
        self._lost: list[tuple[StreamManagement | None, int]] = []  # its counters, and how many uncertain ones it has

    def add(self, sm: StreamManagement | None, older: int, count: int) -> None:
        """A session was lost, with `count` stanzas in flight; `older` ones were uncertain before.

        sm: None when nobody can know how it ended.
        """
        if older != sum(size for _, size in self._lost):
            self._lost = [(None, older)]  # of former processes, or the witness was asked already
        self._lost.append((sm, count))

    async def ask_witness(self, session: Session) -> list[Fate | None]:
        """What the witness can prove: a fate for each uncertain entry, None where it knows nothing.

        Raises XmppshError when the link breaks meanwhile.
        """
        doubted = [entry for entry in session.queue if entry.fate is Fate.UNCERTAIN]
        fates: list[Fate | None] = []
        for sm, count in self._lost:
            entries = doubted[len(fates) : len(fates) + count]
            h = None
            if sm is not None and sm.resumption is not None and any(entry.number for entry in entries):
                h = await final_count(session, sm.resumption.sm_id)
            fates += proven(entries, sm, h)
        return [*fates, *[None] * (len(doubted) - len(fates))]


def proven(entries: Sequence[Entry], sm: StreamManagement | None, h: int | None) -> Sequence[Fate | None]:
    """The fates that the server's final count proves; None for each when it is no count of this session."""
    released = None if sm is None or h is None else (h - sm.acked) % MODULUS
    if sm is None or released is None or released > sm.unacked:
        return [None] * len(entries)
    return by_handled(entries, released)
