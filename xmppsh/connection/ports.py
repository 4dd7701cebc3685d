"""What a connection asks of its owner, and tells it: the session, which has the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from xmppsh.errors import XmppshError
    from xmppsh.model import Jid
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.protocol.events import ResumeFailed, SessionEstablished
    from xmppsh.protocol.sm import StreamManagement


class StreamOwner(Protocol):
    """The owner of a connection over all its streams."""

    jid: Jid  # the address to bind, and the one that was bound

    @property
    def in_flight(self) -> int:
        """How many stanzas are written and not acknowledged."""

    @property
    def is_reading(self) -> bool:
        """Is the link read? While the readers lag it is not, and missing acks mean nothing."""

    def backlog_s(self) -> float:
        """How long the server needs for what is in flight, in seconds."""

    def may_heal(self, error: XmppshError | None, *, resumed: bool) -> bool:
        """May another stream follow the one that ended with this error? resumed: it was a resumed one."""

    def may_bind_anew(self, sm_id: str) -> bool:
        """May a session that never acknowledges again be given up for a new one?"""

    async def before_connecting(self) -> None:
        """Another try is about to be made: wait if something else has to be done first."""

    def on_bound(self, jid: Jid) -> None:
        """A session that may outlive its socket is about to begin; raises IoError where that cannot be stored."""

    def on_ack_due(self, h: int) -> None:
        """A `<resume h>` is written next: what it acknowledges is stored first; raises IoError where it cannot be."""

    def on_resumed(self, acked: int, sm_id: str) -> bool:
        """The session was resumed; the server has handled `acked` more stanzas than it had acknowledged.

        Returns False when what is in flight beyond that cannot be settled on this stream: it is closed, and the
        session asked for once more.
        """

    def on_new_session(
        self,
        event: SessionEstablished,
        failed: ResumeFailed | None,
        former: StreamManagement | None,
        *,
        in_time: bool,
        alone: bool,
    ) -> None:
        """Another session began.

        former: the counters of the one before, which is lost; failed: how resuming ended, None when it was not asked
        for; in_time: soon enough to prove that the former stream has ended; alone: no older request to resume was left
        without an answer.
        """

    def on_live(self) -> None:
        """Stanzas may flow on the new stream."""

    def on_event(self, event: SessionEvent) -> None:
        """What the stream in use tells."""

    def on_idle(self) -> None:
        """Nothing was heard for a while: ask the server whether it is there."""

    def on_cut(self) -> None:
        """The stream ended, and another one is tried for."""

    def on_over(self, error: XmppshError | None) -> None:
        """The stream ended, and none will follow."""
