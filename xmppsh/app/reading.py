"""What a lasting session needs to be read: a store for a slow reader, and what it had missed after a cut or a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.session.others import OtherClients
from xmppsh.xep.catch_up import CatchUp
from xmppsh.xep.room_gaps import RoomGaps

if TYPE_CHECKING:
    from xmppsh.app.ports import Plug
    from xmppsh.output.trace import Trace
    from xmppsh.session.inbox_file import InboxFile
    from xmppsh.session.session import Session


class Reading:
    """Made before the session is opened, ended after it was closed.

    plug: the command's own interceptors. trace: gets the XML of both directions.
    """

    def __init__(
        self, session: Session, file: InboxFile, kinds: tuple[str, ...], plug: Plug, trace: Trace | None
    ) -> None:
        self._session, self._file = session, file
        self.inbox = session.inbox(file, *kinds)
        self._others = OtherClients(session)
        self.inbox.keeps_rest = lambda: self._others.are_online
        self._catch_ups = [CatchUp(session, self.inbox, trace)] if "message" in kinds else []
        gaps = RoomGaps(session, self.inbox)
        session.interceptors += [self._others, *self._catch_ups, gaps, *plug(session, gaps)]

    async def begin(self) -> None:
        """Wait until what a dead run was given is the reader's."""
        for one in self._catch_ups:
            await one.through()

    def stop(self) -> None:
        """The session is closed next: what the server keeps for nobody is stored for the next run."""
        self.inbox.stop()
        if self._others.are_online:
            self._session.inbound.let_all_through()

    def end(self, *, is_closed: bool) -> None:
        """Nothing comes any more. is_closed: the server has confirmed the end of the session."""
        self.inbox.close()
        is_complete = all(one.is_complete for one in self._catch_ups)
        self._file.end(is_acked=is_closed and is_complete and not self._session.may_repeat)
