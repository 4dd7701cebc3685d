"""The witness at work: carries out what the judgement (witness.py) wants, on a session of its own.

It binds the resource `xmppsh-witness` and sends no presence: nobody sees it, and IQs to its full JID reach it all the
same (RFC 6121 §8.5.3.1). Only resources of its own account are heard.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from xmppsh import ns
from xmppsh.connection.takeover import End, take_over
from xmppsh.errors import MalformedJid, ProtocolError, StreamError, XmppshError
from xmppsh.model import Jid
from xmppsh.plain import dataclass
from xmppsh.protocol.conditions import stanza_error
from xmppsh.session.ports import Interceptor
from xmppsh.session.requests import is_answer
from xmppsh.session.responder import bounce_of
from xmppsh.session.session import Session
from xmppsh.witness.announcer import RESOURCE, announced, form, payload, refusal, reply, witness_of
from xmppsh.witness.judgement import MAX_WATCHED, Check, LetGo, Ping, Reply, TakeOver, Tell, Witness
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.connection.driver import Driver
    from xmppsh.connection.options import SessionOptions
    from xmppsh.model import Element
    from xmppsh.output.trace import Trace
    from xmppsh.texts import Log
    from xmppsh.witness.judgement import Action
    from xmppsh.xmlio.build import Xml

AT_ONCE = 8  # takeovers
STEP_ASIDE_S = 1.0  # for the server's </stream:stream>
AWAY_S = 3.0  # for a guard that wants to close a session
OTHERS_S = 2.0  # for takeovers that have begun and may need us away, too
MAX_OPEN = 4 * MAX_WATCHED  # checks and questions without an answer
# How a server answers an IQ to a resource that is not there (RFC 6121 §8.5.3.2.3), and how another session answers that
# has its address now.
GONE = frozenset({"service-unavailable", "recipient-unavailable", "item-not-found", "gone"})


@dataclass(frozen=True, slots=True)
class Failed:
    """A silent session could not be closed; it stays under watch."""

    jid: Jid
    error: XmppshError


class Watcher(Interceptor):
    """Watches the sessions of one account: `open`, `watch`, and `close` in the end.

    tell: hears what the witness sees and does; interval_s: between two checks of a session that answers.
    """

    def __init__(
        self,
        options: SessionOptions,
        log: Log,
        tell: Callable[[Tell | Failed], None],
        interval_s: float,
        trace: Trace | None = None,
    ) -> None:
        # Not resumable: the witness must not leave a ghost itself.
        jid = witness_of(options.jid)
        self._options = replace(options, jid=jid, acks=True, heals=True, resumable_s=None, give_up_s=None)
        self._log, self._tell, self._trace = log, tell, trace
        self._witness = Witness(interval_s)
        self.session = Session(self._options, log, trace)
        self.session.interceptors.append(self)
        self._stirred = asyncio.Event()
        self._checks: dict[str, tuple[Jid, str]] = {}  # by stanza id: whom it asked, about which session
        self._pings: dict[str, int] = {}
        self._questions: dict[str, Element] = {}
        self._late: list[Xml] = []  # answers that found no link
        self._takeovers: dict[str, asyncio.Task[None]] = {}  # by sm_id, as long as they may be given up
        self._closing: set[asyncio.Task[None]] = set()  # those that may not
        self._away_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def open(self) -> None:
        """Bind the witness's resource; raises what made it impossible."""
        await self.session.open()

    async def watch(self) -> None:
        """Watch until the session is over; raises what ended it."""
        loop = asyncio.get_running_loop()
        end = asyncio.ensure_future(self._end())
        end.add_done_callback(lambda _: self._stirred.set())
        try:
            while not end.done():
                due = None
                if self._may_write:  # else what is due waits for the next link
                    self._carry_out(self._witness.tick(loop.time()))
                    due = self._witness.next_due
                self._stirred.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._stirred.wait()
            await end
        finally:
            end.cancel()

    async def _end(self) -> None:
        try:
            async for _ in self.session.inbound.bus.subscribe(lambda _: False):
                pass
        except StreamError as error:
            if error.condition != "conflict":
                raise
            raise ProtocolError(
                f"another witness of {self.session.jid.bare} has taken this one's place",
                condition=error.condition,
                hint="one witness for an account is enough",
            ) from error

    async def close(self, hurry: asyncio.Event | None = None) -> None:
        """Stop. A takeover that has resumed its session is finished, another one is given up."""
        for task in self._takeovers.values():
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.session.close(hurry=hurry)

    # ── What the judgement wants ────────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Check(jid, sm_id, last):
                    self._check(jid, sm_id, last=last)
                case Ping(number):
                    self._ping(number)
                case TakeOver(_, session):
                    self._takeovers[session.sm_id] = self._spawn(self._take_over(action))
                case LetGo(sm_id):
                    if (takeover := self._takeovers.pop(sm_id, None)) is not None:
                        takeover.cancel()
                case Reply(question, sm_id, known, h):
                    self._reply(question, sm_id, known=known, h=h)
                case Tell():
                    self._tell(action)
                case _:
                    assert_never(action)
        self._stirred.set()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _check(self, jid: Jid, sm_id: str, *, last: bool) -> None:
        stanza_id = new_id()
        self._checks[stanza_id] = (jid, sm_id)
        while len(self._checks) > MAX_OPEN:
            del self._checks[next(iter(self._checks))]
        alive = form("alive", sm_id=sm_id, last="true" if last else None)
        self._send(element("iq", {"type": "get", "id": stanza_id, "to": str(jid)}, alive))

    def _ping(self, number: int) -> None:
        stanza_id = new_id()
        self._pings[stanza_id] = number
        ping = element("ping", {"xmlns": ns.PING})
        self._send(element("iq", {"type": "get", "id": stanza_id, "to": self.session.jid.domainpart}, ping))

    def _reply(self, question: str, sm_id: str, *, known: bool, h: int | None) -> None:
        request = self._questions.pop(question)
        closed = form("closed", sm_id=sm_id, h=None if h is None else str(h))
        answer = reply(request, closed) if known else refusal(request, "item-not-found")
        if self._may_write:
            self._send(answer)
        else:
            self._late.append(answer)  # who asked waits, and our address is the same on the next link

    @property
    def _may_write(self) -> bool:
        return self.session.can_write

    def _send(self, stanza: Xml) -> None:
        if self._may_write:  # what is asked on a link that is cut is asked again on the next one
            self.session.send_ahead(stanza)

    async def _take_over(self, wish: TakeOver) -> None:
        sm_id, loop = wish.session.sm_id, asyncio.get_running_loop()
        sm = wish.session.management()

        async def on_resumed(_driver: Driver) -> None:
            # From here on there is no way back.
            if (task := self._takeovers.pop(sm_id, None)) is not None:
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            await self._step_aside()

        try:
            async with self._turn:
                outcome = await take_over(self._options, self._log, wish.jid, sm, self._trace, on_resumed)
        except XmppshError as error:
            self._tell(Failed(wish.jid, error))
            actions = self._witness.not_closed(loop.time(), sm_id)
        else:
            if outcome.end is not End.GONE or outcome.h is not None:
                actions = self._witness.closed(loop.time(), sm_id, outcome.h)
            else:
                actions = self._witness.not_closed(loop.time(), sm_id)
        self._takeovers.pop(sm_id, None)
        self._carry_out(actions)

    async def _step_aside(self) -> None:
        """End our own stream; it comes back by itself, when nothing is being closed any more.

        Measured: what a session has not acknowledged when it is closed goes to the offline store only if it is the last
        one of its account. Otherwise Prosody bounces it, and ejabberd drops it.
        """
        await self.session.begin_anew(STEP_ASIDE_S)

    async def before_connecting(self) -> None:
        """Stay away as long as a session is being closed, by ourselves or by a guard."""
        if self._takeovers:
            await asyncio.wait(set(self._takeovers.values()), timeout=OTHERS_S)
        if self._closing:
            await asyncio.wait(set(self._closing))
        await asyncio.sleep(self._away_until - asyncio.get_running_loop().time())

    # ── What comes in ───────────────────────────────────────────────────────────────────────────────────────────

    def on_live(self) -> None:
        """A new stream; raises ProtocolError when sessions would not find the witness on it."""
        if self.session.jid.resourcepart != RESOURCE:
            raise ProtocolError(
                f"the server gave the witness the address {self.session.jid} instead of {self._options.jid}",
                layer="bind",
                hint="sessions look for their witness there: it needs a server that lets clients choose a resource",
            )
        self._checks.clear()
        self._pings.clear()
        late, self._late = self._late, []
        for answer in late:
            self._send(answer)
        self._carry_out(self._witness.link_up(asyncio.get_running_loop().time()))

    def intercept(self, stanza: Element, handled: Callable[[], None]) -> bool:
        """Deal with the stanzas of the protocol, from the own account alone; answers of the server, too.

        Any other message comes back: acknowledgements are cumulative, so one that was left unread would hold back all
        behind it, and ejabberd ends a session with 5000 unacknowledged stanzas.
        """
        answers = stanza.kind == "iq" and stanza.attributes.get("type") in ("result", "error")
        actions = self._on_answer(stanza) if answers else self._on_word(stanza)
        if actions is None:
            if stanza.kind != "message" or not self._may_write:
                return False  # the server says what becomes of it when the stream has ended
            actions = []
            if (bounce := bounce_of(stanza)) is not None:
                self._send(bounce)
        handled()
        self._carry_out(actions)
        return True

    def _on_answer(self, stanza: Element) -> list[Action] | None:
        now, stanza_id, own = asyncio.get_running_loop().time(), stanza.id or "", self.session.jid
        if stanza_id in self._pings and is_answer(stanza, stanza_id, None, own):
            return self._witness.pong(now, self._pings.pop(stanza_id))
        jid, sm_id = self._checks.get(stanza_id, (None, ""))
        if jid is None or not is_answer(stanza, stanza_id, jid, own):
            return None
        del self._checks[stanza_id]
        answer = tree(stanza)
        if stanza.attributes.get("type") == "error":
            gone = stanza_error(answer, stanza.sender).condition in GONE
            return self._witness.bounced(now, jid, sm_id) if gone else self._witness.undecided(now, sm_id)
        alive = payload(answer, "alive")
        session = None if alive is None else announced(alive)
        return self._witness.heard(now, jid, sm_id, None if session is None else session.handled)

    def _on_word(self, stanza: Element) -> list[Action] | None:
        """What a session says unasked."""
        jid = self._own_resource(stanza.sender)
        if jid is None:
            return None
        now, content = asyncio.get_running_loop().time(), tree(stanza)
        match stanza.kind, stanza.attributes.get("type"):
            case "iq", "set" if (watch := payload(content, "watch")) is not None:
                return self._on_announcement(stanza, now, jid, watch)
            case "iq", "set" if payload(content, "aside") is not None:
                self._send(reply(stanza))
                self._away_until = now + AWAY_S
                self._spawn(self._step_aside())
                return []
            case "iq", "get" if (closed := payload(content, "closed")) is not None:
                if len(self._questions) >= MAX_OPEN:
                    self._send(refusal(stanza, "resource-constraint", "wait"))
                    return []
                question = new_id()
                self._questions[question] = stanza
                return self._witness.asked(question, closed.get("sm-id", ""))
            case "message", "headline" if (alive := payload(content, "alive")) is not None:
                session = announced(alive)
                if session is None:
                    return []
                busy = alive.get("busy") == "true"
                return self._witness.heard(now, jid, session.sm_id, session.handled, busy=busy)
        return None

    def _on_announcement(self, stanza: Element, now: float, jid: Jid, watch: Tree) -> list[Action]:
        session = announced(watch)
        if session is None:
            self._send(refusal(stanza, "bad-request", "modify"))
            return []
        actions = self._witness.announced(now, jid, session)
        if actions is None:
            self._send(refusal(stanza, "resource-constraint", "wait"))
            return []
        self._send(reply(stanza, form("watching", interval=str(math.ceil(self._witness.interval_s)))))
        return actions

    def _own_resource(self, sender: str) -> Jid | None:
        """The sender, if it is a resource of this account; the server vouches for that (RFC 6120 §8.1.2.1)."""
        try:
            jid = Jid.parse(sender)
        except MalformedJid:
            return None
        return jid if jid.resourcepart is not None and jid.bare == self.session.jid.bare else None
