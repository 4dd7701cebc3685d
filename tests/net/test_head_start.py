"""A connection that is begun early: who dials the same place takes it, and it is told of nowhere else."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from xmppsh.model import Candidate
from xmppsh.net.attempts import Attempt
from xmppsh.net.dial import Connected, Dialler
from xmppsh.net.head_start import HeadStart

ACCOUNT, ASKED = "alice@example.net", "nothing special"
WORDS = b"<?xml version='1.0'?><stream:stream>"


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, "asyncio.Queue[asyncio.StreamReader]"]]:
    """A port of loopback, and what came in there."""
    came = asyncio.Queue[asyncio.StreamReader]()
    writers: list[asyncio.StreamWriter] = []

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        came.put_nowait(reader)

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], came
        for writer in writers:
            writer.close()
            await writer.wait_closed()


def attempt(port: int) -> Attempt:
    return Attempt(Candidate("127.0.0.1", port, "starttls", "a test"), "127.0.0.1")


def start(folder: Path, port: int, asked: str = ASKED, words: bytes = WORDS) -> HeadStart:
    """One that begins, after a run that came to this port and said these words first."""
    before = HeadStart(folder / "places.json", ACCOUNT, ASKED, lambda *_: None)
    before.wanted = words
    before.remember(attempt(port))
    begun = HeadStart(folder / "places.json", ACCOUNT, asked, lambda *_: None)
    begun.begin()
    return begun


async def dialled(head_start: HeadStart, port: int) -> Connected | None:
    """What a dialler makes of it."""

    async def look_up(_candidate: Candidate, _family: int) -> list[str]:
        return []

    plan = [Candidate("127.0.0.1", port, "starttls", "a test")]
    deadline = asyncio.get_running_loop().time() + 15
    return await Dialler(plan, deadline, look_up, head_start=head_start).next()


async def test_who_dials_the_same_place_takes_the_connection_that_was_begun(tmp_path: Path) -> None:
    async with listening() as (port, came):
        connected = await dialled(start(tmp_path, port, words=b""), port)
        assert connected is not None
        connected.sock.sendall(b"x")
        async with asyncio.timeout(15):
            assert await (await came.get()).read(1) == b"x"
        assert came.empty()
        connected.sock.close()


async def speaking(folder: Path, port: int, came: "asyncio.Queue[asyncio.StreamReader]") -> HeadStart:
    """One whose connection stands, and that has said what was said the last time."""
    head_start = start(folder, port)
    reader = await came.get()
    head_start.speak()
    head_start.speak()
    assert await reader.readexactly(len(WORDS)) == WORDS
    came.put_nowait(reader)
    return head_start


async def test_what_was_said_once_it_stood_is_not_written_again(tmp_path: Path) -> None:
    async with asyncio.timeout(15), listening() as (port, came):
        head_start = await speaking(tmp_path, port, came)
        head_start.wanted = WORDS
        connected = await dialled(head_start, port)
        assert connected is not None
        link = await connected.link()
        link.write(WORDS[:10])
        link.write(WORDS[10:])
        link.write(b"the rest")
        assert await (await came.get()).readexactly(8) == b"the rest"
        link.abort()
        await link.closed(15)


@pytest.mark.parametrize("wanted", [b"", b"<?xml version='1.0'?><stream:stream to='example.org'>"])
async def test_who_begins_in_another_way_gets_a_connection_of_its_own(tmp_path: Path, wanted: bytes) -> None:
    async with asyncio.timeout(15), listening() as (port, came):
        head_start = await speaking(tmp_path, port, came)
        head_start.wanted = wanted
        connected = await dialled(head_start, port)
        assert connected is not None
        assert connected.said == b""
        head_start.close()
        assert await (await came.get()).read() == b""
        connected.sock.close()


async def test_another_place_is_dialled_as_ever_and_what_was_begun_is_closed(tmp_path: Path) -> None:
    async with listening() as (former, came), listening() as (port, _):
        head_start = start(tmp_path, former, words=b"")
        connected = await dialled(head_start, port)
        assert connected is not None
        assert connected.sock.getpeername()[1] == port
        head_start.remember(attempt(port))
        async with asyncio.timeout(15):
            assert await (await came.get()).read() == b""
        connected.sock.close()


async def test_nothing_is_begun_where_another_thing_was_asked_for(tmp_path: Path) -> None:
    async with listening() as (port, _):
        assert start(tmp_path, port, "another host").take("127.0.0.1", port, "starttls") is None


async def test_a_place_that_refuses_now_is_told_as_ever(tmp_path: Path) -> None:
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else gets it
        port = kept.getsockname()[1]
        plan = [Candidate("127.0.0.1", port, "starttls", "a test")]

        async def look_up(_candidate: Candidate, _family: int) -> list[str]:
            return []

        dialler = Dialler(plan, asyncio.get_running_loop().time() + 15, look_up, head_start=start(tmp_path, port))
        assert await dialler.next() is None
        assert [attempt.outcome for attempt in dialler.attempts] == ["refused"]


@pytest.mark.parametrize("text", ["", "[]", '{"alice@example.net": {"port": "x"}}'])
def test_a_file_of_no_use_begins_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "places.json").write_text(text)
    head_start = HeadStart(tmp_path / "places.json", ACCOUNT, ASKED, lambda *_: None)
    head_start.begin()
    assert head_start.take("127.0.0.1", 5222, "starttls") is None
