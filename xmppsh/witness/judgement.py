"""Whom the witness watches, and when a silent session may be closed: the judgement, as a pure state machine.

    waiting → first sent → first delivered → second sent → second delivered → last sent → closing
       ↑__________|_______________|_______________|________________|_______________|_________|  a sign of life

A check is an IQ to the session followed by a ping to the server (docs/witness.md). A *sent* step ends with the
server's pong: the check had reached the server before, and whatever the session had answered by then has reached us
(one stream, in order). A *delivered* step ends when the session's time is over. So the witness's own link cannot make
a session look silent, however slow or dead it is: without a pong nothing goes on.

Times are monotonic seconds and passed in; every method returns what is to be done, in order.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from xmppsh.plain import dataclass
from xmppsh.protocol.sm import MODULUS, ResumableSession

if TYPE_CHECKING:
    from xmppsh.model import Jid
    from xmppsh.protocol.sm import Resumption

INTERVAL_S = 1.5  # between two checks of a session that answers
# Two of them must outlast a link that loses everything for 3 s: TCP tries again after about 0.2, 0.6, 1.4, 3.0 and
# 6.2 s (RFC 6298 §5: each wait doubles; Linux begins with 200 ms), so the answer may take 6.2 s and some round trips.
PATIENCE_S = 3.5  # for the answer to a check that was delivered
# A session that reads nothing says that it lives every 3 s. Meanwhile no check is sent to it: what it does not read
# piles up on the server, and Prosody keeps at most 500 stanzas of a session.
BUSY_S = 5.0
MAX_WATCHED = 1000  # sessions
MAX_CLOSED = 1000  # sessions whose final h is kept


class State(StrEnum):
    """Where the witness stands with one session."""

    WAITING = "waiting"  # it answered; the next check has its time
    FIRST_SENT = "first sent"
    FIRST_DELIVERED = "first delivered"
    SECOND_SENT = "second sent"
    SECOND_DELIVERED = "second delivered"
    LAST_SENT = "last sent"  # the check that says what follows
    CLOSING = "closing"  # it is being taken over


class Signal(StrEnum):
    """What leads to the next state."""

    DUE = "due"  # the state's time is over
    PONG = "pong"  # the server has answered the ping after the check


NEXT: dict[tuple[State, Signal], State] = {
    (State.WAITING, Signal.DUE): State.FIRST_SENT,
    (State.FIRST_SENT, Signal.PONG): State.FIRST_DELIVERED,
    (State.FIRST_DELIVERED, Signal.DUE): State.SECOND_SENT,
    (State.SECOND_SENT, Signal.PONG): State.SECOND_DELIVERED,
    (State.SECOND_DELIVERED, Signal.DUE): State.LAST_SENT,
    (State.LAST_SENT, Signal.PONG): State.CLOSING,
}
SENT = (State.FIRST_SENT, State.SECOND_SENT, State.LAST_SENT)
DELIVERED = (State.FIRST_DELIVERED, State.SECOND_DELIVERED)


@dataclass(slots=True)
class Watched:
    """A session under watch.

    handled: how many stanzas it has taken, as it said last; due: when the state's time is over, None when it has none;
    ping: the number of the ping after the check; silent_since: when the first check without an answer was delivered.
    """

    jid: Jid
    resumption: Resumption
    handled: int
    state: State = State.WAITING
    due: float | None = None
    ping: int = 0
    silent_since: float = 0.0
    silent: bool = False  # the user was told so
    tried: bool = False  # a takeover came to nothing since the last sign of life
    questions: list[str] = field(default_factory=list)  # who waits to hear how it ended


# ── What is to be done ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Check:
    """Ask the session whether it lives. last: it will be closed unless it answers."""

    jid: Jid
    sm_id: str
    last: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """Ping the own server; its answer comes back as `pong(number)`."""

    number: int


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Resume the session and close it; ends with `closed` or `not_closed`."""

    jid: Jid
    session: ResumableSession


@dataclass(frozen=True, slots=True)
class LetGo:
    """The session that is being taken over lives: stop, if it is not resumed yet."""

    sm_id: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a question about a session. known: we have closed it; h: the server's final count of what it had sent."""

    question: str
    sm_id: str
    known: bool
    h: int | None


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the user. event: watching, silent, alive, closed, gone; silent_s: since the first check that was missed."""

    event: str
    jid: Jid
    silent_s: float | None = None
    h: int | None = None


Action = Check | Ping | TakeOver | LetGo | Reply | Tell


class Witness:
    """The sessions under watch, and the final counts of those that were closed."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self.interval_s = interval_s
        self._watched: dict[str, Watched] = {}  # by sm_id
        self._closed: OrderedDict[str, int | None] = OrderedDict()
        self._ping = 0

    @property
    def next_due(self) -> float | None:
        """When `tick` has something to do."""
        return min((one.due for one in self._watched.values() if one.due is not None), default=None)

    # ── From the sessions ───────────────────────────────────────────────────────────────────────────────────────

    def announced(self, now: float, jid: Jid, session: ResumableSession) -> list[Action] | None:
        """A session wants to be watched, or says so again; None when there are too many."""
        if session.sm_id in self._watched:
            return self.heard(now, jid, session.sm_id, session.handled)
        if len(self._watched) >= MAX_WATCHED:
            return None
        self._closed.pop(session.sm_id, None)
        # One full JID has one session (RFC 6120 §7.7.2.2): the former one has ended. What takes it over just now will
        # find that out.
        former = [one for one in self._watched.values() if one.jid == jid and one.state is not State.CLOSING]
        actions = [action for one in former for action in self._gone(one)]
        self._watched[session.sm_id] = Watched(jid, session.resumption, session.handled, due=now)
        return [*actions, Tell("watching", jid)]

    def heard(self, now: float, jid: Jid, sm_id: str, handled: int | None, *, busy: bool = False) -> list[Action]:
        """A sign of life of this session, with what it has taken, if it said so; busy: it reads nothing at present."""
        watched = self._watched.get(sm_id)
        if watched is None or watched.jid != jid:
            return []
        if handled is not None and (handled - watched.handled) % MODULUS < MODULUS // 2:
            watched.handled = handled  # else it is an old answer that was repeated
        state, watched.state, watched.tried = watched.state, State.WAITING, False
        watched.due = now + (max(BUSY_S, self.interval_s) if busy else self.interval_s)
        actions: list[Action] = [LetGo(sm_id)] if state is State.CLOSING else []
        actions += self._replies(watched, known=False, h=None)
        was_silent, watched.silent = watched.silent, False
        return [*actions, Tell("alive", jid, now - watched.silent_since)] if was_silent else actions

    def bounced(self, now: float, jid: Jid, sm_id: str) -> list[Action]:
        """A check came back: this session is no more."""
        watched = self._watched.get(sm_id)
        if watched is None or watched.jid != jid or watched.state is State.CLOSING:
            return []  # closing: that is how it ends
        return self.closed(now, sm_id, None) if watched.tried else self._gone(watched)

    def undecided(self, now: float, sm_id: str) -> list[Action]:
        """A check came back with an error that tells nothing: begin again."""
        watched = self._watched.get(sm_id)
        if watched is not None and watched.state is not State.CLOSING:
            watched.state, watched.due = State.WAITING, now + self.interval_s
        return []

    def asked(self, question: str, sm_id: str) -> list[Action]:
        """The owner could not resume this session and asks how it ended; answered when that is known."""
        if sm_id in self._closed:
            return [Reply(question, sm_id, True, self._closed[sm_id])]
        watched = self._watched.get(sm_id)
        if watched is not None and watched.state is State.CLOSING:
            watched.questions.append(question)
            return []
        gone = [] if watched is None else self._gone(watched)
        return [*gone, Reply(question, sm_id, False, None)]

    # ── From the server, the clock and the takeover ─────────────────────────────────────────────────────────────

    def link_up(self, now: float) -> list[Action]:
        """The witness has a new stream: what was asked on the former one will not be answered."""
        for watched in self._watched.values():
            if watched.state is not State.CLOSING:
                watched.state, watched.due = State.WAITING, now
        return []

    def tick(self, now: float) -> list[Action]:
        """Do what is due at this moment, in seconds of the caller's clock; call it again at `next_due`."""
        due = [one for one in self._watched.values() if one.due is not None and one.due <= now]
        actions = [action for one in due for action in self._step(one, Signal.DUE, now)]
        if any(isinstance(action, Check) for action in actions):
            self._ping += 1  # one for all of them, after the last
            actions.append(Ping(self._ping))
        return actions

    def pong(self, now: float, number: int) -> list[Action]:
        """The server has answered this ping, so every check before it was delivered."""
        proved = [one for one in self._watched.values() if one.state in SENT and one.ping <= number]
        return [action for one in proved for action in self._step(one, Signal.PONG, now)]

    def closed(self, now: float, sm_id: str, h: int | None) -> list[Action]:
        """The session was closed, or had ended before; h: the server's final count, where it told."""
        watched = self._watched.pop(sm_id, None)
        if watched is None:
            return []
        self._closed[sm_id] = h
        while len(self._closed) > MAX_CLOSED:
            self._closed.popitem(last=False)
        replies = self._replies(watched, known=True, h=h)
        return [Tell("closed", watched.jid, now - watched.silent_since, h), *replies]

    def not_closed(self, now: float, sm_id: str) -> list[Action]:
        """The takeover failed, or was stopped; the next check tells what is there."""
        watched = self._watched.get(sm_id)
        if watched is None:
            return []
        if watched.state is State.CLOSING:
            watched.state, watched.due, watched.tried = State.WAITING, now, True
        return self._replies(watched, known=False, h=None)

    # ── One session ─────────────────────────────────────────────────────────────────────────────────────────────

    def _step(self, watched: Watched, signal: Signal, now: float) -> list[Action]:
        state = watched.state = NEXT[watched.state, signal]
        watched.due = now + PATIENCE_S if state in DELIVERED else None
        if state is State.FIRST_DELIVERED and not watched.silent:
            watched.silent_since = now
        if state in SENT:
            watched.ping = self._ping + 1
            check = Check(watched.jid, watched.resumption.sm_id, last=state is State.LAST_SENT)
            if state is not State.SECOND_SENT or watched.silent:
                return [check]
            watched.silent = True
            return [Tell("silent", watched.jid, now - watched.silent_since), check]
        if state is State.CLOSING:
            return [TakeOver(watched.jid, ResumableSession(watched.resumption, watched.handled))]
        return []

    def _gone(self, watched: Watched) -> list[Action]:
        del self._watched[watched.resumption.sm_id]
        return [Tell("gone", watched.jid)]

    def _replies(self, watched: Watched, *, known: bool, h: int | None) -> list[Action]:
        questions, watched.questions = watched.questions, []
        return [Reply(question, watched.resumption.sm_id, known, h) for question in questions]
