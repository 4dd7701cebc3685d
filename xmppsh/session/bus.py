"""Fan-out of inbound stanzas to whoever reads them; bounded, and nothing counts as taken before its reader is done."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from xmppsh.protocol.sm import ACK_EVERY, MODULUS, UNCOUNTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xmppsh.errors import XmppshError
    from xmppsh.model import Element
    from xmppsh.outbox.inbox_store import Arrival
    from xmppsh.xmlio.reader import Run

AnySubscription = TypeVar("AnySubscription", bound="Subscription")
Token = tuple[int, int]  # the session's generation, and the stanza's number in it

MAX_WAITING_BYTES = 1024 * 1024  # past it the link is not read until the readers have caught up


class Waiting:
    """A stanza that some readers still hold. since: when it came, by the monotonic clock; was_read: by one of them."""

    __slots__ = ("element", "holders", "since", "token", "was_read")

    def __init__(self, element: Element, token: Token, holders: int) -> None:
        self.element, self.token, self.holders = element, token, holders
        self.was_read = False
        self.since = time.monotonic()

    @property
    def left(self) -> list[str]:
        """Its XML."""
        return [self.element.xml]


class WaitingRun:
    """Messages that came together and wait for the one reader that takes them so.

    token: of the next one; at: how many of them are dealt with, or have become stanzas by themselves; most: how many
    may be dealt with before they are acknowledged.
    """

    __slots__ = ("at", "most", "run", "since", "token")

    def __init__(self, run: Run, token: Token) -> None:
        self.run, self.token, self.at, self.most = run, token, 0, ACK_EVERY
        self.since = time.monotonic()

    @property
    def left(self) -> list[str]:
        """The XML of those that wait."""
        return self.run.messages[self.at :]

    @property
    def is_done(self) -> bool:
        """Does none of them wait?"""
        return self.at == len(self.run.messages)

    def advance(self, count: int) -> None:
        """So many more of them are dealt with."""
        self.at += count
        self.token = further(self.token, count)

    def pop(self) -> Waiting:
        """The next one, by itself."""
        arrival = Waiting(self.run.element(self.at), self.token, 1)
        arrival.since = self.since
        self.advance(1)
        return arrival


def further(token: Token, count: int) -> Token:
    """The token of the stanza that comes `count` stanzas after this one."""
    generation, number = token
    return (generation, number if number == UNCOUNTED else (number + count) % MODULUS)


class Subscription:
    """An async iterator of stanzas. A stanza is taken when its reader asks for the next one."""

    def __init__(self, bus: Bus, wanted: Callable[[Element], bool]) -> None:
        self.wanted = wanted
        self._bus = bus
        self._waiting: deque[Waiting | WaitingRun] = deque()
        self._current: Waiting | None = None
        self._ready = asyncio.Event()
        self._cancelled = self._finishing = False

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Element:
        self.done()
        while self._cancelled or (element := self._take_next()) is None:
            if self._cancelled or self._finishing:
                raise StopAsyncIteration
            if self._bus.is_over:
                if self._bus.error is not None:
                    raise self._bus.error
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return element

    def _take_next(self) -> Element | None:
        if not self._waiting:
            return None
        first = self._waiting[0]
        self._current = first if isinstance(first, Waiting) else first.pop()
        if isinstance(first, Waiting) or first.is_done:
            self._waiting.popleft()
        return self._current.element

    def done(self) -> None:
        """The stanza that was read last is dealt with: it may be acknowledged."""
        if self._current is not None:
            arrival, self._current = self._current, None
            self._bus.release(arrival)

    def cancel(self) -> None:
        """What was read last is dealt with; read no more."""
        self.done()
        self.stop()

    def stop(self) -> None:
        """Read no more. What was read last is still in the reader's hands, until it asks for the next one or `done` is
        called; a message that still waits for this reader alone is not taken, so the server keeps it."""
        left, self._waiting = self._waiting, deque()
        self._bus.forget(self, left)
        self._cancelled = True
        self._ready.set()

    def stored(self, most: int) -> list[Arrival]:
        """What was read last is dealt with; what is next, at most so many, where it is stored."""
        return []

    def took_stored(self, count: int) -> None:
        """So many of these are dealt with, from the first on."""

    def together(self) -> WaitingRun | None:
        """What was read last is dealt with, as in `done`; messages that came together and are next, if there are any.

        They stay where they are until `took` tells how many of them are dealt with.
        """
        return None

    def took(self, run: WaitingRun, count: int, *, keeps_up: bool) -> None:
        """So many of these messages are dealt with."""

    def keep(self) -> Arrival | None:
        """Nothing is stored here: what was read last is in the reader's hands until the next one is read."""
        return None

    def forget(self, arrival: Arrival) -> None:
        """Nothing was kept."""

    def finish(self) -> None:
        """Read what waits, and then no more."""
        self._finishing = True
        self._ready.set()

    def put(self, arrival: Waiting) -> None:
        """For the bus."""
        self._waiting.append(arrival)
        self._ready.set()

    def put_run(self, run: WaitingRun) -> bool:
        """For the bus: may these come together? Else they are put one by one."""
        return False

    def wake(self) -> None:
        """For the bus: the end has come."""
        self._ready.set()


class Bus:
    """Delivers stanzas to the subscriptions that want them.

    on_taken(token, count) is called when every reader of a stanza is done, or of so many, of which the token is the
    first one's; on_full and on_room when the readers lag; on_unread when a message has come that nobody reads.
    until_ack(): how many stanzas may be dealt with before their acknowledgement is due. is_full: the readers lag.
    """

    def __init__(
        self, on_taken: Callable[[Token, int], None], on_full: Callable[[], None], on_room: Callable[[], None]
    ) -> None:
        self.is_over = False
        self.error: XmppshError | None = None
        self.on_unread: Callable[[], None] = lambda: None
        self.until_ack: Callable[[], int] = lambda: ACK_EVERY
        self._subscriptions: list[Subscription] = []
        self._on_taken, self._on_full, self._on_room = on_taken, on_full, on_room
        self._waiting_bytes = 0
        self.is_full = False

    def subscribe(self, wanted: Callable[[Element], bool]) -> Subscription:
        """Begin to read what arrives from now on."""
        return self.add(Subscription(self, wanted))

    def add(self, subscription: AnySubscription) -> AnySubscription:
        """Deliver to this one, too."""
        self._subscriptions.append(subscription)
        return subscription

    def publish(self, element: Element, token: Token) -> None:
        """Hand a stanza that arrived to every reader that wants it."""
        readers = [subscription for subscription in self._subscriptions if subscription.wanted(element)]
        if not readers:
            # A message that nobody reads is not acknowledged: the server keeps it for another client.
            if element.kind != "message":
                self._on_taken(token, 1)
            else:
                self.on_unread()
            return
        arrival = Waiting(element, token, len(readers))
        self._waiting_bytes += len(readers) * len(element.xml)
        for reader in readers:
            reader.put(arrival)
        self._hold_if_full()

    def publish_run(self, run: Run, token: Token) -> bool:
        """Hand over messages that came together; False where there is not one reader alone that takes them so."""
        size = sum(map(len, run.messages))
        self._waiting_bytes += size
        if len(self._subscriptions) != 1 or not self._subscriptions[0].put_run(WaitingRun(run, token)):
            self._waiting_bytes -= size
            return False
        self._hold_if_full()
        return True

    def _hold_if_full(self) -> None:
        if self._waiting_bytes > MAX_WAITING_BYTES and not self.is_full:
            self.is_full = True
            self._on_full()

    def release(self, arrival: Waiting) -> None:
        """One reader has finished with this stanza; the last one makes it count as handled."""
        arrival.was_read = True
        self.let_go(arrival)

    def release_run(self, run: WaitingRun, count: int) -> None:
        """The reader has finished with the next `count` of these messages."""
        token, size = run.token, sum(map(len, run.run.messages[run.at : run.at + count]))
        run.advance(count)
        self._shrink(size)
        self._on_taken(token, count)

    def forget(self, subscription: Subscription, left: Iterable[Waiting | WaitingRun]) -> None:
        """A reader has left, and `left` unread: that is for the other readers, or for nobody, as in `publish`."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
        for arrival in left:
            if isinstance(arrival, Waiting):
                self.let_go(arrival)
            else:
                self._shrink(sum(map(len, arrival.left)))
                self.on_unread()

    def let_go(self, arrival: Waiting) -> None:
        """One reader leaves this stanza to the others, or to nobody, as in `publish`."""
        self._shrink(len(arrival.element.xml))
        arrival.holders -= 1
        if arrival.holders:
            return
        if arrival.was_read or arrival.element.kind != "message":
            self._on_taken(arrival.token, 1)
        else:
            self.on_unread()

    def _shrink(self, size_bytes: int) -> None:
        self._waiting_bytes -= size_bytes
        if self.is_full and self._waiting_bytes <= MAX_WAITING_BYTES // 2:
            self.is_full = False
            self._on_room()

    def end(self, error: XmppshError | None) -> None:
        """The session is over; readers get what waits, then the error or the end."""
        self.is_over, self.error = True, error
        for subscription in self._subscriptions:
            subscription.wake()
