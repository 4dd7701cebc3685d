"""After a lost session: what came meanwhile, and the server has not kept for us, is in the archive (XEP-0313).

Measured: Prosody refuses to resume a session for which more than 500 stanzas wait, ejabberd ends one at 5,000, and both
drop what waits and is archived. What is missing comes before all that arrives on the next session. After `kill -9` the
next run of the same command goes on in the same way from where the dead one was (outbox/mark.py): what that had been
given and not acknowledged is given back by the server to the account's last session alone, if at all.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from xmppsh.errors import ConnectionLost, DeadlineExceeded, StanzaError, XmppshError
from xmppsh.plain import dataclass
from xmppsh.session.clock import ahead
from xmppsh.session.ports import Interceptor
from xmppsh.session.session import Session
from xmppsh.session.settle import Server, server_of
from xmppsh.tasks import first
from xmppsh.xmlio.ids import beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.model import Element
    from xmppsh.outbox.mark import Mark
    from xmppsh.output.trace import Trace
    from xmppsh.session.inbox import Inbox
    from xmppsh.xep.history import Archived, Wanted

# Stanzas that come meanwhile, and are not acknowledged: Prosody keeps 500, ejabberd ends a session at 5,000.
MAX_HELD = {Server.EXACT: 400, Server.SNAPSHOT: 4_000}
LATE_S = 60.0  # after the end of a dead run's session: what was on its way then may be stored late
PATIENCE_S = 5.0  # a reader who waits for longer is told why
TRIES, RETRY_S = 3, 2.0  # to ask, on a connection of their own each; from one to the next

# The archive is asked from the start of the session on, and what was stored is older.
BACKLOG_LOST = (
    "the session was lost before the messages came that the server had stored: those that it does not keep now are "
    "missing here, and xmppsh history list shows them where the server has an archive"
)

MISSING = "messages of the time without a session may be missing, since the server's archive could not be read"
TRY_HISTORY = "; xmppsh history list shows them once it can be"
WITHOUT_ARCHIVE = ("feature-not-implemented", "service-unavailable")

Recipient: TypeAlias = "CatchUp | Mark"  # this run, and one that died


@dataclass(slots=True)
class Gap:
    """What the reader lacks: the archive has it after the message with the id `newest`, or since a moment.

    newest: the id there of the last message that the reader had; empty where it had none. reached: that of its last
    clean run, which is from before the moment, as far as the archive has it still.
    until: when a dead run's session was closed; None: it is all missing. readers: whose messages they are.
    """

    newest: str
    since: datetime
    until: datetime | None
    readers: tuple[Recipient, ...]
    reached: str = ""

    @property
    def after(self) -> str:
        """What is missing follows the message with this id; empty where none is known."""
        return self.newest or self.reached


class CatchUp(Interceptor):
    """Holds back what arrives on another session until the archive has told what is missing before it.

    A session is complete, or it has a gap and is not available yet:

        the first session       complete; with a gap where a dead run has left a mark, and `through` waits for its end
        another one begins      it has a gap, which begins where the last one did when that was not filled yet
        the link is back        complete as before, or the archive is asked again from the last page on
        the archive has told    complete: what was held back follows, and then our presence

    Our presence has the server deliver its offline store, so it comes last. The archive is asked on a session beside
    this one: to one that has asked its archive Prosody does not deliver its store, and when that one dies, what it had
    not acknowledged is not given back. A session that is resumed is complete.
    inbox: the reader; what it knows already is not missing. trace: gets the XML of both directions.
    """

    def __init__(self, session: Session, inbox: Inbox, trace: Trace | None = None) -> None:
        self._session, self._inbox, self._trace = session, inbox, trace
        self._journal = session.outbound.journal
        if self._journal is not None:
            self._journal.marked = self
        self._gap: Gap | None = None  # the last one, before the first stream none
        self._generation = 0  # of the session
        self._server = Server.EXACT
        self._complete, self._woken = asyncio.Event(), asyncio.Event()
        self._complete.set()
        self._is_behind = False  # a gap is not filled, and may never be: then it is the next run's
        self._has_told = False  # that something may be missing
        self._has_told_why = False  # that the reader waits for the archive
        self._has_lost = False  # what was stored, with the last session

    @property
    def reader(self) -> str:
        """Who reads (outbox/mark.py: Marked)."""
        return self._inbox.reader

    @property
    def newest_kept(self) -> str:
        """How far (Marked)."""
        return self._inbox.newest_kept

    @property
    def full_jid(self) -> str:
        """The address of the session."""
        return str(self._session.jid)

    @property
    def gets_messages(self) -> bool:
        """Those to the bare address, too (Marked)?"""
        return self._session.gets_messages

    @property
    def is_complete(self) -> bool:
        """Is nothing missing (Marked)? What a dead run has left is, until the first stream comes to life.

        Measured on a loaded ejabberd: the process of a session that has ended takes messages for another 1.4 s, which
        it drops when another client is online. Where some came after the reading had ended, more may be lost like that.
        """
        has_begun = self._gap is not None or self._journal is None or self._journal.left is None
        may_drop = self._server is Server.SNAPSHOT and self._inbox.came_late
        return has_begun and not self._is_behind and not may_drop

    @property
    def wants_messages(self) -> bool:
        """It looks at none."""
        return False

    @property
    def comes_before_presence(self) -> bool:
        """On every session but the first one; there `through` is waited for."""
        return self._gap is not None

    async def through(self) -> None:
        """Wait until a dead run's messages are the reader's, or the session is over."""
        if not self._session.is_over:
            await self._complete.wait()

    # ── The phases ──────────────────────────────────────────────────────────────────────────────────────────────

    def on_live(self) -> None:
        """The first stream, or the next one after a cut."""
        former, self._generation = self._generation, self._session.inbound.generation
        resumable = self._session.resumable
        self._server = Server.EXACT if resumable is None else server_of(resumable.sm_id)
        if self._gap is None:
            self._begin()
        elif former != self._generation:
            self._gap = self._next_gap(self._gap)
            lost = not self._gap.newest and self._session.connection.awaits_backlog
            if lost:
                self._session.log(int(self._has_lost), BACKLOG_LOST)
            self._has_lost = lost
            self._hold_back()
        elif not self._complete.is_set():
            self._woken.set()

    def _begin(self) -> None:
        left, reached = (None, "") if self._journal is None else (self._journal.left, self._journal.reached)
        if left is None:
            self._gap = Gap("", datetime.now(UTC), None, (self,), reached)
            return
        since, until = (datetime.fromtimestamp(moment, UTC) for moment in (left.since, left.until + LATE_S))
        self._gap = Gap(left.newest, since, until, (self, left), reached)
        self._hold_back()

    def _next_gap(self, last: Gap) -> Gap:
        readers = (self,) if self._complete.is_set() else last.readers
        return Gap(self._inbox.newest_id or last.newest, last.since, None, readers, last.reached)

    def _hold_back(self) -> None:
        self._session.inbound.hold_back(self, MAX_HELD[self._server], stops_reading=True)
        self._complete.clear()
        self._is_behind = True
        self._woken.set()

    async def run(self) -> None:
        """Fill one gap after the other."""
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                await self._fill()
                # Otherwise another session is lost, or about to be, and goes on from the last page.
                if not self._woken.is_set() and not self._session.is_cut:
                    self._end_gap()
        finally:
            self._complete.set()

    def _end_gap(self) -> None:
        self._session.inbound.let_through(self)
        with suppress(ConnectionLost):  # then the next stream ends it
            self._session.announce_again()
            self._complete.set()
            self._is_behind = False

    # ── A gap ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _fill(self) -> None:
        for left in reversed(range(TRIES)):
            if self._session.is_cut or self._gap is None:
                return  # the next stream wakes us
            try:
                return await self._fetch(self._gap)
            except XmppshError as error:
                is_gone = isinstance(error, StanzaError) and error.condition == "item-not-found"
                if left and is_gone and self._gap.reached and not self._gap.newest:
                    self._gap.reached = ""
                    continue
                # It has no archive for us, or does not answer; any other fault passes, or is the connection's.
                lasts = isinstance(error, StanzaError) and error.error_type != "wait"
                if not left or lasts or isinstance(error, DeadlineExceeded):
                    return self._tell(self._gap, error)
            await first(self._woken.wait(), timeout_s=RETRY_S)
            if self._woken.is_set():
                return

    def _tell(self, gap: Gap, why: XmppshError) -> None:
        # What a dead run had not acknowledged is given back by a server without an archive, as a rule.
        has_none = isinstance(why, StanzaError) and why.condition in WITHOUT_ARCHIVE
        is_as_ever = has_none and gap.until is not None
        hint = "" if has_none else TRY_HISTORY
        self._session.log(1 if self._has_told or is_as_ever else 0, f"{MISSING}: {why}{hint}")
        self._has_told = True

    async def _fetch(self, gap: Gap) -> None:
        from xmppsh.xep.history import forwards, newest

        count, known, inbound = 0, self._inbox.known_ids(), self._session.inbound
        begun = time.monotonic()
        held: dict[str, str] = {}  # the stanza-ids of what comes meanwhile, by its XML: each is looked for once
        async with _beside(self._session, self._trace) as asking:
            wanted = await _wanted(asking, gap)
            # What comes later comes to this session as well: an archive that grows would have to be read for ever.
            end = {one.archive_id for one in await newest(asking, wanted, 1)}
            async with aclosing(forwards(asking, wanted, gap.after)) as pages:
                async for page in pages:
                    held |= {one.xml: self._inbox.stanza_id(one.xml) for one in inbound.held if one.xml not in held}
                    missing = self._missing(gap, page.messages, known.union(held.values()))
                    count += len(missing)
                    inbound.put_before(missing)
                    self._inbox.expect([self._inbox.stanza_id(one.xml) for one in missing])
                    gap.newest = page.messages[-1].archive_id
                    self._tell_why(begun, count)
                    if end & {one.archive_id for one in page.messages}:
                        break
        if count:
            self._session.log(1, f"{count} messages that the server had dropped are from the archive")

    def _tell_why(self, begun: float, count: int) -> None:
        """A Prosody that keeps its archive in files gives less than a thousand messages a second."""
        if not self._has_told_why and time.monotonic() - begun > PATIENCE_S:
            self._has_told_why = True
            self._session.log(0, f"the archive is asked for what came while nobody read: {count} messages so far")

    def _missing(self, gap: Gap, page: list[Archived], known: set[str]) -> list[Element]:
        from xmppsh.xep.history import as_sent

        sent = (as_sent(one, self._session.jid.bare) for one in page if one.archive_id not in known)
        return [one for one in sent if one is not None and self._is_for(gap.readers, one)]

    def _is_for(self, readers: tuple[Recipient, ...], message: Element) -> bool:
        """Would it have been delivered to one of them?"""
        own, to = self._session.jid.bare, message.attributes.get("to", "")
        if message.sender.partition("/")[0] == str(own) or message.attributes.get("type") in ("groupchat", "error"):
            return False
        if to in ("", str(own)):
            return any(one.gets_messages for one in readers)
        return any(to == one.full_jid for one in readers)


async def _wanted(asking: Session, gap: Gap) -> Wanted:
    """What the archive is asked for: its messages are stamped by the server's clock."""
    from xmppsh.xep.history import Wanted

    since, until = None if gap.newest else gap.since, gap.until
    if since is None and until is None:
        return Wanted()
    clock = await ahead(asking, asking.jid)
    return Wanted(since=since and clock.earliest(since), until=until and clock.latest(until))


@asynccontextmanager
async def _beside(session: Session, trace: Trace | None) -> AsyncIterator[Session]:
    """A session for questions, which dies with its socket."""
    options = replace(session.options, jid=beside(session.options.jid), heals=False, resumable_s=None, head_start=None)
    asking = Session(options, session.log, trace)
    try:
        await asking.open()
        yield asking
    finally:
        await asking.close(wait_s=0)
