"""Input of a command for as long as somebody reads its output."""

import asyncio
import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from xmppsh.app.while_read import WhileRead
from xmppsh.output.streams import InputStream, OutputStream


class Ends(NamedTuple):
    """Of two pipes: stdin's and stdout's."""

    stdin: int
    given: int
    reader: int
    stdout: int


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends(*os.pipe(), *os.pipe())
    yield ends
    for end in ends:
        os.close(end)


async def test_what_lies_there_is_read_when_the_reader_has_gone_and_nothing_is_waited_for(ends: Ends) -> None:
    source = WhileRead(InputStream(ends.stdin), OutputStream(ends.stdout))
    os.write(ends.given, b"one")
    assert await source.read() == b"one"
    waiting = asyncio.ensure_future(source.read())
    await asyncio.sleep(0)
    os.write(ends.given, b"two")
    assert await waiting == b"two"
    waiting = asyncio.ensure_future(source.read())
    await asyncio.sleep(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), ends.reader)  # the reader goes
    assert await asyncio.wait_for(waiting, 10) == b""
    os.write(ends.given, b"three")
    assert await source.read() == b"three"
    assert await source.read() == b""
    source.stop()


async def test_as_long_as_somebody_reads_input_is_waited_for(ends: Ends) -> None:
    source = WhileRead(InputStream(ends.stdin), OutputStream(ends.stdout))
    waiting = asyncio.ensure_future(source.read())
    done, _ = await asyncio.wait({waiting}, timeout=0.2)
    assert not done
    os.write(ends.given, b"late")
    assert await waiting == b"late"
    source.stop()
