"""The inbox: a slow reader holds nobody up, and nothing is read twice or lost, whatever ends."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from xmppsh.errors import IoError
from xmppsh.model import Element
from xmppsh.outbox.owner import Owner
from xmppsh.session import inbox
from xmppsh.session.bus import Bus
from xmppsh.session.inbox import Inbox, InboxFile
from xmppsh.session.repeats import Repeats
from xmppsh.xmlio.arriving import ArrivalReader, Run
from xmppsh.xmlio.reader import read_element
from xmppsh.xmlio.splitter import Limits

ME = "romeo@example.net"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LAG_S", 0.02)
    monkeypatch.setattr(inbox, "SLOW_LAG_S", 0.01)


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
        self.bus = Bus(
            lambda token, count: self.handled.extend(token[1] + at for at in range(count)), lambda: None, lambda: None
        )
        self.owner = Owner(folder / "locks")
        self.path = folder / "inbox.sqlite"
        self.file = InboxFile(self.path, self.owner, ME, f"listen {ME}", max_bytes)
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


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Callable[..., Command]]:
    runs: list[Command] = []

    def start(max_bytes: int = 1_000_000) -> Command:
        runs.append(Command(tmp_path, max_bytes))
        return runs[-1]

    yield start
    for one in (one for one in runs if not one.is_dead):
        one.reader.cancel()


async def test_a_reader_that_keeps_up_touches_no_file(run: Callable[..., Command], tmp_path: Path) -> None:
    listen = run()
    for number in range(1, 50):
        listen.arrive(number)
        assert await listen.read(1) == [number]
    listen.reader.done()
    await asyncio.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


async def test_what_waits_for_a_slow_reader_is_stored_and_acknowledged_and_then_read_in_order(
    run: Callable[..., Command],
) -> None:
    listen = run()
    listen.arrive(*range(1, 11))
    assert await listen.read(1) == [1]
    await listen.handled_are(10)
    assert listen.handled == list(range(1, 11)), "the one in the reader's hands would hold back the others"
    listen.arrive(*range(11, 1501))
    await listen.handled_are(1500)
    assert await listen.read(1499) == list(range(2, 1501))
    listen.arrive(1501)
    assert await listen.read(1) == [1501]
    listen.reader.done()
    assert listen.handled == list(range(1, 1502))


async def test_a_stored_message_is_handed_on_however_big_the_server_may_send_it(run: Callable[..., Command]) -> None:
    command = run()
    big = read_element(f"<message><body>{'x' * 2 * Limits().stanza_bytes}</body></message>")
    command.bus.publish(big, (1, 1))
    await command.handled_are(1)
    assert (await anext(command.reader)).xml == big.xml


async def test_what_a_dead_run_had_not_read_comes_first_in_the_next_one_and_once(run: Callable[..., Command]) -> None:
    killed = run()
    killed.arrive(*range(1, 7))
    await killed.handled_are(6)
    assert await killed.read(3) == [1, 2, 3]
    killed.reader.done()
    killed.die()
    listen = run()
    listen.arrive(7)
    assert await listen.read(4) == [4, 5, 6, 7]
    listen.reader.cancel()
    again = run()
    again.arrive(8)
    assert await again.read(1) == [8]


async def test_what_was_in_the_hands_of_a_reader_that_died_is_read_again(run: Callable[..., Command]) -> None:
    killed = run()
    killed.arrive(1, 2)
    await killed.handled_are(2)
    assert await killed.read(1) == [1]
    killed.die()
    assert await run().read(2) == [1, 2]


async def test_what_was_read_and_comes_again_on_the_next_session_is_not_read_twice(run: Callable[..., Command]) -> None:
    listen = run()
    listen.arrive(1, 2, 3)
    assert await listen.read(3) == [1, 2, 3]
    listen.reader.done()
    listen.arrive(2, 3, 4, session=2)
    assert await listen.read(1) == [4]
    assert listen.handled == [1, 2, 3, 4, 5]


async def test_what_waits_when_the_session_is_lost_is_read_once_though_it_comes_again(
    run: Callable[..., Command],
) -> None:
    listen = run()
    listen.arrive(1, 2, 3)
    assert await listen.read(1) == [1]
    listen.arrive(1, 2, 3, 4, session=2)
    assert await listen.read(3) == [2, 3, 4]
    assert set(range(4, 7)) <= set(listen.handled), "their first deliveries are stored"
    listen.reader.done()
    assert 7 in listen.handled


async def test_what_a_slow_reader_that_died_had_read_is_not_read_again_by_the_next_run(
    run: Callable[..., Command],
) -> None:
    killed = run()
    killed.arrive(1, 2)
    assert await killed.read(2) == [1, 2]
    killed.reader.done()
    killed.arrive(3, 4)
    await killed.handled_are(4)
    assert await killed.read(1) == [3]
    killed.reader.done()
    killed.die()
    listen = run()
    listen.arrive(1, 2, 3, 4, 5)  # no ack of the dead one has reached the server
    assert await listen.read(2) == [4, 5]


@pytest.mark.parametrize(
    "forged",
    [
        message(2, by="mallory@example.net"),
        read_element(
            f"<message id='m2'><x xmlns='urn:x'><stanza-id xmlns='urn:xmpp:sid:0' by='{ME}' id='s2'/></x></message>"
        ),
    ],
    ids=["of another server", "within another element"],
)
async def test_a_stanza_id_that_somebody_else_has_written_hides_nothing(
    run: Callable[..., Command], forged: Element
) -> None:
    listen = run()
    listen.arrive(1, 2)
    assert await listen.read(2) == [1, 2]
    listen.bus.publish(message(3), (2, 1))
    listen.bus.publish(forged, (2, 2))
    assert await listen.read(2) == [3, 2]


async def test_a_full_inbox_stores_no_more_until_it_has_been_read(run: Callable[..., Command]) -> None:
    listen = run(max_bytes=1)
    listen.arrive(1)
    await listen.handled_are(1)
    listen.arrive(2)
    await asyncio.sleep(0.05)
    assert listen.handled == [1]
    assert await listen.read(2) == [1, 2]


async def test_an_inbox_that_cannot_be_written_is_told_of_once_and_nothing_of_it_acknowledged(
    run: Callable[..., Command], tmp_path: Path
) -> None:
    listen = run()
    (tmp_path / "locks").write_text("no folder")
    listen.arrive(1, 2)
    await asyncio.sleep(0.1)
    assert (len(listen.troubles), listen.handled) == (1, [])
    assert await listen.read(2) == [1, 2]
    listen.reader.done()
    assert listen.handled == [1, 2]


async def test_what_is_handed_on_later_keeps_the_time_when_it_came(run: Callable[..., Command]) -> None:
    listen = run()
    listen.arrive(1)
    await listen.handled_are(1)
    stanza = await anext(listen.reader)
    assert stanza.arrived is not None
    listen.reader.done()
    listen.arrive(2)
    assert (await anext(listen.reader)).arrived is None


async def test_messages_that_came_together_are_read_in_order_with_all_others_and_acknowledged_as_they_are_taken(
    run: Callable[..., Command], tmp_path: Path
) -> None:
    listen = run()
    listen.arrive(1)
    listen.arrive_together(*range(2, 12))
    listen.arrive(12)
    assert listen.take_together(5) == [], "one is before them"
    assert await listen.read(2) == [1, 2]
    assert listen.handled == [1]
    assert listen.take_together(4) == [3, 4, 5, 6]
    assert listen.handled == [1, 2, 3, 4, 5, 6]
    assert await listen.read(1) == [7]
    assert listen.take_together(100) == [8, 9, 10, 11]
    assert await listen.read(1) == [12]
    listen.reader.done()
    assert listen.handled == list(range(1, 13))
    assert list(tmp_path.iterdir()) == []


async def test_messages_that_came_together_are_stored_where_their_reader_stops_and_read_once(
    run: Callable[..., Command],
) -> None:
    killed = run()
    killed.arrive_together(*range(1, 21))
    assert await killed.read(1) == [1]
    assert killed.take_together(5) == [2, 3, 4, 5, 6]
    assert await killed.read(1) == [7]
    await killed.handled_are(20)
    killed.arrive_together(*range(21, 31))
    assert killed.take_together(5) == [], "what is stored comes first"
    assert await killed.read(2) == [8, 9]
    await killed.handled_are(30)
    killed.reader.done()
    killed.die()
    listen = run()
    listen.arrive_together(*range(31, 41))
    assert await listen.read(31) == list(range(10, 41))
    listen.reader.done()
    assert listen.handled == list(range(1, 11))


async def test_messages_that_came_together_are_looked_at_by_themselves_where_some_may_come_again(
    run: Callable[..., Command],
) -> None:
    listen = run()
    listen.arrive_together(*range(1, 11))
    assert await listen.read(1) == [1]
    assert listen.take_together(100) == list(range(2, 11))
    listen.arrive_together(*range(5, 16), session=2)
    assert listen.take_together(100) == []
    assert await listen.read(5) == [11, 12, 13, 14, 15]


async def test_messages_that_came_together_and_were_not_read_are_not_taken_when_the_reader_leaves(
    run: Callable[..., Command],
) -> None:
    listen = run()
    listen.arrive_together(*range(1, 11))
    assert await listen.read(1) == [1]
    assert listen.take_together(3) == [2, 3, 4]
    listen.reader.cancel()
    assert listen.handled == [1, 2, 3, 4]
