"""The way out: the queue, what of it is on disk, and what leaves in this turn of the loop.

Write-ahead: a message's row and its number on the wire are committed before its bytes leave.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.connection.pace import Pace
from xmppsh.errors import ConnectionLost, XmppshError
from xmppsh.outbox.queue import Fate
from xmppsh.session.phase import Phase
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xmppsh.outbox.journal import Journal
    from xmppsh.outbox.queue import Entry
    from xmppsh.session.session import Session
    from xmppsh.xmlio.build import Xml

MAX_WINDOW = 1000  # stanzas in flight at most, whatever the pace says
PING_NS = "urn:xmpp:ping"


class Outbound:
    """Writes the queue's next stanzas while the session is live."""

    def __init__(self, session: Session, journal: Journal | None) -> None:
        self._session, self._queue, self.journal = session, session.queue, journal
        self.pace = Pace()
        self.wrote = asyncio.Event()
        self._new: list[Entry] = []  # not on disk yet
        self._scheduled = False
        self._written = self._asked_up_to = self._settled = 0  # entries, the session's own included
        self._ack_pings: dict[str, int] = {}

    def add(self, stanza: Xml, kind: str, stanza_id: str, to: str, position: int | None) -> int:
        """Queue a stanza; it leaves at the end of this turn if there is room."""
        entry = self._queue.add(stanza, kind, stanza_id, to, position)
        self._new.append(entry)
        self.schedule()
        return entry.number

    def schedule(self) -> None:
        """Write what may be written, at the end of this turn of the loop."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        if self._session.is_over:
            return
        batch: list[Entry] = []
        if self._session.phase is Phase.LIVE:
            batch = self._queue.peek(self.pace.window(MAX_WINDOW) - self._queue.in_flight)
        if not self._stored(lambda: self._store(batch)):
            return  # what cannot be stored is not sent
        self._write(self._queue.take(len(batch)))
        self.ask_for_ack()

    def _store(self, batch: Sequence[Entry]) -> None:
        new, self._new = self._new, []
        if self.journal is not None and (new or batch):
            self.journal.write(new, batch, self._next_wire())

    def _stored(self, write: Callable[[], None]) -> bool:
        """Write to the disk; when it does not take it, the session ends with that (74)."""
        try:
            write()
        except XmppshError as error:
            self._session.recovery.abandon(error)
            return False
        return True

    def _next_wire(self) -> int:
        driver = self._session.driver
        return 0 if driver is None or driver.stream.sm is None else driver.stream.sm.sent + 1

    def _write(self, batch: Sequence[Entry]) -> None:
        driver = self._session.driver
        if driver is None or not batch:
            return
        for entry in batch:
            driver.carry_out(driver.stream.send(entry.xml))
        self._written += len(batch)
        self._note_written(len(batch))
        self.ask_for_ack()

    def _note_written(self, count: int) -> None:
        self.wrote.set()
        self.pace.on_sent(asyncio.get_running_loop().time())
        if self._queue.in_flight == count:
            self._session.recovery.stirred.set()  # the link was idle: from now on its silence has a meaning

    def send_own(self, stanza: Xml) -> None:
        """A stanza of the session's own, before everything queued."""
        driver = self._session.driver
        if driver is None:
            raise ConnectionLost("the connection is cut")
        self._queue.add_own(stanza)
        driver.carry_out(driver.stream.send(stanza))
        self._written += 1
        self._note_written(1)
        self.schedule()  # asks for the ack

    def repeat(self) -> None:
        """The stream was resumed: what the server has not handled goes out again, first and in order."""
        batch = self._queue.repeat()
        if self.journal is not None and batch:
            self.journal.write([], batch, self._next_wire())
        self._settled, self._written, self._asked_up_to = 0, 0, 0
        self._write(batch)

    def reset(self) -> None:
        """A new session: nothing was written on it."""
        self._settled = self._written = self._asked_up_to = 0
        self._ack_pings.clear()

    # ── Acks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def ask_for_ack(self, *, idle: bool = False) -> None:
        """Ask how far the server is, if anything was written since the last time. idle: whether it is there at all."""
        driver = self._session.driver
        if driver is None or (self._asked_up_to == self._written and not idle):
            return
        self._asked_up_to = self._written
        if driver.stream.sm is not None:
            driver.carry_out(driver.stream.request_ack())
            return
        # Without XEP-0198 the answer to a ping that follows the stanzas is the proof: a server handles a stream's
        # stanzas in order (RFC 6120 §10.1).
        stanza_id = new_id()
        ping = element("iq", {"type": "get", "id": stanza_id}, element("ping", {"xmlns": PING_NS}))
        driver.carry_out(driver.stream.send(ping))
        self._ack_pings[stanza_id] = self._written

    def on_ping_answered(self, stanza_id: str) -> bool:
        """Is this the answer to a ping that stands for an ack?"""
        covered = self._ack_pings.pop(stanza_id, None)
        if covered is None:
            return False
        self._session.recovery.on_ack()
        self.on_acked(covered - self._settled)
        return True

    def on_acked(self, count: int) -> None:
        """The server has handled the `count` oldest stanzas in flight."""
        if count <= 0:
            return
        entries = self._queue.acked(min(count, self._queue.in_flight))
        self._settled += len(entries)
        self.pace.on_acked(len(entries), self._queue.in_flight, asyncio.get_running_loop().time())
        if self.journal is not None:
            driver = self._session.driver
            sm = None if driver is None else driver.stream.sm
            h, journal = None if sm is None else sm.acked, self.journal
            self._stored(lambda: journal.finish(entries, h))
        self._session.progress.set()
        self.schedule()

    def on_handled(self, h: int) -> None:
        """An `<a h>` follows: on disk first."""
        if (journal := self.journal) is not None:
            self._stored(lambda: journal.note_handled(h))

    def settle(self, fates: Sequence[Fate | None]) -> None:
        """The doubt about a lost session's stanzas is over."""
        doubted = [entry for entry in self._queue if entry.fate is Fate.UNCERTAIN]
        final = self._queue.settle(fates)
        if self.journal is not None:
            self.journal.finish(final)
            self.journal.change([entry for entry in doubted if entry not in final])
        self._session.progress.set()

    def close(self, *, ended: bool) -> bool:
        """Leave the disk as the next start wants to find it. ended: the server has said that the stream is over.

        Returns whether no session is left there, which could stay online without us.
        """
        if self.journal is None:
            return True
        if ended:
            self.journal.closed()
        left = self.journal.has_session
        self.journal.close()
        return not left
