"""`send --lines` tells of each message as soon as its fate is known, and of a lost session when it is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from xmppsh.commands.collecting import until_lost
from xmppsh.tasks import ended, running, unless

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from xmppsh.commands.send.delivery import Delivery
    from xmppsh.session.session_port import SessionPort

MAX_UNTOLD = 1000  # results that a slow reader has not taken; past it stdin is not read


class Telling:
    """Beside the sending: waits for the fate of what was handed in, and hands it on.

    tell: takes the result of a key, and holds the others back meanwhile; None: nobody asks for them, and only the end
    of the session is watched for, since whoever waits for a line of stdin does not see it.
    """

    def __init__(self, delivery: Delivery, tell: Callable[[str], Awaitable[None]] | None) -> None:
        self._delivery, self._tell = delivery, tell
        self._news, self._told = asyncio.Event(), asyncio.Event()
        delivery.on_news = self._news.set

    async def beside(self, session: SessionPort, sending: Coroutine[Any, Any, None]) -> None:
        """Send, and tell meanwhile; raises what ends either."""
        watch = asyncio.ensure_future(self._watch(session))
        try:
            await unless(watch, asyncio.ensure_future(sending))
        finally:
            await ended(watch)

    async def _watch(self, session: SessionPort) -> None:
        async with running(self._tell_all(session), until_lost(session)) as tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                one.result()

    async def _tell_all(self, session: SessionPort) -> None:
        """Goes on until it is cancelled; raises that something was never acknowledged."""
        delivery = self._delivery
        while True:
            await self._news.wait()
            self._news.clear()
            keys, number = list(delivery.untold), session.sent_count
            if self._tell is None:
                await session.acked(number)
                continue
            if delivery.wait.what == "sent":
                await session.written()
            else:
                await session.through(number, [str(to) for to in delivery.open_recipients])
            for key in filter(delivery.is_settled, keys):
                await self._tell(key)
                delivery.untold.pop(key, None)
                self._told.set()

    async def has_room(self) -> None:
        """Wait until whoever takes the results has caught up, for half of them: lines that leave together cost less."""
        untold = self._delivery.untold
        if self._tell is None or self._delivery.most is None or len(untold) <= MAX_UNTOLD:
            return
        while len(untold) > MAX_UNTOLD // 2:
            self._told.clear()
            await self._told.wait()
