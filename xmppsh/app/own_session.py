"""`OwnSessions`: a command of the command line opens a session of its own, and closes it cleanly whatever ends it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from xmppsh.app.ports import INBOX_BYTES, nothing
from xmppsh.errors import ConnectError, ConnectionLost, DeadlineExceeded, IoError, SaslError, XmppshError
from xmppsh.model import Credentials
from xmppsh.tasks import others_done
from xmppsh.xmlio.ids import beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator
    from pathlib import Path

    from xmppsh.app.account import Account
    from xmppsh.app.console import Console
    from xmppsh.app.ports import Plug
    from xmppsh.app.storage import Storage
    from xmppsh.connection.options import SessionOptions
    from xmppsh.ghosts.dead_session import Reaped
    from xmppsh.ghosts.guard import KnownSession
    from xmppsh.outbox.journal import Journal
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.registration import Registration
    from xmppsh.session.session import Session

DRAIN_S = 5.0  # for acks that are still open at the end of a command, or when a signal ends it
GUARD_DONE_S = 60.0  # at least: where ejabberd is behind, a session's end takes several of its time-outs of 15 s


class OwnSessions:
    """Sessions of this process."""

    def __init__(self, account: Account, console: Console, storage: Storage) -> None:
        self.shared: Session | None = None
        self._account, self._console, self._storage = account, console, storage

    @asynccontextmanager
    async def one_shot(self, *, heals: bool = False, acks: bool = True) -> AsyncIterator[Session]:
        """A session beside the account's own address, for one command."""
        state = self._storage.state_if_any
        options = self._lasting_options(give_up_s=self._account.settings.timeout) if heals else self.hasty_options
        journal = None if state is None and not heals else self._journal
        options = replace(options, jid=beside(options.jid), acks=acks and options.acks)
        async with self._session(options, journal, hasty=not heals) as session:
            yield session

    @property
    def hasty_options(self) -> SessionOptions:
        """For a session that dies with its socket: with what earlier ones have left, and what was begun early."""
        state, options = self._storage.state_if_any, self._account.options
        return replace(
            options,
            known=None if state is None else state / "servers.json",
            tokens=None if state is None else state / "tokens.json",
            head_start=self._storage.head_start,
            hashing=self._storage.hashing,
        )

    @asynccontextmanager
    async def lasting(self, checkpoint: Path | None = None) -> AsyncIterator[Session]:
        """A session at the account's own address."""
        options = self._lasting_options(give_up_s=self._account.settings.timeout)
        if checkpoint is None:
            async with self._session(options, self._journal) as session:
                yield session
            return
        from xmppsh.outbox.owner import StoreInUse

        journal = self._storage.journal(self._account.jid, checkpoint)
        await self._guard_done(journal)
        try:
            left = journal.restore()
        except StoreInUse:
            if not await self._guard_done(journal):  # it was quicker than we, and has ended now
                raise
            left = journal.restore()
        opening = self._session(options, lambda: journal, before_open=lambda session: session.restore(left))
        async with opening as session:
            yield session

    @asynccontextmanager
    async def reading(
        self, command: str, *kinds: str, inbox_bytes: int = INBOX_BYTES, plug: Plug = nothing
    ) -> AsyncIterator[tuple[Session, Inbox]]:
        """A lasting session whose arrivals are stored for a slow reader."""
        from xmppsh.app.reading import Reading
        from xmppsh.session.inbox_file import InboxFile

        readings: list[Reading] = []

        def tell(why: str) -> None:
            self._console.log(1, f"after kill -9 the last messages may be printed twice: {why}")

        def read(session: Session) -> None:
            file = InboxFile.of(self._storage.state, self._account.jid, command, inbox_bytes, tell)
            readings.append(Reading(session, file, kinds, plug, self._account.trace))

        options = self._lasting_options(give_up_s=None)
        try:
            async with self._session(options, self._journal, before_open=read, is_next=True) as session:
                (reading,) = readings
                try:
                    await reading.begin()
                    yield session, reading.inbox
                finally:
                    reading.stop()
        finally:
            for one in readings:
                one.end(is_closed=not self._storage.left_open)

    @asynccontextmanager
    async def before_login(self) -> AsyncIterator[Registration]:
        """A stream to the server of the account, which it does not log in on."""
        from xmppsh.session.registration import registering

        self._account.warn_when_insecure()
        options = self._account.options_for(self._account.jid, Credentials())
        async with registering(options, self._console.log, self._account.trace) as registration:
            yield registration

    def _lasting_options(self, give_up_s: float | None) -> SessionOptions:
        return replace(
            self._account.options,
            heals=True,
            resumable_s=self._account.resumable_s,
            give_up_s=give_up_s,
        )

    def _journal(self) -> Journal:
        return self._storage.journal(self._account.jid)

    async def _guard_done(self, journal: Journal) -> bool:
        """Wait for the guard of the run before, which may still be closing its session. Was there one?"""
        at_most_s = max(self._account.settings.timeout, GUARD_DONE_S)
        sentence = "the guard of the run before is still closing its session; that is waited for"
        return await others_done(journal.is_guarded, at_most_s, partial(self._console.log, 0, sentence))

    @asynccontextmanager
    async def _session(
        self,
        options: SessionOptions,
        journal: Callable[[], Journal] | None,
        *,
        hasty: bool = False,
        is_next: bool = False,
        before_open: Callable[[Session], object] = lambda _: None,
    ) -> AsyncIterator[Session]:
        """before_open: makes its readers, so that what comes with the first byte after the bind is theirs.

        journal: where stanzas are kept; made once what dead programs left is settled. hasty: after its last ack a
        one-shot does not wait for the server's `</stream:stream>` (ejabberd's comes 100 ms late). is_next: goes on
        where a killed run of the same command was.
        """
        if (begun := self._storage.head_start) is not None:
            begun.speak()  # it may not stand yet: once more a moment later
        from xmppsh.connection.driver import CLOSE_WAIT_S

        if begun is not None:
            begun.speak()
        from xmppsh.session.session import Session

        self._account.warn_when_insecure()
        not_reaped = await self._reap_before()
        session = Session(options, self._console.log, self._account.trace, None if journal is None else journal())
        if options.resumable_s is not None:
            from xmppsh.witness.announcer import Announcer

            session.interceptors.append(Announcer(session))
        if is_next and session.outbound.journal is not None and await self._guard_done(session.outbound.journal):
            not_reaped = await self._reap_before()  # it may have given up
        drain_s, has_failed = 0.0, False
        try:
            before_open(session)
            with self._guarded(session), self._telling(not_reaped) as tell:
                await session.open()
                self._account.warn_of_another_address(session.jid)
                if not hasty:
                    tell()
                yield session
                drain_s = 0.0 if hasty else DRAIN_S  # for what the command has not waited for, as a receipt
                if hasty and session.connection.costs:
                    self._console.log(1, session.connection.costs)
        except (asyncio.CancelledError, GeneratorExit):
            drain_s = DRAIN_S
            raise
        except XmppshError:
            has_failed = True
            raise
        finally:
            self._storage.left_open = True  # where the close itself fails
            wait_s = 0.0 if hasty else CLOSE_WAIT_S
            await session.close(drain_s=drain_s, hurry=self._console.shutdown.hurry, wait_s=wait_s)
            self._storage.left_open = not session.is_closed_at_server
            if self._storage.left_open:
                self._tell_left_open(is_detail=has_failed)

    def _tell_left_open(self, *, is_detail: bool) -> None:
        """is_detail: a failure is told, and this goes with it."""
        unguarded = self._storage.guard is None
        who = "the next command or xmppsh sessions reap" if unguarded else "the guard"
        level = int(is_detail or self._console.shutdown.hurry.is_set())
        self._console.log(level, f"the server has not confirmed the end of the session; {who} will see to it")

    # ── Ghosts ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def reap(
        self,
        *,
        names: Collection[str] | None = None,
        settle: bool = False,
        on_moved: Callable[[str], None] | None = None,
    ) -> list[Reaped]:
        """Close the sessions that dead processes of this account left (ghosts/reap.py)."""
        from xmppsh.ghosts.reap import reap

        guard, console = self._storage.guard, self._console
        watch = guard.watch if guard is not None else lambda _: None
        options, locks = self._account.options, self._storage.locks
        return await reap(
            options,
            locks,
            console.log,
            self._account.trace,
            names=names,
            settle=settle,
            on_claim=watch,
            on_moved=on_moved,
        )

    async def close_for_program(self, names: Collection[str], known: KnownSession | None) -> None:
        """For the guard: close what the store tells of, and the session that the program told of itself."""
        from xmppsh.ghosts.reap import close_known

        reaped: list[Reaped] = []
        try:
            reaped = await self.reap(names=names, settle=True)
        except IoError:
            if known is None:
                raise
        if known is not None and known.jid not in [str(one.jid) for one in reaped]:
            await close_known(self._account.options, self._storage.locks, self._console.log, names, known)

    async def _reap_before(self) -> XmppshError | None:
        """A session left by a dead process is closed before a new one is bound. Returns why that was not possible."""
        if not self._storage.has_locks:
            return None
        try:
            reaped = await self.reap(on_moved=self._console.warn)  # as our own session would, which finds it mended
        except XmppshError as error:
            no_way = isinstance(error, (ConnectError, DeadlineExceeded, SaslError))
            if no_way and not isinstance(error, ConnectionLost):
                raise  # a session of our own would fail in the same way
            return error
        if left := sum(one.left for one in reaped):
            self._console.warn(f"{left} messages of a program that died are unconfirmed; try: xmppsh outbox retry")
        return None

    @contextmanager
    def _telling(self, not_reaped: XmppshError | None) -> Iterator[Callable[[], None]]:
        """Tell why a dead program's session is not closed, once: when what this gives is called, or at the end. Where
        our own session ends with the same, that is told already.
        """
        untold = [] if not_reaped is None else [not_reaped]

        def tell() -> None:
            while untold:
                self._console.log(0, f"a session that a dead program left is not closed: {untold.pop()}")

        try:
            yield tell
        except XmppshError as error:
            if str(error) == str(not_reaped):
                untold.clear()
            raise
        finally:
            tell()

    @contextmanager
    def _guarded(self, session: Session) -> Iterator[None]:
        """Tell the guard all the time that we live."""
        guard = self._storage.guard
        if guard is None:
            yield
            return

        def on_dead() -> None:
            self._console.log(0, "the guard has ended: after kill -9 this session stays online for a while")

        if (journal := session.outbound.journal) is not None:
            session.on_session = partial(guard.on_live, journal.path)
        session.excuses.append(guard.explains)
        beating = asyncio.ensure_future(guard.beat(on_dead))
        try:
            yield
        finally:
            beating.cancel()
