"""Batches are stored beside the loop: they leave behind their commit, and everything else as if it took no time."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outbox.journals import ACCOUNT, Begin, open_session

from xmppsh.errors import IoError
from xmppsh.outbox.journal import Journal
from xmppsh.session.outbound import Outbound
from xmppsh.xmlio.build import Xml

OWN = Xml("<iq/>")


class Wire:
    """A stream that writes down what it is given (session/ports.py: Wire)."""

    has_acks, acked = True, 0

    def __init__(self) -> None:
        self.is_up = True
        self.written: list[str | bytes] = []
        self.abandoned: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    @property
    def next_number(self) -> int:
        return len(self.written) + 1

    def write(self, stanza: Xml) -> None:
        self.written.append(stanza)

    def write_batch(self, messages: list[bytes]) -> None:
        self.written += messages

    def request_ack(self) -> None:
        """Whoever wants to know looks."""

    def note_activity(self) -> None:
        """Nobody waits."""

    def abandon(self, error: Exception) -> None:
        self.abandoned.set_result(error)


def messages(first: int, count: int) -> list[bytes]:
    origin = '<message><origin-id xmlns="urn:xmpp:sid:0" id="m{}"/></message>'
    return [origin.format(number).encode() for number in range(first, first + count)]


def wires(journal: Journal) -> list[int | None]:
    """The numbers on the wire, as the file has them."""
    return [row.wire for row in journal.store.entries(ACCOUNT)]


async def storing(journal: Journal) -> tuple[Outbound, Wire]:
    """Three messages are being stored, and have not left."""
    wire = Wire()
    outbound = Outbound(wire, journal)  # type: ignore[arg-type]
    open_session(journal)
    outbound.let_flow(True)
    outbound.add_batch(messages(1, 3), None)
    outbound._pump()
    assert not wire.written
    return outbound, wire


async def test_a_batch_leaves_when_it_is_stored(begin: Begin) -> None:
    journal = begin()
    outbound, wire = await storing(journal)
    async with asyncio.timeout(15):
        await outbound.wrote.wait()
    assert wire.written == messages(1, 3)
    assert wires(journal) == [1, 2, 3]


async def test_what_the_session_says_by_itself_meanwhile_leaves_behind_it(begin: Begin) -> None:
    journal = begin()
    outbound, wire = await storing(journal)
    outbound.send_ahead(OWN)
    assert wire.written == [*messages(1, 3), OWN]
    assert wires(journal) == [1, 2, 3]


async def test_what_is_handed_in_meanwhile_is_stored_with_the_next_numbers(begin: Begin) -> None:
    journal = begin()
    outbound, wire = await storing(journal)
    outbound.add_batch(messages(4, 2), None)
    outbound.add(Xml("<message/>"), "message", "m6", "", None)
    async with asyncio.timeout(15):
        while outbound.queue.waiting_count:
            outbound.wrote.clear()
            await outbound.wrote.wait()
    assert wire.written == [*messages(1, 5), "<message/>"]
    assert sorted(number or 0 for number in wires(journal)) == [1, 2, 3, 4, 5, 6]


async def test_a_cut_meanwhile_repeats_it_on_the_resumed_stream_once(begin: Begin) -> None:
    outbound, wire = await storing(begin())
    wire.is_up = False
    outbound.let_flow(False)
    assert (outbound.queue.in_flight, wire.written) == (3, [])
    wire.is_up = True
    outbound.repeat()
    outbound.let_flow(True)
    assert [str(one) for one in wire.written] == [one.decode() for one in messages(1, 3)]


@contextmanager
def full_disk(journal: Journal) -> Iterator[None]:
    """The file may not grow."""
    size, limits = Path(f"{journal.path}-wal").stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_a_batch_that_the_disk_does_not_take_ends_the_session_with_74_and_does_not_leave(begin: Begin) -> None:
    journal = begin()
    journal.store.open_session(ACCOUNT, f"{ACCOUNT}/before")  # the file is there, and its log
    with full_disk(journal):
        wire = Wire()
        outbound = Outbound(wire, journal)  # type: ignore[arg-type]
        outbound.let_flow(True)
        outbound.add_batch(messages(1, 1000), None)
        outbound._pump()
        async with asyncio.timeout(15):
            error = await wire.abandoned
    assert isinstance(error, IoError)
    assert error.exit_code == 74
    assert wire.written == []
    assert wires(journal) == []
