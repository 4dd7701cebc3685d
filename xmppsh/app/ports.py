"""What a handler asks of whoever opens its session: the command line, the shell or `--dry-run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Protocol

    from xmppsh.session.ports import Interceptor
    from xmppsh.session.session import Session
    from xmppsh.session.session_port import BulkSessionPort, Reader, RequestsPort, SessionPort
    from xmppsh.xep.room_gaps import RoomGaps

    Plug = Callable[[Session, RoomGaps], Sequence[Interceptor]]

MIB = 1024 * 1024
INBOX_BYTES = 64 * MIB


class DryRunEnds(Exception):
    """Raised by a session of --dry-run at the first wait for an answer: what comes next depends on it. No error."""


def nothing(_session: Session, _gaps: RoomGaps) -> Sequence[Interceptor]:
    """Plug in nothing."""
    return ()


if TYPE_CHECKING:

    class BeforeLogin(Protocol):
        """A stream on which nobody has logged in (session/registration.py)."""

        offered: bool
        """Does the server say that accounts can be made on it?"""

        @property
        def requests(self) -> RequestsPort:
            """The IQ requests."""

    class Sessions(Protocol):
        """Opens the session that a command asks for, or hands out the one that is open already.

        shared: that one; None where each command has its own.
        """

        shared: Session | None

        def one_shot(self, *, heals: bool = False, acks: bool = True) -> AbstractAsyncContextManager[SessionPort]:
            """A session at an address beside the account's own.

            heals: it survives a cut; otherwise it dies with its socket. acks: False where much is asked for and nothing
            else sent: what is answered needs no acknowledgement (XEP-0198), and a server need not keep what it sends.
            """

        def lasting(self, checkpoint: Path | None = None) -> AbstractAsyncContextManager[BulkSessionPort]:
            """A session that survives a cut and is watched by a guard; it gives up after --timeout without a link.

            checkpoint: the file that keeps how far the input is confirmed.
            """

        def before_login(self) -> AbstractAsyncContextManager[BeforeLogin]:
            """A stream to the server of an account that does not exist yet."""

        def reading(
            self, command: str, *kinds: str, inbox_bytes: int = INBOX_BYTES, plug: Plug = nothing
        ) -> AbstractAsyncContextManager[tuple[SessionPort, Reader]]:
            """A lasting session with the stanzas of these kinds that arrive on it, from the first byte after the bind
            on.

            command: whose next run is given what this one could not hand on; inbox_bytes: of what may wait on disk;
            plug: makes what sees every stanza first, beside the witness; who enters a room again tells the gaps of it.
            """
