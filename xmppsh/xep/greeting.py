"""What a lasting session says again whenever it begins anew: it wants carbons (XEP-0280), it is in its
rooms (0045), it watches a node (0060)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import ConnectionLost, DeadlineExceeded, StanzaError, XmppshError
from xmppsh.protocol.conditions import OUT_OF_REACH, UNKNOWN
from xmppsh.session.ports import Interceptor
from xmppsh.tasks import running
from xmppsh.xep.carbons import enabling
from xmppsh.xep.muc import (
    CREATED,
    how_outside,
    is_destroyed,
    is_subject,
    join_presence,
    leave_presence,
    new_nick,
    self_presence,
    statuses,
    why_no_room,
)
from xmppsh.xep.pubsub import NotSubscribed, subscribe
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Element, Jid
    from xmppsh.session.session import Session

SELF_PING_S = 300.0  # XEP-0410 §3: at times, to find out that a room has forgotten us
REJOIN_S = 30.0  # after a room has thrown us out or refused us


class Greeting(Interceptor):
    """Acts once for each session, not for each link: what a resumed session had said is still true."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._begun = asyncio.Event()
        self._generation = 0

    def on_live(self) -> None:
        """A stream came to life; is its session another one?"""
        if self.session.inbound.generation != self._generation:
            self._generation = self.session.inbound.generation
            self._begun.set()

    async def run(self) -> None:
        """Greet, as often as a session begins."""
        while True:
            await self._begun.wait()
            self._begun.clear()
            try:
                await self.greet()
            except (ConnectionLost, DeadlineExceeded):
                continue  # the next session greets again

    @property
    def wants_messages(self) -> bool:
        """The answers are IQ."""
        return False

    async def greet(self) -> None:
        """Say it."""
        raise NotImplementedError


class Inactive(Interceptor):
    """Says on each stream that nobody looks, so that the server may hold back what can wait (XEP-0352)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def wants_messages(self) -> bool:
        """There is no answer."""
        return False

    def on_live(self) -> None:
        """A stream came to life, and the server takes us for active (§5.1)."""
        driver = self._session.connection.driver
        if driver is not None:
            driver.carry_out(driver.stream.say_inactive())


class Carbons(Greeting):
    """Asks for copies; a server that has none is no error."""

    async def greet(self) -> None:
        """Ask."""
        try:
            await self.session.request("set", None, enabling())
        except StanzaError as error:
            self.session.log(1, f"the server sends no carbons: {error}")


class Watching(Greeting):
    """Subscribes this very session to a node (XEP-0060).

    subscribed: has the state of the subscription once there is one for the first time, or the reason why not.
    """

    def __init__(self, session: Session, service: Jid, node: str) -> None:
        super().__init__(session)
        self.subscribed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._service, self._node = service, node

    async def greet(self) -> None:
        """Subscribe."""
        try:
            state = await subscribe(self.session, self._service, self._node, self.session.jid)
        except (StanzaError, NotSubscribed) as error:
            if self.subscribed.done():
                return self.session.log(0, f"{self._node} is no longer watched: {error}")
            return self.subscribed.set_exception(error)
        if not self.subscribed.done():
            self.subscribed.set_result(state)


class Rooms(Greeting):
    """Joins rooms, and again when a session or a room has lost us.

    on_return: is told a room that is entered again next, and for how many seconds we may have been out of it, None: as
    long as the session is lost; gives the seconds for which the room should repeat what was said (xep/room_gaps.py).
    joined: is done once we are in all of them for the first time, or has the reason why not.
    """

    def __init__(
        self,
        session: Session,
        rooms: tuple[Jid, ...],
        nick: str,
        password: str | None,
        on_return: Callable[[Jid, float | None], int],
    ) -> None:
        super().__init__(session)
        self._on_return = on_return
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._nick, self._password = nick, password
        self._in: dict[Jid, str | None] = {room.bare: None for room in rooms}  # our nick in each; None: not in
        self._joining: set[Jid] = set()  # the rooms whose subject has not come yet
        if not self._in:
            self.joined.set_result(None)

    async def run(self) -> None:
        """Join, and ask now and then whether we are still in."""
        if not self._in:
            return
        async with running(self._ping_for_ever()):
            await super().run()

    async def greet(self) -> None:
        """Join all of them."""
        for room in self._in:
            self._in[room] = None
            self._join(room, self._on_return(room, None) if self.joined.done() else None)
        await asyncio.gather(*map(self._doubt, self._in))

    async def _doubt(self, room: Jid) -> None:
        """What is no room never answers; that is told before the first time that we are in all of them."""
        if self.joined.done():
            return
        why = await why_no_room(self.session, room)
        if why is not None and self._in[room] is None and not self.joined.done():
            self.joined.set_exception(why)

    def is_own(self, address: str | None) -> bool:
        """Is it our own address in one of the rooms?"""
        return any(name is not None and address == f"{room}/{name}" for room, name in self._in.items())

    def _join(self, room: Jid, seconds: int | None) -> None:
        """seconds: for which the room should repeat what was said."""
        self._joining.add(room)
        self.session.send_ahead(join_presence(room, self._nick, self._password, seconds=seconds))

    @property
    def wants_messages(self) -> bool:
        """Only until each room has said its subject."""
        return bool(self._joining)

    def intercept(self, stanza: Element, handled: Callable[[], None]) -> bool:
        """Learn from a room's presence whether we are in; everybody else sees it, too.

        The subject with which a room ends our joining (§7.2.15) is nothing that somebody says now.
        """
        room = next((one for one in self._in if stanza.sender.partition("/")[0] == str(one)), None)
        if room is None:
            return False
        if stanza.kind == "presence":
            self._learn(room, stanza)
        elif stanza.kind == "message" and room in self._joining and is_subject(stanza):
            self._joining.discard(room)
            handled()
            return True
        return False

    def _learn(self, room: Jid, stanza: Element) -> None:
        try:
            name = self_presence(stanza, room, self._nick)
        except XmppshError as error:
            if not self.joined.done():
                self.joined.set_exception(error)
            elif CREATED in statuses(stanza):  # our coming back has made it anew
                self.session.send_ahead(leave_presence(room, self._nick))
                self._is_gone(room, str(error))
            else:
                self._lost(room, str(error), 0.0)
            return
        if name is not None:
            self._in[room] = name
            if not self.joined.done() and all(self._in.values()):
                self.joined.set_result(None)
        elif stanza.attributes.get("type") == "unavailable" and stanza.sender == f"{room}/{self._in[room]}":
            if (renamed := new_nick(stanza)) is not None:
                self._in[room] = renamed
            elif is_destroyed(stanza):
                self._is_gone(room, f"{room}: {how_outside(stanza)}")
            else:
                self._lost(room, f"{room}: {how_outside(stanza)}", 0.0)

    def _is_gone(self, room: Jid, why: str) -> None:
        """Who joined it again would make it."""
        del self._in[room]
        self._joining.discard(room)
        self.session.log(0, f"{why}; it is not joined again")

    def _lost(self, room: Jid, why: str, out_s: float) -> None:
        if room not in self._in:
            return
        self._in[room] = None
        self.session.log(0, f"{why}; joining again in {REJOIN_S:.0f} s")
        asyncio.get_running_loop().call_later(REJOIN_S, self._join_again, room, out_s + REJOIN_S)

    def _join_again(self, room: Jid, out_s: float) -> None:
        if not self.session.is_over and not self.session.is_cut and self._in.get(room, "") is None:
            self._join(room, self._on_return(room, out_s))

    # ── XEP-0410 ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ping_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SELF_PING_S)
            for room, name in list(self._in.items()):
                if name is not None and not await self._is_in(room, name):
                    self._lost(room, f"the room {room} has forgotten us", SELF_PING_S)

    async def _is_in(self, room: Jid, name: str) -> bool:
        try:
            await self.session.request("get", room.with_resource(name), element("ping", {"xmlns": ns.PING}))
        except StanzaError as error:
            # §3.3: of a client that knows no pings, so we are in; and where the room is out of reach, nobody knows.
            return error.condition in (*UNKNOWN, "item-not-found", *OUT_OF_REACH)
        except XmppshError:
            return True  # nobody knows; the next one tells
        return True
