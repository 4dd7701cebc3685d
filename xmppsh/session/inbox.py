"""The inbox: what arrives for a reader that is slower than the server is stored, acknowledged, and handed on later.

While the reader keeps up, nothing is stored, and what it has read is noted alone (inbox_file.py). What has waited for
LAG_S is stored (outbox/inbox_store.py) and counts as handled from then on; it is handed on in order, before anything
newer, and what a process that died had not handed on comes first in the next run of the same command. Past `max_bytes`
nothing more is stored, and the link is not read until the reader has caught up.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.errors import IoError
from xmppsh.outbox.inbox_store import Arrival
from xmppsh.session.bus import Subscription, Waiting, WaitingRun
from xmppsh.xmlio.reader import StanzaReader
from xmppsh.xmlio.splitter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from xmppsh.model import Element
    from xmppsh.session.bus import Bus
    from xmppsh.session.inbox_file import InboxFile
    from xmppsh.session.repeats import Repeats

LAG_S = 1.0  # a reader that leaves a stanza waiting for longer is slow
SLOW_LAG_S = 0.1  # as long as something is stored: what arrives is stored after it
SLOW_COUNT = 400  # stanzas, with the same end: Prosody keeps 500 unacknowledged ones at most


class Inbox(Subscription):
    """A subscription that stores what its reader leaves waiting.

    kinds: of stanzas that it reads. on_trouble: is told why the inbox cannot be written; then it goes on in memory, and
    the link is held back.
    """

    def __init__(
        self,
        bus: Bus,
        kinds: Collection[str],
        file: InboxFile,
        repeats: Repeats,
        on_trouble: Callable[[IoError], None],
    ) -> None:
        super().__init__(bus, lambda stanza: stanza.kind in kinds)
        self.reader = file.reader  # which command of which address
        self._reads_messages = "message" in kinds
        self._file, self._repeats, self._on_trouble = file, repeats, on_trouble
        self._newest_stored = ""  # the stanza-id of what was stored last, until something newer is read
        self._stored: Arrival | None = None  # what the reader has in its hands, if it comes from the file
        self._generation: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_writable = True
        self._is_keeping = False  # what still comes, for the next run
        self.came_late = False  # something did
        self.keeps_rest: Callable[[], bool] = lambda: False  # does nobody else keep what is left when reading ends?
        self._kept_up_at = 0.0  # when the reader last took all that it was offered, by the monotonic clock
        self._reader = StanzaReader(Limits().arriving)  # of what was stored: whole stanzas that were read before
        repeats.expect(file.recall())

    # ── The reader's side ───────────────────────────────────────────────────────────────────────────────────────

    def _take_next(self) -> Element | None:
        if (arrival := self._file.next()) is not None:
            self._stored = arrival
            (stanza,) = self._reader.feed(arrival.xml.encode())
            return replace(stanza, arrived=arrival.arrived)
        return super()._take_next()

    def done(self) -> None:
        """The stanza that was read last is dealt with."""
        if self._stored is not None:
            arrival, self._stored = self._stored, None
            self._file.read(arrival)
        elif self._current is not None:
            self._note_read([self._current.element.xml])
        super().done()

    def stored(self, most: int) -> list[Arrival]:
        """What waits in the file, at most so many."""
        self.done()
        return [] if self._cancelled else self._file.ahead(most)

    def took_stored(self, count: int) -> None:
        """So many of them are dealt with."""
        self._file.skip(count)

    def together(self) -> WaitingRun | None:
        """Messages that came together, unless something stored comes before them."""
        self.done()
        first = None if self._file.count or not self._waiting else self._waiting[0]
        if not isinstance(first, WaitingRun):
            return None
        first.most = self._bus.until_ack()
        return first

    def took(self, run: WaitingRun, count: int, *, keeps_up: bool) -> None:
        """So many of these messages are dealt with; what waits while the reader keeps up waits for us alone."""
        if keeps_up:
            self._kept_up_at = time.monotonic()
        self._note_read(run.run.messages[run.at : run.at + count])
        self._bus.release_run(run, count)
        if run.is_done:
            self._waiting.popleft()

    def _note_read(self, stanzas: Sequence[str]) -> None:
        """Before anything of it is acknowledged."""
        self._file.note_handed_on(stanzas)
        self._repeats.note_read(stanzas)
        self._newest_stored = ""

    def keep(self) -> Arrival | None:
        """Store what was read last, for somebody who deals with it while more is read; it is given up by `forget`.

        None where nothing more can be stored: then it is in the reader's hands until the next one is read.
        """
        if self._stored is None:
            self._store_waiting()
        arrival, self._stored = self._stored, None
        return arrival

    def forget(self, arrival: Arrival) -> None:
        """What was kept is dealt with."""
        if self._is_writable:
            self._file.read(arrival)

    def stop(self) -> None:
        """Read no more. What is stored waits for the next run of the same command, and what is not for the server's
        next client; where the server keeps it for nobody (session/others.py), what waits or comes yet is stored."""
        if self._is_keeping:
            return
        if self._cancelled or not self._is_writable or not self.keeps_rest():
            super().stop()
            return
        self._cancelled = self._is_keeping = True
        waiting, self._waiting = self._waiting, deque()
        for arrival in waiting:
            if isinstance(arrival, Waiting) and arrival.element.kind != "message":
                self._bus.let_go(arrival)
            else:
                self._waiting.append(arrival)
        self._store_waiting()
        self._ready.set()

    def cancel(self) -> None:
        """What was read last is dealt with; read no more, as in `stop`. `close` ends the keeping."""
        super().cancel()
        if not self._is_keeping:
            self.close()

    def close(self) -> None:
        """Store no more. What the reader has in its hands is not dealt with."""
        self._is_writable = self._is_keeping = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._file.close()

    # ── What is known (XEP-0359) ────────────────────────────────────────────────────────────────────────────────

    def stanza_id(self, xml: str) -> str:
        """The one that a stanza has of the own server, empty where there is none."""
        return self._repeats.stanza_id(xml)

    @property
    def newest_id(self) -> str:
        """That of what came last, of those that have one."""
        for xml in reversed(self._waiting_xml()):
            if found := self.stanza_id(xml):
                return found
        if self._newest_stored:
            return self._newest_stored
        return next(filter(None, map(self.stanza_id, reversed(self._repeats.read))), "")

    @property
    def newest_kept(self) -> str:
        """The stanza-id of the newest one that was read or is stored, of those that have one."""
        return self._newest_stored or self._repeats.newest_id

    def known_ids(self) -> set[str]:
        """Those of all that was read lately, or waits."""
        seen = map(self.stanza_id, [*self._repeats.read, *self._waiting_xml()])
        return {*seen, *self._repeats.ids, *self._file.recall()}

    def having(self, text: str) -> list[str]:
        """The XML of all that was read lately, is stored, or waits, and has this text in it, in order."""
        everything = (*self._repeats.read, *self._file.texts(), *self._waiting_xml())
        return [xml for xml in everything if text in xml]

    def expect(self, stanza_ids: list[str]) -> None:
        """What has these ids may come again."""
        self._repeats.expect(stanza_ids)

    def _waiting_xml(self) -> list[str]:
        in_hand = [] if self._current is None else [self._current]
        return [xml for one in (*in_hand, *self._waiting) for xml in one.left]

    # ── The server's side ───────────────────────────────────────────────────────────────────────────────────────

    def put(self, arrival: Waiting) -> None:
        """A stanza arrived."""
        if arrival.token[0] != self._generation:
            self._begin_session(arrival.token[0])
        if self._repeats.is_repeat(arrival.element):
            self._bus.release(arrival)
            return
        if self._is_keeping:
            self.came_late = True
            return self._put_late(arrival)
        super().put(arrival)
        if self._file.count and len(self._waiting) >= SLOW_COUNT:
            self._store_waiting()
        self._watch()

    def put_run(self, run: WaitingRun) -> bool:
        """Messages arrived together: they stay so where none of them can be a repeated one."""
        if run.token[0] != self._generation:
            self._begin_session(run.token[0])
        if self._is_keeping or not self._reads_messages or self._repeats.may_be_among(run.left):
            return False
        self._waiting.append(run)
        self._ready.set()
        if self._file.count and len(run.left) >= SLOW_COUNT:
            self._store_waiting()
        self._watch()
        return True

    def _put_late(self, arrival: Waiting) -> None:
        """It comes while the session is closed, and is not acknowledged any more: its id tells when it comes again."""
        if arrival.element.kind != "message" or not self.stanza_id(arrival.element.xml):
            return self._bus.let_go(arrival)
        super().put(arrival)
        self._store_waiting()

    def _begin_session(self, generation: int) -> None:
        if self._generation is not None:
            # The server delivers again what was not acknowledged on the lost one, and that may wait here.
            self._store_waiting()
            self._repeats.expect(self._file.recall())
        self._generation = generation

    def _watch(self) -> None:
        if self._timer is None and (self._waiting or self._current) and self._is_writable:
            lag_s = SLOW_LAG_S if self._file.count else LAG_S
            self._timer = asyncio.get_running_loop().call_later(lag_s, self._look)

    def _look(self) -> None:
        self._timer = None
        oldest = self._current or (self._waiting[0] if self._waiting else None)
        since = max(self._kept_up_at, math.inf if oldest is None else oldest.since)
        if self._file.count or time.monotonic() - since >= LAG_S:
            self._store_waiting()
        self._watch()

    def _store_waiting(self) -> None:
        """Store what waits, and what the reader has in its hands: unacknowledged, it would hold back all after it."""
        pending: list[Waiting | WaitingRun] = [*([] if self._current is None else [self._current]), *self._waiting]
        if not pending or not self._is_writable or self._file.is_full:
            return
        now = time.time()
        read = [self._as_arrival(xml, now) for xml in self._repeats.to_store()]
        try:
            arrivals = [self._as_arrival(xml, now) for one in pending for xml in one.left]
            self._file.add(arrivals, read)
        except IoError as error:
            self._is_writable = False
            self._on_trouble(error)
            return
        self._newest_stored = next((one.stanza_id for one in reversed(arrivals) if one.stanza_id), self._newest_stored)
        if self._current is not None:
            self._current, self._stored = None, self._file.next()
        self._waiting = deque()
        for one in pending:
            if isinstance(one, WaitingRun):
                self._bus.release_run(one, len(one.left))
            else:
                self._bus.release(one)
        self._ready.set()

    def _as_arrival(self, xml: str, now: float) -> Arrival:
        return Arrival(self._repeats.stanza_id(xml), xml, now)
