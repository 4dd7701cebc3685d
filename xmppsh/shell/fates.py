"""What became of what was typed: a message of ours appears with its fate, and one that is not acknowledged is named."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xmppsh.errors import XmppshError
from xmppsh.shell.lines.failure import placed, report, with_text
from xmppsh.shell.shown.conversation import stamp_of
from xmppsh.tasks import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from xmppsh.app.app import App
    from xmppsh.session.session import Session
    from xmppsh.shell.lines.sent import Place
    from xmppsh.shell.shown.conversation import Conversation
    from xmppsh.shell.shown.marks import Marks

NOW_S = 0.001  # for what has its fate already
OUTBOX = "xmppsh outbox retry settles them, and sends what did not arrive"
REPEATS_S = 3.0  # for a room elsewhere to say a message that our server has
SOON_S = 0.7  # a message that is not acknowledged by then is shown as one that waits, and again later


class Fates:
    """Watches acknowledgements.

    conversation: None where what was typed stands on the screen already; marks: who tells that a message came further
    than to the server; show: prints above the prompt; on_change: the toolbar has something new to tell.
    round_trip_ms: how long the last acknowledgement took, of a stanza sent alone.
    """

    def __init__(
        self,
        app: App,
        session: Session,
        conversation: Conversation | None,
        marks: Marks,
        show: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        self.round_trip_ms: float | None = None
        self._app, self._session, self._conversation = app, session, conversation
        self._marks, self._show, self._on_change = marks, show, on_change
        self._tasks: set[asyncio.Future[object]] = set()
        self._unseen: set[asyncio.Future[None]] = set()  # messages that were typed and do not stand on the screen yet
        self._to_rooms: dict[tuple[str, str], asyncio.Future[str]] = {}  # room and id → what became of it there
        self._last: asyncio.Future[None] | None = None  # the one that was typed last is on the screen
        self._last_settled: asyncio.Future[None] | None = None  # and so is its fate

    def watch(self, place: Place | None, count: int = 1) -> None:
        """So many stanzas were sent just now; where their acks do not come, that is told of by their place."""
        self._start(self._wait(self._session.sent_count, place, count))

    def said(self, stanza_id: str, partner: str, words: str, place: Place | None) -> None:
        """A message was sent. place: of its line; None where somebody else tells that it was not acknowledged."""
        self._start(self._show_fate(self._session.sent_count, stanza_id, partner, words, place))

    def said_in_room(self, stanza_id: str, room: str, words: str, place: Place | None) -> None:
        """A message was sent to a room, which shows it by saying it to us as well; the same."""
        self._start(self._show_unsaid(self._session.sent_count, stanza_id, room, words, place))

    def told(self, room: str, stanza_id: str, how: str = "said") -> None:
        """A message to a room is there, or `came back`."""
        answer = self._to_rooms.get((room, stanza_id))
        if answer is not None and not answer.done():
            answer.set_result(how)

    def _start(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, number: int, place: Place | None, count: int = 1) -> bool:
        alone, began = self._session.unacked_count == 1, time.perf_counter()
        try:
            await self._session.acked(number, since=number - count)
        except XmppshError as error:
            if place is not None:
                report(self._app, placed(error, place.label))
            return False
        finally:
            self._on_change()
        if alone:
            self.round_trip_ms = (time.perf_counter() - began) * 1000
        return True

    async def _show_fate(self, number: int, stanza_id: str, partner: str, words: str, place: Place | None) -> None:
        conversation = self._conversation
        if conversation is None:
            await self._wait(number, place)
            return
        stamp = stamp_of(self._app.console.now())
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before, self._last = self._last, seen
        self._unseen.add(seen)

        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        earlier, self._last_settled = self._last_settled, settled

        async def show(mark: str) -> None:
            if before is not None:
                await asyncio.wait({before})  # what was typed first stands first
            if earlier is not None and mark not in ("waits", "failed"):
                await asyncio.wait({earlier})  # and so does what was acknowledged first, however long it took
            self._show(conversation.own(partner, stamp, words, mark, stanza_id))
            if not seen.done():
                seen.set_result(None)

        acked = asyncio.ensure_future(self._wait(number, place))
        try:
            done, _ = await asyncio.wait({acked}, timeout=SOON_S)
            if not done:
                await show("waits")
            if await acked:
                reached = await self._marks.soon(stanza_id, partner) if done else self._marks.of(stanza_id)
                await show(reached or "acked")
            else:
                await show("failed")
                if await self._late(number):
                    await show("acked")
        finally:
            self._unseen.discard(seen)
            seen.cancel()
            settled.cancel()
            await ended(acked)

    async def _show_unsaid(self, number: int, stanza_id: str, room: str, words: str, place: Place | None) -> None:
        """Show what a room does not say soon, and what it never will. What it says later is shown as that."""
        conversation, stamp = self._conversation, stamp_of(self._app.console.now())
        if conversation is None:
            await self._wait(number, place)
            return
        key, answer = (room, stanza_id), asyncio.get_running_loop().create_future()
        self._to_rooms[key], acked = answer, asyncio.ensure_future(self._wait(number, place))
        try:
            await asyncio.wait({answer}, timeout=SOON_S)
            is_lost = acked.done() and not acked.result()
            if acked.done() and not is_lost:
                await asyncio.wait({answer}, timeout=REPEATS_S)
            if not answer.done() and not is_lost:
                self._show(conversation.own(room, stamp, words, "waits", stanza_id))
            await asyncio.wait({answer, acked}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and await acked:
                conversation.mark(room, {stanza_id}, "acked")
                await asyncio.wait({answer}, timeout=REPEATS_S)
            how = answer.result() if answer.done() else "waits" if acked.result() else "failed"
            if how in ("came back", "failed"):
                self._show(conversation.own(room, stamp, words, how, stanza_id))
        finally:
            del self._to_rooms[key]
            await ended(acked)

    async def _late(self, number: int) -> bool:
        """Was a message acknowledged after all, once the cut was over?"""
        session = self._session
        while not session.is_over and session.outbound.queue.settled_up_to < number:
            with suppress(XmppshError):
                await session.acked(number, since=number - 1)
                return True
        return False

    async def shown(self) -> None:
        """Wait until everything that was typed stands on the screen, which is soon."""
        self._marks.hurry()
        if self._unseen:
            await asyncio.wait(self._unseen)

    async def leave(self, limit_s: float) -> None:
        """Give what is on the way so long. Raises what tells that messages were not confirmed, and where they are."""
        session = self._session
        number = session.sent_count  # what the shell asks for by itself meanwhile is not waited for
        if session.is_cut and session.unacked_count:
            self._app.console.warn(f"the connection is cut; {limit_s:.0f} s are left for it to come back")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await session.acked(number, limit_s, since=0)
            await session.acked(number, NOW_S, since=0)
        except XmppshError as error:
            queue = session.outbound.queue
            count = sum(item.count for item in (*queue, *queue.lost) if item.kind == "message")
            if count == 0 or session.outbound.journal is None:
                raise
            what = "1 message is" if count == 1 else f"{count} messages are"
            raise with_text(error, f"{what} not confirmed, and kept in the outbox: {session.cause}", OUTBOX) from error
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Show nothing more, unless the session has ended: then everything has its fate at once."""
        tasks = list(self._tasks)
        for room, stanza_id in self._to_rooms:
            self.told(room, stanza_id)
        if not self._session.is_over:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
