"""XEP-0198 stream management as a pure state machine: two counters each way, modulo 2**32.

Outbound: stanzas written, and how many of them the server has handled. Inbound: stanzas received, and how many the
program has taken, in order; only those are acknowledged. The counters belong to a session and outlive its streams:
`resume` takes them over to the next one.
Rule: everything that moves a counter lives in this file.
"""

from __future__ import annotations

from xmppsh.errors import ProtocolError
from xmppsh.plain import dataclass

MODULUS = 2**32  # XEP-0198 §4
UNCOUNTED = -1  # the number of a stanza that came before `<enabled/>`, or where the server does not count
ACK_EVERY = 100  # stanzas taken without an ack


class HandledCountTooHigh(ProtocolError):
    """The server acknowledges stanzas that were never sent (XEP-0198 §4), or takes an acknowledgement back."""

    def __init__(self, h: int, sent: int, acked: int) -> None:
        goes_back = 0 < (acked - h) % MODULUS < MODULUS // 4  # further off it is neither, and beyond what was sent
        but = f"it had acknowledged {acked} before" if goes_back else f"{sent} were sent"
        text = f"the server acknowledges {h} stanzas where {but}"
        super().__init__(text, condition="undefined-condition", hint="tell the server's operator")
        self.h, self.sent = h, sent


@dataclass(frozen=True)
class Resumption:
    """What `<enabled/>` granted (XEP-0198 §3): the id to resume by, where to connect first, how many seconds."""

    sm_id: str
    location: str | None = None
    max_s: int | None = None


@dataclass(frozen=True)
class ResumableSession:
    """All that is needed to resume a session, by its own program, a guard, a witness or the next start.

    resumption: how to ask for it; handled: the h of `<resume/>`, how many of the server's stanzas are handled (§5).
    """

    resumption: Resumption
    handled: int

    @property
    def sm_id(self) -> str:
        """The session's id."""
        return self.resumption.sm_id

    def management(self) -> StreamManagement:
        """Counters for a resumer that does not know how much was sent: it accepts any count from the server."""
        return StreamManagement.restored(self.resumption, acked=0, sent=MODULUS - 1, handled=self.handled)


class StreamManagement:
    """The counters of one session.

    sent, acked: outbound; received, handled: inbound. A stanza's number is the counter's value after it.
    holders: how many streams on the server's side may still work for this session. Each `<resume/>` may add one;
    `<failed/>` says that the newest remaining one has ended (session/settle.py). unanswered: how many `<resume/>` have
    had no answer.
    """

    def __init__(self, start: int = 0) -> None:
        self.sent = start
        self.acked = start
        self.received = start
        self.handled = start
        self.resumption: Resumption | None = None
        self.holders, self.unanswered = 1, 0
        self._taken: set[int] = set()
        self._answered = start  # the h of the last <a/> we wrote
        self._owed: int | None = None  # what the server asked about and we could not confirm at that time

    @classmethod
    def restored(cls, resumption: Resumption, *, acked: int, sent: int, handled: int) -> StreamManagement:
        """The counters of a session that a former process left."""
        sm = cls(handled)
        sm.acked, sm.sent, sm.resumption = acked, sent, resumption
        return sm

    @property
    def resumable(self) -> ResumableSession | None:
        """What it takes to resume the session now; None when the server granted no resumption."""
        return None if self.resumption is None else ResumableSession(self.resumption, self.handled)

    @property
    def unacked(self) -> int:
        """How many stanzas were written and not yet acknowledged."""
        return (self.sent - self.acked) % MODULUS

    def is_past(self, number: int) -> bool:
        """Has the server acknowledged what was sent after the stanza of this number?"""
        return 0 < (self.acked - number) % MODULUS < MODULUS // 2

    def on_sent(self, count: int = 1) -> None:
        """Count outbound stanzas, when their bytes are handed to the transport."""
        self.sent = (self.sent + count) % MODULUS

    def on_ack(self, h: int) -> int:
        """Take the server's count; returns how many of the oldest unacked stanzas it releases.

        Raises HandledCountTooHigh if `h` covers stanzas that we never sent (XEP-0198 §4).
        """
        released = (h - self.acked) % MODULUS
        if released > self.unacked:
            raise HandledCountTooHigh(h, self.sent, self.acked)
        self.acked = h
        return released

    def on_resumed(self, h: int) -> int:
        """Take the counters over to a resumed session (XEP-0198 §5); returns how many stanzas `h` releases.

        The other unacked stanzas must be written again, in their order, and are counted again. The server repeats what
        we have not acknowledged. An h below our own comes from a stream that took the session over by an older
        `<resume/>` of ours, whose answer we never saw: it counts on from there.
        """
        stale = self.unanswered > 1 and 0 < (self.acked - h) % MODULUS < MODULUS // 2
        self.acked = h if stale else self.acked
        released = 0 if stale else self.on_ack(h)
        self.unanswered -= 1
        self.sent = self.acked
        self.received = self.handled
        self._answered, self._owed = self.handled, None
        return released

    def on_resume_due(self) -> None:
        """`<resume/>` is written next."""
        self.holders += 1
        self.unanswered += 1

    def on_resume_failed(self) -> bool:
        """Take a `<failed/>` without a count: our request made no stream, and the stream that was asked has ended.

        Returns whether the server may still have a stream for the session.
        """
        self.unanswered -= 1
        self.holders -= 2
        return self.holders > 0

    def on_closed(self) -> None:
        """The server has ended the newest stream cleanly."""
        self.holders -= 1

    def on_all_settled(self) -> None:
        """The session is resumed and nothing is in flight, so no former stream still has a stanza of ours."""
        self.holders = 1

    def on_received(self, count: int = 1) -> int:
        """Count inbound stanzas; returns the number of the first, which `on_taken` wants back."""
        first = (self.received + 1) % MODULUS
        self.received = (self.received + count) % MODULUS
        self._advance()  # a repeated stanza may have been taken before the resumption
        return first

    def on_taken(self, number: int, count: int = 1) -> bool:
        """The program has handled `count` stanzas from this number on; returns whether an `<a/>` is due.

        It is due when everything that the server asked about is handled, or when much is unacknowledged (Prosody ends a
        session with 500 unacked stanzas).
        """
        if number == UNCOUNTED:
            pass
        elif not self._taken and number == (self.handled + 1) % MODULUS and self._open >= count:
            self.handled = (self.handled + count) % MODULUS
        else:
            later = ((number + at) % MODULUS for at in range(count))
            self._taken.update(one for one in later if 0 < (one - self.handled) % MODULUS <= MODULUS // 2)
        self._advance()
        fulfilled = self._owed is not None and (self.handled - self._owed) % MODULUS < MODULUS // 2
        return fulfilled or (self.handled - self._answered) % MODULUS >= ACK_EVERY

    @property
    def _open(self) -> int:
        """How many stanzas were received and not taken."""
        return (self.received - self.handled) % MODULUS

    def _advance(self) -> None:
        while self.handled != self.received and (following := (self.handled + 1) % MODULUS) in self._taken:
            self._taken.discard(following)
            self.handled = following

    def answer(self) -> int:
        """The h to write in an `<a/>`; call it only to write one."""
        self._owed = None if self.handled == self.received else self.received
        self._answered = self.handled
        return self.handled

    @property
    def until_ack(self) -> int:
        """How many stanzas may be taken before an `<a/>` is due; at least one."""
        return max(1, ACK_EVERY - (self.handled - self._answered) % MODULUS)

    @property
    def has_unacked(self) -> bool:
        """Was something handled that no `<a/>` has covered? It may have come after what is not handled."""
        return self.owes_ack or bool(self._taken)

    @property
    def owes_ack(self) -> bool:
        """Has the program taken more than the last `<a/>` said?"""
        return self.handled != self._answered
