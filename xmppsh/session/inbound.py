"""The way in: is a stanza new, who deals with it, and when is it handled.

In this order: a stanza that the server repeats is dropped; the interceptors look at it; answers go to their requests;
requests of others are answered; results of the archive go to their query; the rest goes to the readers.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.plain import dataclass
from xmppsh.protocol.events import RunArrived, StanzaArrived
from xmppsh.protocol.sm import ACK_EVERY, MODULUS, UNCOUNTED
from xmppsh.session.bus import Bus
from xmppsh.session.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xmppsh.model import Element
    from xmppsh.session.bus import Token
    from xmppsh.session.ports import Interceptor, Wire
    from xmppsh.session.requests import Requests
    from xmppsh.xmlio.build import Xml
    from xmppsh.xmlio.reader import Run

MAX_HELD_BYTES = 8 * 1024 * 1024
MAX_UNACKED = 4_000  # held back, and after that: what comes is bounded, whatever the server keeps


def is_bounce(stanza: Element) -> bool:
    """Is it a message that came back with an error (RFC 6120 §8.3)?"""
    return stanza.kind == "message" and stanza.attributes.get("type") == "error"


@dataclass(frozen=True, slots=True)
class _Hold:
    """most: how many stanzas; stops_reading: need the link not be read meanwhile; passes: what does not wait, of a hold
    that is for the order alone and gives way to the bounds."""

    most: int
    stops_reading: bool
    passes: Callable[[str], bool] | None


class Inbound:
    """Gives every inbound stanza to the one who deals with it, and counts it as handled when he has.

    interceptors: who sees it first, in order. requests: the open ones of the session. is_ack: is an IQ the answer to a
    ping that stands for an acknowledgement? answer: sends what a request of somebody else is answered with, or returns
    without sending when there is no stream.
    """

    def __init__(
        self,
        wire: Wire,
        interceptors: list[Interceptor],
        requests: Requests,
        is_ack: Callable[[str], bool],
        answer: Callable[[Xml], None],
    ) -> None:
        self.bus = Bus(self._on_reader_done, lambda: self._hold(True), lambda: self._hold(False))
        self.bus.until_ack = lambda: ACK_EVERY if wire.sm is None else wire.sm.until_ack
        self.readers_lag = False  # the link is not read until they have caught up
        self._wire, self._interceptors, self._requests = wire, interceptors, requests
        self._is_ack, self.responder = is_ack, Responder(requests, answer)
        self._generation = 0  # of the session, not of the link
        self._high_water = 0  # the highest number of an inbound stanza
        self._collections: dict[str, list[Element]] = {}
        self._held: list[tuple[Element, int]] | None = None  # what the readers do not get yet
        self._held_bytes = 0
        self._holding: dict[object, _Hold] = {}  # for whom
        self._passed = 0  # stanzas that came after a held one, and did not wait

    @property
    def generation(self) -> int:
        """How many sessions there were: another one is not the same as another link."""
        return self._generation

    def begin(self, received: int = 0) -> None:
        """Another session: its stanzas are counted from `received` on."""
        self._generation += 1
        self._high_water = received
        if self._held is not None:
            self._held, self._held_bytes, self._passed = [], 0, 0  # unacknowledged, so the server has it still
            self._read_on()

    def on_arrival(self, event: StanzaArrived | RunArrived) -> None:
        """One stanza arrived, or messages together."""
        if isinstance(event, StanzaArrived):
            self.on_stanza(event.element, event.number)
        else:
            self.on_run(event.run, event.number)

    def on_stanza(self, stanza: Element, number: int) -> None:
        """A stanza arrived, the number-th of its session in our count, or UNCOUNTED (protocol/sm.py)."""
        if number != UNCOUNTED and self._wire.has_acks and not self._is_new(number):
            return  # repeated by the server after a resume, and still in the hands of its reader
        for one in self._interceptors:
            if one.intercept(stanza, lambda: self._wire.mark_handled(number)):
                return
        if self._is_served(stanza):
            self._wire.mark_handled(number)
        elif self._held is None or is_bounce(stanza) or self._passes(stanza.xml):
            self.bus.publish(stanza, (self._generation, number))
            self._pass(1)
        else:
            self._hold_one(stanza, number, self._held)

    def on_run(self, run: Run, number: int) -> None:
        """Messages arrived, the first of them the number-th: together, where nobody has to see each by itself."""
        count = len(run.messages)
        is_looked_at = any(one.wants_messages for one in self._interceptors)
        follows = number == UNCOUNTED or number == (self._high_water + 1) % MODULUS
        if not is_looked_at and follows and self._takes_run(run, number):
            self._high_water = (self._high_water + (count if number != UNCOUNTED else 0)) % MODULUS
            return
        for at in range(count):
            self.on_stanza(run.element(at), number if number == UNCOUNTED else (number + at) % MODULUS)

    def _takes_run(self, run: Run, number: int) -> bool:
        """Is one query of the archive, or one reader, to have all of them?"""
        if not self._collections:
            if self._held is not None and not all(map(self._passes, run.messages)):
                return False
            if taken := self.bus.publish_run(run, (self._generation, number)):
                self._pass(len(run.messages))
            return taken
        query_id, results = next(iter(self._collections.items()))
        if len(self._collections) > 1 or not all(ns.MAM in one and query_id in one for one in run.messages):
            return False
        results += run.elements()
        self._wire.mark_handled(number, len(run.messages))
        return True

    def _is_new(self, number: int) -> bool:
        if not 0 < (number - self._high_water) % MODULUS <= MODULUS // 2:
            return False
        self._high_water = number
        return True

    def _is_served(self, stanza: Element) -> bool:
        """Is it for the session itself? A request of somebody else is answered, and shown to readers all the same."""
        if stanza.kind == "iq":
            if self._is_ack(stanza.id or "") or self._requests.answer(stanza):
                return True
            if stanza.attributes.get("type") in ("get", "set"):
                self.responder.respond(stanza)
        elif stanza.kind == "message" and self._collections and ns.MAM in stanza.xml:
            for query_id, results in self._collections.items():
                if query_id in stanza.xml:
                    results.append(stanza)
                    return True
        return False

    @contextmanager
    def collecting(self, query_id: str) -> Iterator[list[Element]]:
        """The archive's results for an open query; they reach nobody else (XEP-0313 §4.2)."""
        results: list[Element] = []
        self._collections[query_id] = results
        try:
            yield results
        finally:
            del self._collections[query_id]

    # ── Held back ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def held(self) -> list[Element]:
        """What is held back, in order."""
        return [] if self._held is None else [stanza for stanza, _ in self._held]

    def hold_back(
        self,
        owner: object,
        most: int,
        *,
        stops_reading: bool = False,
        passes: Callable[[str], bool] | None = None,
    ) -> None:
        """Keep so many that arrive from the readers until every owner lets them through: something comes before them.

        Past that the link is not read, where no owner needs it; else they go through, and it comes late. Nothing is
        acknowledged meanwhile. passes: is the XML of a stanza what comes before? Then it does not wait, and the owner
        gives way to the others where too much comes. A bounce never waits: no server stores one (XEP-0160 §3),
        and `Requests.fence` promises that the readers have it before an answer that came after it.
        """
        self._holding[owner] = _Hold(most, stops_reading, passes)
        if self._held is None:
            self._held, self._held_bytes, self._passed = [], 0, 0
        self._look_at_held()

    def drop_held(self, is_known: Callable[[Element], bool]) -> None:
        """Take what the readers have had already out of what is held back; it is handled."""
        held, dropped = self._held or [], []
        if self._held is not None:
            dropped = [one for one in held if is_known(one[0])]
            self._held = [one for one in held if one not in dropped]
        for _, number in dropped:
            self._wire.mark_handled(number)

    def put_before(self, stanzas: Sequence[Element]) -> None:
        """Give the readers these stanzas, which are in nobody's count, before what is held back."""
        for stanza in stanzas:
            self.bus.publish(stanza, (self._generation, UNCOUNTED))

    def let_through(self, owner: object) -> None:
        """Give the readers what was held back, unless somebody else still has something for them before it."""
        self._holding.pop(owner, None)
        if not self._holding:
            self._release()

    def let_all_through(self) -> None:
        """Give the readers what was held back: there is no time for what comes before it."""
        self._holding.clear()
        self._release()

    def end(self) -> None:
        """The session is over: nothing comes any more before what waits for the order alone."""
        if all(hold.passes is not None for hold in self._holding.values()):
            self.let_all_through()

    def _release(self) -> None:
        held, self._held = self._held or [], None
        self._read_on()
        for stanza, number in held:
            self.bus.publish(stanza, (self._generation, number))

    def _passes(self, xml: str) -> bool:
        return all(hold.passes is not None and hold.passes(xml) for hold in self._holding.values())

    def _pass(self, count: int) -> None:
        if self._held:
            self._passed += count
            self._look_at_held()

    def _hold_one(self, stanza: Element, number: int, held: list[tuple[Element, int]]) -> None:
        held.append((stanza, number))
        self._held_bytes += len(stanza.xml)
        self._look_at_held()

    def _look_at_held(self) -> None:
        if self._held is None:
            return
        most = max((hold.most for hold in self._holding.values()), default=0)
        unacked = len(self._held) + self._passed
        if len(self._held) <= most and unacked <= MAX_UNACKED and self._held_bytes <= MAX_HELD_BYTES:
            return
        self._holding = {owner: hold for owner, hold in self._holding.items() if hold.passes is None}
        if not self._holding or not all(hold.stops_reading for hold in self._holding.values()):
            self._release()
        elif not self.readers_lag:
            self._hold(True)

    def _read_on(self) -> None:
        if self.readers_lag and not self.bus.is_full:
            self._hold(False)

    def _on_reader_done(self, token: Token, count: int) -> None:
        generation, number = token
        if generation == self._generation:
            self._wire.mark_handled(number, count)

    def _hold(self, full: bool) -> None:
        self.readers_lag = full
        self._wire.hold_reading(full)
        for one in self._interceptors:
            one.on_lag()
