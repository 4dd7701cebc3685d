"""A session's side of the witness protocol (docs/witness.md): it announces itself, answers checks, and asks how a
session ended that it could not resume.

The witness is whoever of our own account holds the resource `xmppsh-witness`. It hears of each h before the server:
Prosody destroys a session that is resumed with less than it knows, and its final count with it.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import DeadlineExceeded, StreamError
from xmppsh.protocol.conditions import number, stanza_error
from xmppsh.protocol.sm import MODULUS, ResumableSession, Resumption
from xmppsh.session.ports import Interceptor
from xmppsh.session.requests import is_answer
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.errors import XmppshError
    from xmppsh.model import Element, Jid
    from xmppsh.session.session import Session
    from xmppsh.xmlio.build import Xml

NS = "xmppsh:witness:0"
RESOURCE = "xmppsh-witness"
ANNOUNCE_S = 30.0  # between two announcements while there is no witness
BACK_SOON_S = 2.0  # before the first one when there was a witness: it steps aside for a moment when it closes a session
QUIET_INTERVALS = (
    4  # without a check, then the session announces itself again: the witness is a new one, or a link dead
)
MIN_QUIET_S = 6.0
BUSY_S = 3.0  # between two signs of life while nothing is read
ANSWER_S = 15.0  # for how a session ended; the witness may be closing it just now
AWAY_S = 5.0  # for a witness that has stepped aside to close it
ASK_AGAIN_S = 0.3
MAX_ID = 1024  # characters of an sm_id or a location
NOBODY_THERE = ("service-unavailable", "recipient-unavailable")  # RFC 6121 §8.5.3.2.3


# ── The stanzas ─────────────────────────────────────────────────────────────────────────────────────────────────────


def witness_of(jid: Jid) -> Jid:
    """Where the witness of this account is."""
    return jid.bare.with_resource(RESOURCE)


def payload(stanza: Tree, name: str) -> Tree | None:
    """The protocol's element of that name in a stanza."""
    return stanza.find(f"{{{NS}}}{name}")


def form(name: str, **attributes: str | None) -> Xml:
    """An element of the protocol."""
    return element(name, {"xmlns": NS, **{key.replace("_", "-"): value for key, value in attributes.items()}})


def reply(request: Element, content: Xml | None = None) -> Xml:
    """The result for an IQ."""
    return element("iq", {"type": "result", "id": request.id, "to": request.sender or None}, content)


def refusal(request: Element, condition: str, error_type: str = "cancel") -> Xml:
    """The error for an IQ (RFC 6120 §8.3)."""
    error = element("error", {"type": error_type}, element(condition, {"xmlns": ns.STANZA_ERRORS}))
    return element("iq", {"type": "error", "id": request.id, "to": request.sender or None}, error)


def watch(session: ResumableSession) -> Xml:
    """The announcement of a session."""
    granted = session.resumption
    max_s = None if granted.max_s is None else str(granted.max_s)
    return form("watch", sm_id=session.sm_id, location=granted.location, max=max_s, h=str(session.handled))


def alive(session: ResumableSession, *, busy: bool = False) -> Xml:
    """A session's sign of life. busy: nothing is read at present, so no check will be answered."""
    return form("alive", sm_id=session.sm_id, h=str(session.handled), busy="true" if busy else None)


def announced(content: Tree) -> ResumableSession | None:
    """The session that an announcement or a sign of life is about; None when it is neither."""
    sm_id, location, handled = content.get("sm-id", ""), content.get("location"), number(content.get("h"))
    if not 0 < len(sm_id) <= MAX_ID or len(location or "") > MAX_ID or handled is None:
        return None
    return ResumableSession(Resumption(sm_id, location, number(content.get("max"))), handled)


# ── The session's side ──────────────────────────────────────────────────────────────────────────────────────────────


class Announcer(Interceptor):
    """Keeps the witness informed about a session that can be resumed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stirred = asyncio.Event()
        self._due = False
        self._quiet_s = MIN_QUIET_S
        self._witness = ""
        self._announcement = ""  # the id of the open one
        self._watched = False
        self._hopes = False  # it may: an announcement is under way
        self._watched_id = ""  # the sm_id of the session that was watched last
        self._retry_s = math.inf
        self._told = self._acked = 0  # the h that the witness heard last, and the server
        self._warned = False

    async def run(self) -> None:
        """Announce the session until the witness checks it, and whenever the checks stay out."""
        while True:
            if not self._session.is_reading and self._watched:
                self._tell(busy=True)
            else:
                self._announce()
            self._due = False
            while not self._due:
                self._stirred.clear()
                try:
                    async with asyncio.timeout(self._pause_s):
                        await self._stirred.wait()
                except TimeoutError:
                    self._due = True
            if not self._watched:
                self._retry_s *= 2

    @property
    def _pause_s(self) -> float:
        if not self._watched:
            return min(ANNOUNCE_S, self._retry_s)
        return BUSY_S if not self._session.is_reading else self._quiet_s

    def _at_once(self) -> None:
        self._due = True
        self._stirred.set()

    def on_live(self) -> None:
        """Announce the session at once: `<resume/>` has told the server an h."""
        self._witness = str(witness_of(self._session.jid))
        self._watched = self._warned = False
        if (resumable := self._session.resumable) is not None:
            self._told = self._acked = resumable.handled
        self._at_once()

    @property
    def wants_messages(self) -> bool:
        """Its requests and their answers are IQ."""
        return False

    def intercept(self, stanza: Element, handled: Callable[[], None]) -> bool:
        """Answer the witness's checks, and note whether it watches."""
        if stanza.sender != self._witness or stanza.kind != "iq":
            return False
        session, stanza_type = self._session, stanza.attributes.get("type")
        if is_answer(stanza, self._announcement, witness_of(session.jid), session.jid):
            handled()
            self._on_answer(tree(stanza), accepted=stanza_type == "result")
            return True
        check = payload(tree(stanza), "alive") if stanza_type == "get" else None
        if check is None:
            return False
        handled()  # before the answer: its h counts the check, as the server's next <a/> will
        self._answer(stanza, check)
        return True

    def _on_answer(self, answer: Tree, *, accepted: bool) -> None:
        self._announcement, self._watched, self._hopes = "", accepted, False
        if accepted and (resumable := self._session.resumable) is not None:
            self._on_watched(resumable.sm_id)
        watching = payload(answer, "watching")
        interval_s = number(None if watching is None else watching.get("interval"))
        self._quiet_s = min(ANNOUNCE_S, max(MIN_QUIET_S, QUIET_INTERVALS * (interval_s or 0)))
        self._stirred.set()
        self._catch_up()

    def _on_watched(self, sm_id: str) -> None:
        self._watched, self._watched_id, self._retry_s = True, sm_id, BACK_SOON_S

    def _answer(self, stanza: Element, check: Tree) -> None:
        resumable = self._session.resumable
        if resumable is None:
            return  # the session is being closed, or cannot be resumed
        if check.get("sm-id") != resumable.sm_id:
            return self._session.send_ahead(refusal(stanza, "item-not-found"))
        self._on_watched(resumable.sm_id)
        self._told = resumable.handled
        self._stirred.set()
        self._warned = self._warned or check.get("last") == "true"
        return self._session.send_ahead(reply(stanza, alive(resumable)))

    def before_ack(self, h: int) -> None:
        """The witness hears it first."""
        self._acked = h
        self._catch_up()

    def _catch_up(self) -> None:
        if (self._watched or self._hopes) and 0 < (self._acked - self._told) % MODULUS < MODULUS // 2:
            self._tell()

    def on_lag(self) -> None:
        """A session whose readers lag reads no checks: it shows by itself that it lives."""
        self._at_once()

    def is_expected_end(self, error: XmppshError | None) -> bool:
        """XEP-0198 §5: the server ends the former stream of a session that is resumed elsewhere with `conflict`."""
        return self._warned and isinstance(error, StreamError) and error.condition == "conflict"

    def _announce(self) -> None:
        resumable = self._session.resumable
        self._hopes = not self._announcement
        if resumable is None or self._announcement:
            self._watched = False  # nobody has answered the last one
        if resumable is not None:
            self._announcement, self._told = new_id(), resumable.handled
            attributes = {"type": "set", "id": self._announcement, "to": self._witness}
            self._session.send_ahead(element("iq", attributes, watch(resumable)))

    def _tell(self, *, busy: bool = False) -> None:
        """A sign of life that needs no answer: a headline is not stored, copied or bounced (RFC 6121 §8.5)."""
        if (resumable := self._session.resumable) is not None:
            self._told = resumable.handled
            attributes = {"type": "headline", "to": self._witness}
            self._session.send_ahead(element("message", attributes, alive(resumable, busy=busy)))

    async def final_count(self, sm_id: str) -> int | None:
        """The server's final count of what a session of ours had sent, when the witness has closed it and knows.

        Raises ConnectionLost when the link breaks meanwhile.
        """
        question, loop = form("closed", sm_id=sm_id), asyncio.get_running_loop()
        until = loop.time() + (AWAY_S if sm_id == self._watched_id else 0.0)
        requests, witness = self._session.requests, witness_of(self._session.jid)
        while True:
            try:
                answer = tree(await requests.exchange("get", witness, question, ANSWER_S, ahead=True))
            except DeadlineExceeded:
                return None
            if (closed := payload(answer, "closed")) is not None and answer.get("type") == "result":
                return number(closed.get("h"))
            away = answer.get("type") == "error" and stanza_error(answer, "").condition in NOBODY_THERE
            if not away or loop.time() >= until:
                return None
            await asyncio.sleep(ASK_AGAIN_S)
