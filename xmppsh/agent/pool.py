"""The open sessions of the agent: one for each account, credentials and way to the server.

A session is shared by those alone who would have opened the very same one: the address, the password and all that says
which server is trusted are compared, so that nobody acts as an account without having shown what logs in there. It is
not resumable: the server drops it together with its socket, also when the agent is killed.
"""

from __future__ import annotations

import asyncio
import copy
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.agent.borrowed import BorrowedSession
from xmppsh.app.account import Account
from xmppsh.app.own_session import OwnSessions
from xmppsh.app.shutdown import Shutdown
from xmppsh.app.storage import Storage
from xmppsh.config.schema import PASSWORDS
from xmppsh.errors import ConnectionLost, XmppshError
from xmppsh.model import Jid
from xmppsh.tasks import running
from xmppsh.texts import rfc3339
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from xmppsh.app.console import Console
    from xmppsh.connection.options import SessionOptions
    from xmppsh.session.session import Session

UNPROVEN_S = 20.0  # after a silence of this length a session has to show that it is alive
PROOF_S = 3.0
OF_FOLDERS = ("HOME", "STATE_DIRECTORY", "XDG_STATE_HOME")  # of a client's environment, what the session itself needs


def identity(options: SessionOptions, storage: Storage) -> tuple[object, ...]:
    """What has to be equal for two commands to share a session."""
    return (replace(options, connect_timeout_s=0.0, timeout_s=0.0), storage.folder)


class Keeper:
    """Opens a session, holds it while it is of use, and closes it.

    users: how many commands have it now; commands: how many had it so far; is_over: nobody may have it any more.
    """

    def __init__(self, wanted: tuple[object, ...], account: Account, console: Console, idle_s: float) -> None:
        self.identity = wanted
        self.jid, self.since = account.jid, console.now()
        self.users = self.commands = 0
        self.is_over = False
        self.listeners: list[Console] = []
        self.opened: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._idle_s = idle_s
        self._alarm: asyncio.TimerHandle | None = None
        self._quit = asyncio.Event()
        self._proved_at = 0.0
        self._sessions = self._own(account, console)
        self.task = asyncio.ensure_future(self._run())

    def _own(self, account: Account, console: Console) -> OwnSessions:
        """Sessions that need nothing of the command that was the first, which ends before they do."""
        env = {name: console.env[name] for name in OF_FOLDERS if name in console.env}
        own = replace(console, env=env, write_error=self._tell, shutdown=Shutdown(), verbosity=0, as_json=False)
        storage = Storage(own)
        kept = Account(account.settings.without(PASSWORDS), own, storage)
        kept.credentials = account.credentials
        return OwnSessions(kept, own, storage)

    def _tell(self, text: str) -> None:
        """What the session has to say is said by those who use it."""
        for console in self.listeners:
            if console.verbosity >= 0:
                console.write_error(text)

    async def _run(self) -> None:
        try:
            async with self._sessions.one_shot() as session:
                self._proved_at = self._now
                session.inbound.bus.on_unread = self.retire
                self.jid = session.jid
                self.opened.set_result(session)
                self._rest()
                await self._until_end(session)
        except Exception as error:  # whatever it is, it belongs to the commands that wait
            if self.opened.done() and not isinstance(error, XmppshError):
                raise
            if not self.opened.done():
                self.opened.set_exception(error)
        finally:
            self.is_over = True
            if not self.opened.done():
                self.opened.set_exception(ConnectionLost("the agent ends"))
            self.opened.exception()  # whether or not somebody waits for it

    async def _until_end(self, session: Session) -> None:
        async with running(self._quit.wait(), _end_of(session)) as ends:
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.is_over = True

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # ── Who uses it ─────────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, console: Console) -> None:
        """A command has it."""
        self.users, self.commands = self.users + 1, self.commands + 1
        self.listeners.append(console)
        if self._alarm is not None:
            self._alarm.cancel()

    def leave(self, console: Console, *, proved: bool) -> None:
        """A command is done. proved: the server has answered it."""
        self.users -= 1
        self.listeners.remove(console)
        if proved:
            self._proved_at = self._now
        self._rest()

    def _rest(self) -> None:
        if self.users:
            return
        if self.is_over:
            self._quit.set()
        elif self.opened.done():
            self._alarm = asyncio.get_running_loop().call_later(self._idle_s, self.retire)

    def retire(self) -> None:
        """It serves those who have it, and then it is closed.

        So it is, too, when somebody writes to it: the server keeps what nobody here reads, and gives it to another
        client of the account when this session has ended.
        """
        self.is_over = True
        self._rest()

    async def is_alive(self, session: Session) -> bool:
        """Does the server still know it? After a silence it is asked; a laptop may have slept meanwhile."""
        if session.is_over or self._now - self._proved_at < UNPROVEN_S:
            return not session.is_over
        try:
            await session.requests.exchange(
                "get", Jid(None, session.jid.domainpart), element("ping", {"xmlns": ns.PING}), PROOF_S
            )
        except XmppshError:
            return False
        self._proved_at = self._now
        return True

    @property
    def idle_s(self) -> float:
        """How long nothing has been heard of its server."""
        return self._now - self._proved_at if self.opened.done() and not self.users else 0.0

    def facts(self) -> dict[str, Any]:
        """It, for `agent status`."""
        return {
            "jid": str(self.jid),
            "since": rfc3339(self.since),
            "commands": self.commands,
            "running": self.users,
            "idle_s": round(self.idle_s, 1),
        }


async def _end_of(session: Session) -> None:
    """Wait until the session has ended by itself, whatever the reason."""
    nothing = session.subscribe()
    try:
        async for _ in nothing:
            pass
    except XmppshError:
        return  # the next command opens another one
    finally:
        nothing.cancel()


class Pool:
    """All of them. idle_s: how long one is kept that nobody uses; on_end: is called when one has ended."""

    def __init__(self, idle_s: float, on_end: Callable[[], None]) -> None:
        self._idle_s, self._on_end = idle_s, on_end
        self._keepers: list[Keeper] = []

    @property
    def keepers(self) -> list[Keeper]:
        """Those that are not closed yet."""
        self._keepers = [one for one in self._keepers if not one.task.done()]
        return self._keepers

    @asynccontextmanager
    async def session(self, account: Account, console: Console, storage: Storage) -> AsyncIterator[BorrowedSession]:
        """The account's session, opened where there is none; raises what made that impossible."""
        options = account.options
        keeper, session = await self._entered(identity(options, storage), account, console)
        borrowed = BorrowedSession(session, options)
        try:
            yield borrowed
        finally:
            borrowed.give_back()
            keeper.leave(console, proved=borrowed.was_answered)

    async def _entered(self, wanted: tuple[object, ...], account: Account, console: Console) -> tuple[Keeper, Session]:
        while True:
            keeper = self._found(wanted, account, console)
            is_warm = keeper.opened.done()
            keeper.enter(console)
            try:
                session = await asyncio.shield(keeper.opened)
                if await keeper.is_alive(session):
                    if is_warm:
                        account.warn_when_insecure()
                        account.warn_of_another_address(session.jid)
                    return keeper, session
            except XmppshError as error:
                keeper.leave(console, proved=False)
                raise copy.copy(error) from None  # each who waits tells of it by himself
            except BaseException:  # cancelled: its client has gone, and must not keep the session in use
                keeper.leave(console, proved=False)
                raise
            keeper.is_over = True
            keeper.leave(console, proved=False)

    def _found(self, wanted: tuple[object, ...], account: Account, console: Console) -> Keeper:
        for one in self.keepers:
            if not one.is_over and one.identity == wanted:
                return one
        keeper = Keeper(wanted, account, console, self._idle_s)
        self._keepers.append(keeper)
        keeper.task.add_done_callback(lambda _: self._on_end())
        return keeper

    async def close(self) -> None:
        """Close all of them; no command has one any more."""
        for one in self.keepers:
            one.retire()
            if not one.opened.done():
                one.task.cancel()
        await asyncio.gather(*(one.task for one in self.keepers), return_exceptions=True)
