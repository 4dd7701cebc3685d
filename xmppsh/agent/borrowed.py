"""A command's view of a session that others use at the same time: its own stanzas, readers and patience."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from xmppsh.outbox.queue import Fate
from xmppsh.session.collecting import Collecting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from xmppsh.connection.options import SessionOptions
    from xmppsh.errors import XmppshError
    from xmppsh.model import Element, Jid
    from xmppsh.session.bus import Subscription
    from xmppsh.session.session import Session
    from xmppsh.session.session_port import Collect, Reader
    from xmppsh.xmlio.build import Xml

AnySubscription = TypeVar("AnySubscription", bound="Subscription")


class BorrowedRequests:
    """IQ requests on it, with the command's --timeout."""

    def __init__(self, session: Session, timeout_s: float) -> None:
        self._requests, self._timeout_s = session.requests, timeout_s
        self.was_answered = False

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result (Requests.request)."""
        answer = await self._requests.request(iq_type, to, payload, timeout_s or self._timeout_s)
        self.was_answered = True
        return answer

    async def fence(self, addresses: Iterable[str]) -> bool:
        """Wait until every bounce from these addresses that comes at once has come."""
        return await self._requests.fence(addresses, self._timeout_s)


class BorrowedSession:
    """The session as one command sees it (session/session_port.py).

    options: what this command would open one with. was_answered: has the server shown during it that it lives?
    """

    restored_position = 0
    rooms: Mapping[str, str] = MappingProxyType({})

    def __init__(self, session: Session, options: SessionOptions) -> None:
        self._session, self.options = session, options
        self.requests = BorrowedRequests(session, options.timeout_s)
        self._was_acked = False
        self._numbers: set[int] = set()
        self._readers: list[Subscription] = []

    def give_back(self) -> None:
        """The command is done: it reads no more."""
        for reader in self._readers:
            reader.cancel()

    @property
    def was_answered(self) -> bool:
        """Has the server acknowledged or answered something?"""
        return self._was_acked or self.requests.was_answered

    @property
    def jid(self) -> Jid:
        """Our full JID."""
        return self._session.jid

    @property
    def is_cut(self) -> bool:
        """It does not outlive a cut."""
        return self._session.is_over

    @property
    def cause(self) -> XmppshError:
        """Why it is over."""
        return self._session.cause

    # ── Its stanzas ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def sent_count(self) -> int:
        """The number of the last stanza that this command handed in."""
        return max(self._numbers, default=0)

    def _open(self, *fates: Fate) -> int:
        queue = self._session.outbound.queue
        return sum(1 for one in (*queue, *queue.lost) if one.kind and one.number in self._numbers and one.fate in fates)

    @property
    def waiting_count(self) -> int:
        """How many of them were never written."""
        return self._open(Fate.QUEUED)

    @property
    def unproven_count(self) -> int:
        """How many were written, and nobody knows whether they arrived."""
        return self._open(Fate.SENT, Fate.UNCERTAIN)

    @property
    def failed_count(self) -> int:
        """None: what was lost is unproven here."""
        return 0

    @property
    def acked_count(self) -> int:
        """How many of them the server has acknowledged."""
        return len(self._numbers) - self.waiting_count - self.unproven_count

    @property
    def open_fates(self) -> dict[int, Fate]:
        """The fate of each stanza of the session that is not acknowledged."""
        return self._session.open_fates

    def send(
        self, stanza: Xml, *, kind: str = "", stanza_id: str = "", to: str = "", position: int | None = None
    ) -> int:
        """Hand one stanza in; returns its number in the session."""
        number = self._session.send(stanza, kind=kind, stanza_id=stanza_id, to=to, position=position)
        self._numbers.add(number)
        return number

    def broadcast_presence(self, availability: Xml) -> int:
        """No command of an agent does: the presence would stay when the command has ended."""
        raise AssertionError("a presence belongs to a session of its own")

    async def acked(self, number: int, timeout_s: float | None = None) -> None:
        """Wait until the server has handled everything up to stanza `number`; the error tells of our own alone."""
        timeout_s = self.options.timeout_s if timeout_s is None else timeout_s
        since = min(self._numbers, default=number) - 1  # what was lost before that, others were told of
        await self._session.acked(number, timeout_s, lambda: self.unproven_count, since)
        self._was_acked = True

    async def through(self, number: int, addresses: Iterable[str]) -> None:
        """Wait for `acked`, and until every bounce from these addresses that comes at once has come."""
        await asyncio.gather(self.acked(number), self.requests.fence(addresses))

    async def written(self) -> None:
        """Wait until everything has been handed to the network."""
        await self._session.written()

    async def wait_for_window(self, window: int) -> None:
        """Wait until fewer than `window` stanzas are unacknowledged."""
        await self._session.wait_for_window(window)

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result."""
        return await self.requests.request(iq_type, to, payload, timeout_s)

    # ── What arrives ────────────────────────────────────────────────────────────────────────────────────────────

    def collecting(self, query_id: str) -> AbstractContextManager[list[Element]]:
        """The archive's results for an open query (XEP-0313 §4.2)."""
        return self._session.collecting(query_id)

    def _read(self, reader: AnySubscription) -> AnySubscription:
        self._readers.append(reader)
        return reader

    def subscribe(self, *kinds: str) -> Subscription:
        """Read stanzas of these kinds that arrive from now on."""
        return self._read(self._session.subscribe(*kinds))

    def beside(self, *work: tuple[Reader, Collect]) -> Collecting:
        """Hand each reader to its function for as long as a block runs."""
        return Collecting(*work)

    def bounces(self) -> Subscription:
        """Read the messages that came back with an error."""
        return self._read(self._session.bounces())

    def receipts(self) -> Subscription:
        """Read delivery receipts (XEP-0184)."""
        return self._read(self._session.receipts())
