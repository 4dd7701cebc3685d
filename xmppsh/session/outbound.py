"""The way out: the queue, what of it is on disk, and what leaves in this turn of the loop.

Write-ahead: a message's row and its number on the wire are committed before its bytes leave. What cannot be stored is
not sent: the session ends with it (74), whichever write of the journal it was.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.connection.pace import Pace
from xmppsh.errors import ConnectionLost, IoError
from xmppsh.outbox.queue import Batch, Fate, Queue
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from xmppsh.model import Jid
    from xmppsh.outbox.journal import Journal
    from xmppsh.outbox.queue import Entry
    from xmppsh.protocol.sm import Resumption
    from xmppsh.session.ports import Wire
    from xmppsh.xmlio.build import Xml

MAX_WINDOW = 10_000  # stanzas in flight at most, whatever the pace says
MAX_BATCH_BYTES = 4 * 1024 * 1024  # of messages in batches, before more are taken in
MAX_LIVES = 5  # streams in a row that came to life and brought no ack, before that is no progress any more
FLUSH_S = 0.02  # acks of batches are written down with the next batch, or after so long


class Outbound:
    """Writes the queue's next stanzas on the wire while it may.

    progress: set by each ack, by a stream that comes to life, and by the end; wrote: set whenever something left.
    progress_at, left_at: when that was last, in the loop's time.
    """

    def __init__(self, wire: Wire, journal: Journal | None) -> None:
        self.queue = Queue()
        self.journal = journal
        self.pace = Pace()
        self.progress = asyncio.Event()
        self.wrote = asyncio.Event()
        self.progress_at = self.left_at = -math.inf
        self._wire = wire
        self._may_write = self._is_over = False
        self._new: list[Entry | Batch] = []  # not on disk yet
        self._scheduled = False
        self._storing: tuple[Future[None], list[Entry | Batch]] | None = None  # what leaves when it is on the disk
        self._written = self._asked_up_to = self._settled = 0  # entries, the session's own included
        self._ack_pings: dict[str, int] = {}
        self._lives = 0  # since the last ack
        self._flushing: asyncio.TimerHandle | None = None

    # ── What leaves ─────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, stanza: Xml, kind: str, stanza_id: str, to: str, position: int | None) -> int:
        """Queue a stanza; it leaves at the end of this turn of the loop if there is room. Returns its number.

        kind: `message`, `presence` or `iq` of the user's, empty for what serves a command; stanza_id: a message's
        origin-id; position: its place in the input of `pipe --checkpoint`.
        """
        entry = self.queue.add(stanza, kind, stanza_id, to, position)
        self._new.append(entry)
        self.schedule()
        return entry.number

    def add_batch(self, messages: list[bytes], position: int | None) -> None:
        """The same for messages that leave together (xmlio/stanzas.py: numbered); position: of the first."""
        self._new.append(self.queue.add_batch(messages, position))
        self.schedule()

    def resend(self, entries: Sequence[Entry]) -> None:
        """Queue stanzas that are stored already."""
        for entry in entries:
            entry.fate = Fate.QUEUED
            self.queue.restore([entry])
        self.schedule()

    def let_flow(self, may_write: bool) -> None:
        """The stream is live and everything uncertain settled, or not (any more)."""
        self._finish_storing()
        self._may_write = may_write
        if may_write:
            self.schedule()

    def schedule(self) -> None:
        """Write what may be written, at the end of this turn of the loop."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        if self._is_over or self._storing is not None:
            return
        leaving: list[Entry | Batch] = []
        if self._may_write:
            leaving = self.queue.peek(self.pace.window(MAX_WINDOW) - self.queue.in_flight)
        with self.ending_if_full():
            self._store(leaving)

    def _store(self, leaving: list[Entry | Batch]) -> None:
        """Store what is new, and what leaves once that is done. The disk is waited for beside the loop where there are
        batches: the next ones are made ready meanwhile."""
        new, self._new = self._new, []
        stored = None
        if self.journal is not None and (new or leaving):
            waits = not any(isinstance(item, Batch) for item in new)
            stored = self.journal.write(new, leaving, self._wire.next_number, waits=waits)
        if stored is None:
            self._on_stored(leaving)
            return
        self._storing = stored, leaving
        tell = partial(asyncio.get_running_loop().call_soon_threadsafe, self._finish_storing, stored)
        stored.add_done_callback(lambda _: tell())

    def _finish_storing(self, which: Future[None] | None = None) -> None:
        """What is being stored is stored, and leaves before anything else happens. which: this alone is meant."""
        if self._storing is None or which not in (None, self._storing[0]):
            return
        (stored, leaving), self._storing = self._storing, None
        with self.ending_if_full():
            stored.result()
            self._on_stored(leaving)
            self.schedule()

    async def stored(self) -> None:
        """Wait for the disk to have what is being stored."""
        while self._storing is not None:
            # What it could not take is told by _finish_storing.
            await asyncio.gather(asyncio.wrap_future(self._storing[0]), return_exceptions=True)

    def _on_stored(self, leaving: list[Entry | Batch]) -> None:
        self._write(self.queue.send(leaving))
        self.ask_for_ack()

    @contextmanager
    def ending_if_full(self) -> Iterator[None]:
        """Write to the disk in here; when it does not take it, the session ends with that (74)."""
        try:
            yield
        except IoError as error:
            self._wire.abandon(error)

    def _write(self, batch: Sequence[Entry | Batch]) -> None:
        if not self._wire.is_up or not batch:
            return
        for item in batch:
            if isinstance(item, Batch):
                self._wire.write_batch(item.messages)
            else:
                self._wire.write(item.xml)
        self._note_written(sum(item.count for item in batch))

    def _note_written(self, count: int) -> None:
        self._written += count
        self.wrote.set()
        self.left_at = asyncio.get_running_loop().time()
        self.pace.on_sent(self.left_at)
        if self.queue.in_flight == count:
            self._wire.note_activity()  # the link was idle: from now on its silence has a meaning

    def send_ahead(self, stanza: Xml) -> None:
        """A stanza of the session's own, before everything queued; raises ConnectionLost when the link is cut."""
        if not self._wire.is_up:
            raise ConnectionLost("the connection is cut")
        self._finish_storing()  # its numbers on the wire are given
        self.queue.add_own(stanza)
        self._wire.write(stanza)
        self._note_written(1)
        self.schedule()  # asks for the ack

    # ── A stream came to life ───────────────────────────────────────────────────────────────────────────────────

    def came_to_life(self) -> None:
        """The server has answered, so whoever waits for an ack waits anew: a link that breaks again and again is no
        silence. MAX_LIVES bounds it, for a server that resumes and never acknowledges."""
        self._lives += 1
        if self._lives <= MAX_LIVES:
            self._note_progress()

    def bound(self, jid: Jid) -> None:
        """A session that may outlive its socket begins; raises IoError, which its opening fails with."""
        if self.journal is not None:
            self.journal.bound(str(jid))

    def opened(self, resumption: Resumption | None) -> None:
        """A new session began, on which nothing is written yet; raises IoError, which its opening fails with."""
        self._settled = self._written = self._asked_up_to = 0
        self._ack_pings.clear()
        if self.journal is not None:
            self.journal.opened(resumption)

    def repeat(self) -> None:
        """The stream was resumed: what the server has not handled goes out again, first and in order.

        Raises IoError, which its opening fails with.
        """
        if self.journal is not None:
            self.journal.open_batches()
        batch = self.queue.repeat()
        if self.journal is not None and batch:
            self.journal.write([], batch, self._wire.next_number)
        self._settled, self._written, self._asked_up_to = 0, 0, 0
        self._write(batch)
        self.ask_for_ack()

    # ── Acks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def ask_for_ack(self, *, idle: bool = False) -> None:
        """Ask how far the server is, if anything was written since the last time. idle: whether it is there at all."""
        self._finish_storing()
        if not self._wire.is_up or (self._asked_up_to == self._written and not idle):
            return
        self._asked_up_to = self._written
        if self._wire.has_acks:
            self._wire.request_ack()
            return
        # Without XEP-0198 the answer to a ping that follows the stanzas is the proof: a server handles a stream's
        # stanzas in order (RFC 6120 §10.1).
        stanza_id = new_id()
        self._wire.write(element("iq", {"type": "get", "id": stanza_id}, element("ping", {"xmlns": ns.PING})))
        self._ack_pings[stanza_id] = self._written

    def on_ping_answered(self, stanza_id: str) -> bool:
        """Is this the answer to a ping that stands for an ack?"""
        covered = self._ack_pings.pop(stanza_id, None)
        if covered is None:
            return False
        self.on_acked(covered - self._settled)
        return True

    def on_acked(self, count: int) -> None:
        """The server has handled the `count` oldest stanzas in flight."""
        with self.ending_if_full():
            self.release(count)

    def release(self, count: int) -> None:
        """The `count` oldest stanzas in flight have their fate; raises IoError where that cannot be stored."""
        if count <= 0:
            return
        count = min(count, self.queue.in_flight)
        items = self.queue.acked(count)
        self._settled += count
        self._lives = 0
        self.pace.on_acked(count, self.queue.in_flight, asyncio.get_running_loop().time())
        self._note_progress()
        if self.journal is not None:
            self.journal.finish(items, self._wire.acked)
            if self.journal.owes and self._flushing is None:
                self._flush_later()
        self.schedule()

    def _flush_later(self) -> None:
        self._flushing = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        """Write down what no other write has taken along."""
        self._flushing = None
        if self._storing is not None:
            self._flush_later()
        elif self.journal is not None and not self._is_over:
            with self.ending_if_full():
                self.journal.flush()

    def doubt(self) -> list[Entry]:
        """The session is gone: what was in flight is uncertain. Returns it, in order; raises IoError."""
        if self.journal is not None:
            self.journal.open_batches()
        return self.queue.doubt()

    def never_bound(self) -> None:
        """The session that was to begin does not exist; raises IoError."""
        if self.journal is not None:
            self.journal.closed()

    def note_handled(self, h: int) -> None:
        """What an `<a h>` or `<resume h>` acknowledges is on disk before it is written; raises IoError."""
        if self.journal is not None:
            self.journal.note_handled(h)

    def note_available(self) -> None:
        """The session gets messages from now on, which its reader's mark has to tell (outbox/mark.py)."""
        if self.journal is not None:
            with self.ending_if_full():
                self.journal.note_mark()

    def settle(self, fates: Sequence[Fate | None]) -> None:
        """The fates of the uncertain stanzas are known; None: of this one not yet. Raises IoError."""
        uncertain = self.queue.uncertain
        final = self.queue.settle(fates)
        if any(fate not in (None, Fate.QUEUED) for fate in fates):  # else nothing is settled for good
            self._note_progress()
        if self.journal is not None:
            self.journal.finish(final)
            self.journal.change([entry for entry in uncertain if entry not in final])

    def _note_progress(self) -> None:
        self.progress_at = asyncio.get_running_loop().time()
        self.progress.set()

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """The session is over: whoever waits looks again."""
        self._is_over = True
        self._may_write = False
        self._note_progress()
        self.wrote.set()

    def close(self, *, ended: bool) -> bool:
        """Record on disk whether the session is over. ended: the server has said that the stream is over.

        Returns whether no session is left there, which could stay online without us.
        """
        if self._flushing is not None:
            self._flushing.cancel()
        if self.journal is None:
            return True
        if ended:
            self.journal.closed()
        left = self.journal.has_session
        self.journal.close()
        return not left
