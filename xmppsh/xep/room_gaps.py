"""Back in a room that had lost us: what was said there meanwhile comes first, from the room's archive (XEP-0313 §5).

A room without an archive may repeat the last messages to those who enter (XEP-0045 §7.2.13), which is asked for, too.
What the reader has had already is recognised by the room's stanza-id (XEP-0359), or by its sender and id.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from xmppsh.errors import ConnectionLost, XmppshError
from xmppsh.model import Jid
from xmppsh.session.clock import ahead
from xmppsh.session.ports import Interceptor
from xmppsh.session.repeats import stanza_id
from xmppsh.xep.muc import SELF, statuses
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Element
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.session import Session

MAX_HELD = 400  # stanzas that come while the archive is asked; Prosody keeps 500 unacknowledged
UNNOTICED_S = 120.0  # a link may have been dead for that long before it is cut

Signs = set[tuple[str, str]]  # of messages: the archive and the id there, the sender and the id of the stanza


class RoomGaps(Interceptor):
    """Holds back what arrives from the moment on when a room lets us in again, until its archive has answered.

    inbox: the reader; what it knows already is not missing.
    """

    def __init__(self, session: Session, inbox: Inbox) -> None:
        self._session, self._inbox = session, inbox
        self._began = datetime.now(UTC)
        self._cut_at = time.monotonic()
        self._is_cut = False
        self._out: dict[str, float] = {}  # rooms that we are about to enter again: since when we may have been out
        self._entered: list[str] = []  # rooms that have let us in again
        self._told: set[str] = set()  # rooms of which it is said that something may be missing
        self._woken = asyncio.Event()

    @property
    def wants_messages(self) -> bool:
        """It looks at none."""
        return False

    def returns_to(self, room: Jid, out_s: float | None) -> int:
        """A room is entered again (Rooms.on_return)."""
        now, name = time.monotonic(), str(room.bare)
        if name in self._entered:
            self._done(name)
        since = self._out.setdefault(name, self._cut_at if out_s is None else now - out_s)
        return math.ceil(now - since + UNNOTICED_S)

    async def before_connecting(self) -> None:
        """The link is cut."""
        if not self._is_cut:
            self._is_cut, self._cut_at = True, time.monotonic()

    def on_live(self) -> None:
        """What a cut has interrupted goes on."""
        self._is_cut = False
        if self._entered:
            self._woken.set()

    def intercept(self, stanza: Element, handled: Callable[[], None]) -> bool:
        """Learn from our own presence in a room that we are in."""
        room = stanza.sender.partition("/")[0]
        is_available = stanza.kind == "presence" and "type" not in stanza.attributes
        if is_available and room in self._out and SELF in statuses(stanza):
            del self._out[room]
            self._entered.append(room)
            self._session.inbound.hold_back(self, MAX_HELD)
            self._woken.set()
        return False

    async def run(self) -> None:
        """Ask each room that has let us in again."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            # What a cut interrupts goes on with the next stream, or begins anew in the next session.
            with suppress(ConnectionLost):
                for room in [*self._entered]:
                    await self._fill(room)
                    self._done(room)

    def _done(self, room: str) -> None:
        self._entered = [one for one in self._entered if one != room]
        if not self._entered:
            self._session.inbound.let_through(self)

    async def _fill(self, room: str) -> None:
        """Give the reader what it lacks, and take what it knows out of what is held back."""
        known = {sign for xml in self._inbox.having(room) for sign in _signs(xml, room)}
        try:
            known |= await self._from_archive(room, known)
        except ConnectionLost:
            raise
        except XmppshError as error:
            self._tell(room, error)
        self._session.inbound.drop_held(lambda one: bool(known & _signs(one.xml, room)))

    async def _from_archive(self, room: str, known: Signs) -> Signs:
        from xmppsh.xep.history import Wanted, as_sent, forwards

        ids = [stanza_id(xml, room) for xml in self._inbox.having(room) if _is_of(xml, room)]
        newest = next(filter(None, reversed(ids)), None)
        address, given = Jid.parse(room), set[tuple[str, str]]()
        since = None if newest is not None else (await ahead(self._session, self._session.jid)).earliest(self._began)
        wanted = Wanted(room=address, since=since)
        async with aclosing(forwards(self._session, wanted, newest)) as pages:
            async for page in pages:
                sent = (as_sent(one, address, room) for one in page.messages)
                missing = [one for one in sent if one is not None and not known & _signs(one.xml, room)]
                given.update(*(_signs(one.xml, room) for one in missing))
                self._session.inbound.put_before(missing)
        return given

    def _tell(self, room: str, why: XmppshError) -> None:
        if room not in self._told:
            self._told.add(room)
            self._session.log(0, f"of what {room} said meanwhile only what it repeats is shown, not its archive: {why}")


def _is_of(xml: str, room: str) -> bool:
    root = tree(xml)
    return root.get("type") == "groupchat" and root.get("from", "").partition("/")[0] == room


def _signs(xml: str, room: str) -> Signs:
    """By what a message of the room is recognised; nothing for any other stanza."""
    if "groupchat" not in xml or not _is_of(xml, room):
        return set()
    root = tree(xml)
    signs = {(room, stanza_id(xml, room)), (root.get("from", ""), root.get("id", ""))}
    return {(by, name) for by, name in signs if name}
