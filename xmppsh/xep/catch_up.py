"""After a lost session: what came meanwhile, and the server has not kept for us, is in the archive (XEP-0313).

Measured: Prosody refuses to resume a session for which more than 500 stanzas wait, ejabberd ends one at 5,000, and both
drop what waits and is archived. What is missing comes before all that arrives on the next session. After `kill -9` the
next run of the same command goes on in the same way from where the dead one was (outbox/mark.py): what that had been
given and not acknowledged is given back by the server to the account's last session alone, if at all.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectionLost, DeadlineExceeded, StanzaError, XmppshError
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
    from xmppsh.xep.history import Archived

# Stanzas that come meanwhile, and are not acknowledged: Prosody keeps 500, ejabberd ends a session at 5,000.
MAX_HELD = {Server.EXACT: 400, Server.SNAPSHOT: 4_000}
LATE_S = 60.0  # behind the end of a dead run's session: the server's clock is not ours
TRIES, RETRY_S = 2, 2.0  # to ask, on a connection of their own each; from one to the next


class CatchUp(Interceptor):
    """Holds back what arrives on another session until the archive has told what is missing before it.

    It comes before our presence, which has the server deliver its offline store. The archive is asked on a session
    beside this one: to one that has asked its archive Prosody does not deliver its store, and when that one dies,
    what it had not acknowledged is not given back. A session that is resumed is complete.
    inbox: the reader; what it knows already is not missing. trace: gets the XML of both directions.
    """

    def __init__(self, session: Session, inbox: Inbox, trace: Trace | None = None) -> None:
        self._session, self._inbox, self._trace = session, inbox, trace
        self._journal = session.outbound.journal
        if self._journal is not None:
            self._journal.marked = self
        self._left: Mark | None = None  # by a run that died, while that is fetched
        self._newest: str | None = None  # the archive's id of the last message that came
        self._began: datetime | None = None  # the first session
        self._generation = 0
        self._owes_presence = self._has_told = False
        self._woken, self._through = asyncio.Event(), asyncio.Event()
        self._through.set()

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
    def wants_messages(self) -> bool:
        """It looks at none."""
        return False

    @property
    def comes_before_presence(self) -> bool:
        """On every session but the first one; there `through` is waited for."""
        return self._began is not None

    async def through(self) -> None:
        """Wait until a dead run's messages are the reader's, or the session is over."""
        if not self._session.is_over:
            await self._through.wait()

    def on_live(self) -> None:
        """The first stream, or the next one after a cut."""
        inbound = self._session.inbound
        former, self._generation = self._generation, inbound.generation
        if self._began is None:
            self._begin()
        elif former != self._generation:
            self._owes_presence = True
            self._newest = self._inbox.newest_id or self._newest
            self._hold_back()
        elif self._owes_presence:
            self._woken.set()

    def _begin(self) -> None:
        self._began = datetime.now(UTC)
        self._left = None if self._journal is None else self._journal.left
        if self._left is not None:
            self._newest, self._began = self._left.newest or None, datetime.fromtimestamp(self._left.since, UTC)
            self._owes_presence = True
            self._through.clear()
            self._hold_back()

    def _hold_back(self) -> None:
        resumable = self._session.resumable
        most = MAX_HELD[Server.EXACT if resumable is None else server_of(resumable.sm_id)]
        self._session.inbound.hold_back(self, most, stops_reading=True)
        self._woken.set()

    async def run(self) -> None:
        """Ask the archive behind each lost session."""
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                await self._fetch_all()
                # Else another session is lost, or is about to be, and it goes on from the last page.
                if not self._woken.is_set() and not self._session.is_cut:
                    self._session.inbound.let_through(self)
                    self._announce()
                    self._left = None
                    self._through.set()
        finally:
            self._through.set()

    def _announce(self) -> None:
        with suppress(ConnectionLost):  # then the next stream owes it
            self._session.announce_again()
            self._owes_presence = False

    async def _fetch_all(self) -> None:
        for left in reversed(range(TRIES)):
            if self._session.is_cut:
                return  # the next stream wakes us
            try:
                return await self._fetch()
            except XmppshError as error:
                # It has no archive for us, or does not answer; else the connection is to blame.
                if not left or isinstance(error, StanzaError | DeadlineExceeded):
                    return self._tell(error)
            await first(self._woken.wait(), timeout_s=RETRY_S)
            if self._woken.is_set():
                return

    def _tell(self, why: XmppshError) -> None:
        # What a dead run had not acknowledged is given back by a server without an archive, as a rule.
        level = 1 if self._has_told or self._left is not None else 0
        self._has_told = True
        self._session.log(level, f"messages of the time without a session may be missing, the archive has none: {why}")

    async def _fetch(self) -> None:
        from xmppsh.xep.history import Wanted, forwards, newest

        count, known, inbound = 0, self._inbox.known_ids(), self._session.inbound
        held: dict[str, str] = {}  # the stanza-ids of what comes meanwhile, by its XML: each is looked for once
        until = None if self._left is None else datetime.fromtimestamp(self._left.until + LATE_S, UTC)
        wanted = Wanted(since=self._began if self._newest is None else None, until=until)
        async with _beside(self._session, self._trace) as asking:
            # What comes later comes to this session as well: an archive that grows would have to be read for ever.
            end = {one.archive_id for one in await newest(asking, wanted, 1)}
            async with aclosing(forwards(asking, wanted, self._newest)) as pages:
                async for page in pages:
                    held |= {one.xml: self._inbox.stanza_id(one.xml) for one in inbound.held if one.xml not in held}
                    missing = self._missing(page.messages, known.union(held.values()))
                    count += len(missing)
                    inbound.put_before(missing)
                    self._inbox.expect([self._inbox.stanza_id(one.xml) for one in missing])
                    self._newest = page.messages[-1].archive_id
                    if end & {one.archive_id for one in page.messages}:
                        break
        if count:
            self._session.log(1, f"{count} messages that the server had dropped are from the archive")

    def _missing(self, page: list[Archived], known: set[str]) -> list[Element]:
        from xmppsh.xep.history import as_sent

        sent = (as_sent(one, self._session.jid.bare) for one in page if one.archive_id not in known)
        return [one for one in sent if one is not None and self._is_ours(one)]

    def _is_ours(self, message: Element) -> bool:
        """Would it have been delivered to this session?"""
        own, to = self._session.jid.bare, message.attributes.get("to", "")
        if message.sender.partition("/")[0] == str(own) or message.attributes.get("type") in ("groupchat", "error"):
            return False
        reads: tuple[CatchUp | Mark, ...] = (self,) if self._left is None else (self, self._left)
        if to in ("", str(own)):
            return any(one.gets_messages for one in reads)
        return any(to == one.full_jid for one in reads)


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
