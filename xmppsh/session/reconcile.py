"""After a lost session: ask whoever can prove what became of its stanzas, and settle them.

settle.py says what an answer proves; this file asks: the final count of a helper of ours, then the archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xmppsh.errors import XmppshError
from xmppsh.outbox.queue import Fate
from xmppsh.session.archive import by_archive
from xmppsh.session.settle import LostSessions, Step, by_final_count, without_archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.session.archive import Asker
    from xmppsh.session.outbound import Outbound
    from xmppsh.texts import Log


class CountsSessions(Protocol):
    """Knows how sessions of ours ended."""

    async def final_count(self, sm_id: str) -> int | None:
        """The server's final count of what that session had sent; None when it is not known."""


class Reconciler:
    """Settles what is uncertain. counts, archive: whom it asks, by the stream in use."""

    def __init__(self, outbound: Outbound, counts: CountsSessions, archive: Asker, log: Log) -> None:
        self.lost = LostSessions()
        self.step = Step.SEVERAL_LOOKS  # how the session was lost says how the archive is to be asked
        self._outbound, self._counts, self._archive, self._log = outbound, counts, archive, log

    async def run(self, is_current: Callable[[], bool]) -> bool:
        """Settle everything uncertain. is_current: is the stream still in use that is asked?

        Returns False when the link broke meanwhile: the next one tries again. Raises IoError.
        """
        try:
            counted = await self.by_counts()
        except XmppshError:
            return False
        if not is_current():
            return False
        self._outbound.settle(counted)
        uncertain = self._outbound.queue.uncertain
        known = frozenset(self._outbound.queue.recent)
        try:
            fates = await by_archive(self._archive, uncertain, known, self.step)
        except XmppshError as error:
            if not is_current():
                return False
            self._log(1, f"the archive does not answer: {error}")
            fates = [without_archive(entry) for entry in uncertain]
        if not is_current():
            return False
        settled = [*counted, *fates]
        shown = ", ".join(f"{settled.count(fate)} {fate}" for fate in Fate if fate in settled)
        self._log(1, f"after the lost session: {shown}")
        self._outbound.settle(fates)
        return True

    async def by_counts(self) -> list[Fate | None]:
        """A fate for each uncertain entry; None where nobody knows how its session ended."""
        fates: list[Fate | None] = []
        for sm, entries in self.lost.split(self._outbound.queue.uncertain):
            h = None
            if sm is not None and sm.resumption is not None and any(entry.number for entry in entries):
                h = await self._counts.final_count(sm.resumption.sm_id)
            fates += by_final_count(entries, sm, h)
        return fates
