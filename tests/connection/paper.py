"""A session on streams of paper: its test says what the server sends, when the link breaks and when it is back."""

import asyncio
from collections.abc import Callable
from typing import Any

from protocol.playbook import JULIET, NS, PASSWORD, feed, stream_at

from xmppsh.connection.options import SessionOptions
from xmppsh.errors import ConnectionLost
from xmppsh.model import Credentials
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import Disconnect, Write
from xmppsh.protocol.sm import StreamManagement
from xmppsh.protocol.stream import Stream
from xmppsh.protocol.table import State
from xmppsh.session.phase import Phase
from xmppsh.session.session import Session
from xmppsh.witness.announcer import Announcer
from xmppsh.xmlio.build import Xml


def inbound(number: int) -> str:
    return f"<message id='in{number}' from='romeo@example.net'/>"


def ack(h: int) -> str:
    return f"<a xmlns='{NS['sm']}' h='{h}'/>"


class PaperLink:
    """What a session asks of a link."""

    tls_version = "TLSv1.3"

    def hold_reading(self, who: str, held: bool) -> None: ...


class PaperDriver:
    """A driver without a link: what is written is kept; what the server says is fed."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.link = stream, PaperLink()
        self.on_event: Callable[[Any], None] = lambda _: None
        self.written = b""

        self._disconnected = False

    def carry_out(self, outputs: Any) -> None:
        for output in outputs:
            if isinstance(output, Write):
                self.written += b"" if self._disconnected else output.data
            elif isinstance(output, Disconnect):
                self._disconnected = True
            else:
                self.on_event(output)

    def hear(self, text: str) -> None:
        self.carry_out(self.stream.receive(text.encode()))

    def drop(self, reason: str) -> None:
        self.carry_out(self.stream.handle(ev.LinkLost(reason)))

    async def close(self, wait_s: float, hurry: Any = None) -> None:
        self.carry_out(self.stream.close())


class Cut(Session):
    """A session that never dials: its test gives it streams."""

    def __init__(self, journal: Any = None) -> None:
        options = SessionOptions(JULIET, Credentials(PASSWORD), heals=True, resumable_s=120)
        super().__init__(options, lambda *_: None, journal=journal)
        self.interceptors.append(Announcer(self))

    def bound(self, failed_h: int | None = None, *, start: int = 0, sm_id: str = "sm1") -> PaperDriver:
        """A new session; after a failed resumption when there was one before."""
        stream, _ = stream_at(State.BOUND, resumable_s=120)
        (told,) = feed(stream, f"<enabled xmlns='{NS['sm']}' resume='true' id='{sm_id}'/>")
        assert stream.sm is not None
        resumption, stream.sm = stream.sm.resumption, StreamManagement(start)
        stream.sm.resumption = resumption
        failed = ev.ResumeFailed(failed_h, "item-not-found") if self.connection.sm is not None else None
        driver = self._live(stream, told, failed)
        self.inbound._high_water = start  # as long as the session lives: nothing of it has come yet
        return driver

    def resumed(self, h: int, sm_id: str = "sm1") -> PaperDriver:
        stream, _ = stream_at(State.RESUMING, resume=self.connection.sm)
        (told,) = feed(stream, f"<resumed xmlns='{NS['sm']}' previd='{sm_id}' h='{h}'/>")
        return self._live(stream, told, None)

    def _live(self, stream: Stream, told: Any, failed: ev.ResumeFailed | None) -> PaperDriver:
        driver = PaperDriver(stream)
        self.connection._on_live(driver, told, failed)  # type: ignore[arg-type]
        return driver

    def cut(self) -> None:
        """The link breaks; nobody heals it but the test."""
        assert self.connection.driver is not None
        self.connection.driver.stream.handle(ev.LinkLost("reset"))
        self.connection._heal = lambda _: asyncio.Event().wait()  # type: ignore[assignment, return-value, method-assign]
        self.connection.on_ended(ConnectionLost("reset"))
        assert self.phase is Phase.LINGERING

    def message(self, stanza_id: str) -> int:
        xml = Xml(f"<message id='{stanza_id}'/>")
        return self.send(xml, kind="message", stanza_id=stanza_id, to="romeo@example.net")

    def fates(self) -> dict[str, str]:
        queue = self.outbound.queue
        return {entry.stanza_id: str(entry.fate) for entry in (*queue, *queue.lost) if entry.stanza_id}
