"""A command that reads by an inbox, in a process that may die: what a test of the inbox is played with."""

import asyncio
import os
from pathlib import Path

from xmppsh.errors import IoError
from xmppsh.model import Element
from xmppsh.outbox.lately import Lately
from xmppsh.outbox.owner import Owner
from xmppsh.session.bus import Bus
from xmppsh.session.inbox import Inbox
from xmppsh.session.inbox_file import InboxFile
from xmppsh.session.repeats import Repeats
from xmppsh.xmlio.arriving import ArrivalReader
from xmppsh.xmlio.reader import Run, read_element
from xmppsh.xmlio.splitter import Limits

ME = "romeo@example.net"


def message(number: int, by: str = ME) -> Element:
    return read_element(
        f"<message id='m{number}'><body>{number}</body><stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='s{number}'/>"
        "</message>"
    )


def run_of(*numbers: int) -> Run:
    """Messages that came together."""
    reader = ArrivalReader(Limits())
    reader.feed_until_error(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
    reader.by_the_run = True
    items, _ = reader.feed_until_error("".join([message(0).xml, *(message(one).xml for one in numbers)]).encode())
    assert isinstance(items[-1], Run)
    return items[-1]


class Command:
    """A run of a command that reads by an inbox: what was acknowledged, what its bus and its inbox told."""

    def __init__(self, folder: Path, max_bytes: int = 1_000_000) -> None:
        self.handled: list[int] = []
        self.troubles: list[IoError] = []
        self.notes: list[str] = []
        self.bus = Bus(
            lambda token, count: self.handled.extend(token[1] + at for at in range(count)), lambda: None, lambda: None
        )
        self.owner = Owner(folder / "locks")
        self.path = folder / "inbox.sqlite"
        lately = Lately(folder, f"listen {ME}", self.notes.append)
        self.file = InboxFile(self.path, self.owner, ME, f"listen {ME}", max_bytes, lately)
        self.reader = self.bus.add(Inbox(self.bus, ("message",), self.file, Repeats(ME), self.troubles.append))
        self._number, self.is_dead = 0, False

    def arrive(self, *numbers: int, session: int = 1) -> None:
        for number in numbers:
            self._number += 1
            self.bus.publish(message(number), (session, self._number))

    def arrive_together(self, *numbers: int, session: int = 1) -> None:
        run, first = run_of(*numbers), self._number + 1
        self._number += len(numbers)
        if not self.bus.publish_run(run, (session, first)):
            for at in range(len(numbers)):
                self.bus.publish(run.element(at), (session, first + at))

    def take_together(self, most: int) -> list[int]:
        """The numbers of the next messages, if they came together; they are dealt with."""
        waiting = self.reader.together()
        if waiting is None:
            return []
        found = [read_element(xml) for xml in waiting.left[:most]]
        self.reader.took(waiting, len(found), keeps_up=False)
        return [int(one.id.removeprefix("m")) for one in found if one.id is not None]

    async def handled_are(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.handled) < count:  # noqa: ASYNC110 - the inbox has no event for it
                await asyncio.sleep(0.001)

    async def read(self, count: int) -> list[int]:
        async with asyncio.timeout(5):
            return [int((await anext(self.reader)).id.removeprefix("m")) for _ in range(count)]  # type: ignore[union-attr]

    def die(self) -> None:
        """As SIGKILL leaves it."""
        self.is_dead = True
        if self.file._opened is not None:
            self.file._opened.close()
        if self.owner._fd is not None:
            os.close(self.owner._fd)
            self.owner._fd = None
