"""`--dry-run`: sessions that print what would be sent and open nothing, and the faults of command line and config.

A handler runs on them as on any other: what it hands in is printed, and the first answer that it waits for ends it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from xmppsh.app.ports import INBOX_BYTES, DryRunEnds, nothing
from xmppsh.config.secrets import find_password, password_setting
from xmppsh.errors import ConnectError, ConnectionLost, SaslError
from xmppsh.model import Credentials, Jid
from xmppsh.session.collecting import Collecting
from xmppsh.session.responder import with_caps
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from xmppsh.app.account import Account
    from xmppsh.app.console import Console
    from xmppsh.app.ports import Plug
    from xmppsh.connection.options import SessionOptions
    from xmppsh.errors import XmppshError
    from xmppsh.model import Element
    from xmppsh.outbox.inbox_store import Arrival
    from xmppsh.outbox.queue import Fate
    from xmppsh.session.bus import WaitingRun
    from xmppsh.session.session import Session
    from xmppsh.session.session_port import Collect, Reader
    from xmppsh.xmlio.build import Xml

NOBODY = Jid("you", "example.org")  # where no account is given


class DryReader:
    """Nothing arrives, so that it ends at once; ends: else it waits, as for the end of a session that is never lost."""

    def __init__(self, *, ends: bool = True) -> None:
        self._ends = ends

    def __aiter__(self) -> DryReader:
        return self

    async def __anext__(self) -> Element:
        if not self._ends:
            await asyncio.Event().wait()
        raise StopAsyncIteration

    def cancel(self) -> None:
        """There is nothing to leave."""

    def stop(self) -> None:
        """The same."""

    def stored(self, most: int) -> list[Arrival]:
        """Nothing is stored."""
        return []

    def took_stored(self, count: int) -> None:
        """Nothing was read."""

    def together(self) -> WaitingRun | None:
        """Nothing waits."""
        return None

    def took(self, run: WaitingRun, count: int, *, keeps_up: bool) -> None:
        """Nothing was read."""

    def keep(self) -> Arrival | None:
        """There is nothing to keep."""
        return None

    def forget(self, arrival: Arrival) -> None:
        """Nothing was kept."""

    def finish(self) -> None:
        """There is nothing to read."""


class DrySession:
    """A session whose stanzas are printed. Numbers count, and every wait for an answer raises DryRunEnds."""

    acked_count = failed_count = restored_position = waiting_count = unproven_count = 0
    is_cut, offered = False, True
    restored_proof: tuple[int, bytes] | None = None
    rooms: Mapping[str, str] = MappingProxyType({})

    def __init__(self, account: Account, console: Console) -> None:
        self._account, self._console = account, console
        self._lines: list[str] = []
        self.sent_count = 0

    @property
    def requests(self) -> DrySession:
        """It asks by itself."""
        return self

    @property
    def jid(self) -> Jid:
        """The account, or an example where none is given."""
        return self._account.settings.jid or NOBODY

    @property
    def options(self) -> SessionOptions:
        """As for a session that is opened."""
        return self._account.options_for(self.jid, Credentials())

    @property
    def cause(self) -> XmppshError:
        """It was never there."""
        return ConnectionLost("--dry-run opens no connection")

    @property
    def open_fates(self) -> dict[int, Fate]:
        """None has one."""
        return {}

    def send(
        self, stanza: Xml, *, kind: str = "", stanza_id: str = "", to: str = "", position: int | None = None
    ) -> int:
        """Keep it to be printed at the next wait; returns its number."""
        self._lines.append(stanza)
        self.sent_count += 1
        return self.sent_count

    def prove(self, position: int, digest: bytes) -> None:
        """Nothing is kept."""

    def send_batch(self, messages: list[bytes], position: int | None = None) -> None:
        """The same for many."""
        self._lines += [message.decode().lstrip() for message in messages]
        self.sent_count += len(messages)

    def broadcast_presence(self, availability: Xml) -> int:
        """The same."""
        return self.send(with_caps(availability))

    async def flush(self) -> None:
        """Print what was handed in."""
        lines, self._lines = self._lines, []
        for line in lines:
            await self._console.stdout.write(line + "\n")

    async def wait_for_window(self, window: int) -> None:
        """There is always room."""
        await self.flush()

    async def wait_for_room(self, window: int, wanted: int) -> int:
        """The same."""
        await self.flush()
        return wanted

    async def acked(self, number: int, timeout_s: float | None = None) -> None:
        """Nobody acknowledges."""
        raise DryRunEnds

    async def through(self, number: int, addresses: Iterable[str]) -> None:
        """The same."""
        raise DryRunEnds

    async def written(self) -> None:
        """Nothing is written."""
        raise DryRunEnds

    async def fence(self, addresses: Iterable[str]) -> bool:
        """Nobody answers."""
        raise DryRunEnds

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Print the IQ, with an id that tells that it is made when it is sent."""
        self.send(element("iq", {"type": iq_type, "to": None if to is None else str(to), "id": "…"}, payload))
        raise DryRunEnds

    def collecting(self, query_id: str) -> AbstractContextManager[list[Element]]:
        """Nothing arrives."""
        return nullcontext([])

    def subscribe(self, *kinds: str) -> DryReader:
        """Nothing arrives; without kinds, it waits for the end of the session."""
        return DryReader(ends=bool(kinds))

    def beside(self, *work: tuple[Reader, Collect]) -> Collecting:
        """As on a session that is there."""
        return Collecting(*work)

    def bounces(self) -> DryReader:
        """Nothing comes back."""
        return DryReader()

    def receipts(self) -> DryReader:
        """Nobody confirms."""
        return DryReader()


class DrySessions:
    """Opens none. shared: that of the shell, in which --dry-run can be given to a single command."""

    def __init__(self, account: Account, console: Console, shared: Session | None) -> None:
        self.shared = shared
        self._account, self._console = account, console

    @asynccontextmanager
    async def one_shot(self, *, heals: bool = False, acks: bool = True) -> AsyncIterator[DrySession]:
        """A session that prints."""
        session = DrySession(self._account, self._console)
        try:
            if self.shared is None:
                await check_plan(self._account, self._console)
            yield session
        finally:
            await session.flush()

    @asynccontextmanager
    async def lasting(self, checkpoint: Path | None = None) -> AsyncIterator[DrySession]:
        """The same."""
        async with self.one_shot() as session:
            yield session

    @asynccontextmanager
    async def before_login(self) -> AsyncIterator[DrySession]:
        """The same."""
        async with self.one_shot() as session:
            yield session

    @asynccontextmanager
    async def reading(
        self, command: str, *kinds: str, inbox_bytes: int = INBOX_BYTES, plug: Plug = nothing
    ) -> AsyncIterator[tuple[DrySession, DryReader]]:
        """The same, with nothing to read."""
        async with self.one_shot() as session:
            yield session, DryReader()


def check_account(account: Account, console: Console) -> None:
    """Raise what logging in would fail with before it dials: UsageError, ConfigError, NoInputError.

    What would be sent is known without an account, too. There need be no password, and nobody is asked for it:
    a --password-command may ask its user, and is not run.
    """
    from xmppsh.net.tls import client_context

    settings = account.settings
    if settings.jid is None:
        return
    options = account.options_for(account.jid, Credentials())
    if not settings.anonymous and settings.cert is None and password_setting(settings) != "password_command":
        with suppress(SaslError):
            find_password(settings, account.jid, console.env, may_prompt=False)
    if options.tls != "off":
        client_context(options.policy, direct=False)


async def check_plan(account: Account, console: Console) -> None:
    """Raise what is wrong with where would be dialled; with -v that is shown on stderr, or why nobody knows it."""
    from xmppsh.app.candidates import candidates, plan_of

    settings = account.settings
    if settings.jid is None or not (settings.verbose or settings.tls == "off"):
        return  # --tls off alone is refused for some places, and without asking anybody for them
    try:
        plan = await plan_of(account, console)
    except ConnectError as error:
        console.log(1, str(error))
        return
    if settings.verbose:
        for candidate in candidates(account, plan):
            console.write_error(candidate.text() + "\n")
