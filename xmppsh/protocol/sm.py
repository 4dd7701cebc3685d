"""XEP-0198 stream management as a pure state machine.

Two counters each way, modulo 2**32. Outbound: stanzas written, and how many of them the server has handled.
Inbound: stanzas received, and how many were taken by the program, in order; only those are acknowledged.
Rule: everything that moves a counter lives in this file.
"""

from __future__ import annotations

from xmppsh.errors import ProtocolError

MODULUS = 2**32  # XEP-0198 §4


class HandledCountTooHigh(ProtocolError):
    """The server acknowledges stanzas that were never sent (XEP-0198 §4)."""

    def __init__(self, h: int, sent: int) -> None:
        super().__init__(f"the server acknowledges {h} stanzas where {sent} were sent", condition="undefined-condition")
        self.h, self.sent = h, sent


class StreamManagement:
    """The counters of one session."""

    def __init__(self, start: int = 0) -> None:
        self.sent = start
        self.acked = start
        self.received = start
        self.handled = start
        self._taken: set[int] = set()
        self._answered = start  # the h of the last <a/> we wrote
        self._asked = False  # the server asked for more than we could confirm at that time

    @property
    def unacked(self) -> int:
        """How many stanzas were written and not yet acknowledged."""
        return (self.sent - self.acked) % MODULUS

    def on_sent(self) -> None:
        """Count an outbound stanza, when its bytes are handed to the transport."""
        self.sent = (self.sent + 1) % MODULUS

    def on_ack(self, h: int) -> int:
        """Take the server's count; returns how many of the oldest unacked stanzas it releases.

        Raises HandledCountTooHigh if `h` covers stanzas that we never sent (XEP-0198 §4).
        """
        released = (h - self.acked) % MODULUS
        if released > self.unacked:
            raise HandledCountTooHigh(h, self.sent)
        self.acked = h
        return released

    def on_received(self) -> int:
        """Count an inbound stanza; returns its number, which `on_taken` wants back."""
        self.received = (self.received + 1) % MODULUS
        return self.received

    def on_taken(self, number: int) -> bool:
        """The program is done with this stanza; True when the server is owed an `<a/>` now."""
        self._taken.add(number)
        while (following := (self.handled + 1) % MODULUS) in self._taken:
            self._taken.discard(following)
            self.handled = following
        return self._asked and self.handled == self.received

    def answer(self) -> int:
        """The h to write in an `<a/>`; call it only to write one."""
        self._asked = self.handled != self.received
        self._answered = self.handled
        return self.handled

    @property
    def owes_ack(self) -> bool:
        """Has the program taken more than the last `<a/>` said?"""
        return self.handled != self._answered
