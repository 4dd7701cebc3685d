"""XEP-0410: whoever is in a room for long finds out that it has forgotten them, and only then enters again."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from xmppsh import ns
from xmppsh.errors import DeadlineExceeded, StanzaError
from xmppsh.model import Element, Jid
from xmppsh.session.session import Session
from xmppsh.xep import greeting
from xmppsh.xep.greeting import Rooms
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.reader import read_element

ROOM = Jid.parse("team@rooms.example")
IN = f"<presence xmlns='jabber:client' from='{ROOM}/bob'><x xmlns='{ns.MUC_USER}'><status code='110'/></x></presence>"
PINGS = 3


class Server:
    """A session in the room, whose pings to itself end as the test says. told: there were some of them; again: the room
    was entered again."""

    def __init__(self, end: str | None) -> None:
        self._end, self._pings = end, 0
        self.entered = 0
        self.once, self.again, self.told = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.is_over = self.is_cut = False
        self.inbound = SimpleNamespace(generation=1)

    def send_ahead(self, _: Xml) -> None:
        self.entered += 1
        (self.once if self.entered == 1 else self.again).set()

    def log(self, *_: object) -> None:
        pass

    async def request(self, _: str, to: Jid, payload: Xml) -> Element:
        if ns.PING not in payload:
            return read_element("<iq type='result'/>")
        assert str(to) == f"{ROOM}/bob"
        self._pings += 1
        if self._pings == PINGS:
            self.told.set()
        if self._end == "silence":
            raise DeadlineExceeded("nothing", layer="stanza")
        if self._end is not None:
            raise StanzaError(str(to), self._end)
        return read_element("<iq type='result'/>")


async def entered(monkeypatch: pytest.MonkeyPatch, end: str | None, *, is_lost: bool) -> int:
    """How often the room was entered when so many pings have ended like this, or once it was entered again."""
    monkeypatch.setattr(greeting, "SELF_PING_S", 0)
    monkeypatch.setattr(greeting, "REJOIN_S", 0)
    server = Server(end)
    rooms = Rooms(cast("Session", server), (ROOM,), "bob", None, lambda *_: 0)
    rooms.on_live()
    running = asyncio.ensure_future(rooms.run())
    async with asyncio.timeout(15):
        await server.once.wait()
        rooms.intercept(read_element(IN), lambda: None)
        await (server.again if is_lost else server.told).wait()
    running.cancel()
    return server.entered


@pytest.mark.parametrize(
    "end",
    [None, "service-unavailable", "feature-not-implemented", "item-not-found", "remote-server-not-found",
     "remote-server-timeout", "silence"],
)  # fmt: skip
async def test_who_is_still_in_or_cannot_know_stays(monkeypatch: pytest.MonkeyPatch, end: str | None) -> None:
    assert await entered(monkeypatch, end, is_lost=False) == 1


@pytest.mark.parametrize("end", ["not-acceptable", "not-allowed", "bad-request"])
async def test_who_is_forgotten_enters_again(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    assert await entered(monkeypatch, end, is_lost=True) == 2
