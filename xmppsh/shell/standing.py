"""How the session stands, as the shell tells it: the toolbar, and a command that a cut holds up."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from xmppsh.shell.shown.toolbar import Facts, toolbar

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.formatted_text import StyleAndTextTuples

    from xmppsh.session.session import Session
    from xmppsh.shell.fates import Fates
    from xmppsh.shell.lines.interpreter import Interpreter
    from xmppsh.shell.shown.conversation import Conversation
    from xmppsh.shell.shown.marks import Marks
    from xmppsh.shell.shown.people import People

TICK_S = 0.25  # how soon the toolbar tells of a cut
HELD_UP = "xmppsh: the connection is cut, and this waits for it: {cause}\n  try: Ctrl-C, which stops it\n"


class Standing:
    """tell: prints sentences above the prompt.

    command: the line that is carried out, None while one is typed.
    """

    def __init__(
        self,
        session: Session,
        interpreter: Interpreter,
        people: People,
        conversation: Conversation,
        fates: Fates,
        tell: Callable[[str], None],
    ) -> None:
        self.command: asyncio.Task[None] | None = None
        self._session, self._interpreter, self._people, self._fates = session, interpreter, people, fates
        self._conversation, self._tell = conversation, tell
        self._cut_at: float | None = None
        self._waiting: asyncio.Task[None] | None = None  # the command that waits for a cut to end
        self._is_told = False  # of that

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Tell when there is something new: what is on the way, and the seconds while the link is cut."""
        told: object = None
        while True:
            session, now = self._session, time.monotonic()
            self._cut_at = (self._cut_at or now) if session.is_cut else None
            counts = (session.sent_count, session.unacked_count, self._conversation.typing_changes)
            tells = (*counts, session.jid, self._cut_at and int(4 * now))
            if tells != told:
                told = tells
                on_change()
            self._tell_of_waiting()
            await asyncio.sleep(TICK_S)

    def _tell_of_waiting(self) -> None:
        """No toolbar stands there while a command runs. One that ends before the next look has not waited."""
        before, self._waiting = (
            self._waiting,
            self.command if self._session.is_cut and self._interpreter.command else None,
        )
        if self._waiting is not before:
            self._is_told = False
        elif self._waiting is not None and not self._is_told:
            self._is_told = True
            self._tell(HELD_UP.format(cause=self._session.cause))

    def toolbar(self, marks: Marks, columns: int) -> StyleAndTextTuples:
        """The line at the bottom."""
        session, people, conversation = self._session, self._people, self._conversation
        target = self._interpreter.target
        facts = Facts(
            str(session.jid),
            session.tls_version,
            session.mechanism,
            session.sent_count,
            session.unacked_count,
            None if self._cut_at is None else time.monotonic() - self._cut_at,
            session.connection.next_try_s,
            self._fates.round_trip_ms,
            {people.short(bare): count for bare, count in reversed(conversation.unread.items())},
            next(reversed(conversation.typing.values()), None),
            target is not None,
            None if target is None else marks.of_last(str(target.bare)),
            session.outbound.journal is not None,
        )
        return toolbar(facts, columns)
