"""Long input is checked in a process of its own: with the same result, and it ends with whoever started it."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from xmppsh.commands.pipe.apart import Apart
from xmppsh.commands.pipe.input import PipeInput
from xmppsh.errors import IoError, XmlError
from xmppsh.model import Element
from xmppsh.output.streams import InputStream
from xmppsh.xmlio.plain import END, Plain, PlainReader
from xmppsh.xmlio.splitter import Limits

MESSAGE = "<message to='bob@b' id='i{0}'><body>message number {0} with a body</body></message>\n"
ODD = {
    8_000: "<presence/>\n",
    9_000: "<message\n to='bob@b'><body>ä\n€</body></message>\n",
    12_000: "<message to='bob@b'><body>without an id</body></message>\n",
    20_000: "<iq type='get'\n id='q'><ping xmlns='urn:xmpp:ping'/></iq>\n",
}
FAULT = "<message><body></message>\n"

Shown = list[tuple[str, tuple[int, int]]]


def text(count: int) -> bytes:
    """So many messages, and something else after some of them."""
    return "".join(MESSAGE.format(n) + ODD.get(n, "") for n in range(count)).encode()


def shown(found: list[Plain | Element]) -> Shown:
    """Each stanza and its place, however it was read."""
    flat: Shown = []
    for item in found:
        if isinstance(item, Element):
            flat.append((item.xml, (item.line, item.column)))
        else:
            parts = [(message + END).decode().lstrip() for message in item.messages]
            flat += [(part, item.place_of(at)) for at, part in enumerate(parts[:2])]
            flat += [(part, (0, 0)) for part in parts[2:]]
    return flat


@pytest.fixture
async def apart() -> AsyncIterator[Apart]:
    found = Apart.start()
    assert found is not None
    async with asyncio.timeout(15):
        while not await found.is_up():
            await asyncio.to_thread(select.select, [found.answers.fd], [], [], 1)
    yield found
    found.close()


def source(folder: Path, data: bytes) -> InputStream:
    (folder / "input").write_bytes(data)
    return InputStream(os.open(folder / "input", os.O_RDONLY | os.O_CLOEXEC))


async def read(apart: Apart, source: InputStream) -> tuple[list[str], XmlError | None]:
    """The stanzas that are read apart, and the fault that ends them."""
    stanzas: list[str] = []
    async for found, error in apart.read(source, Limits(), None, b"", (1, 1)):
        stanzas += [xml for xml, _ in shown(found)]
        if error is not None:
            return stanzas, error
    return stanzas, None


async def test_what_is_read_apart_is_what_would_be_read_here(tmp_path: Path, apart: Apart) -> None:
    data = text(25_000) + FAULT.encode()
    here, error = PlainReader(Limits()).feed(data, final=True)
    assert error is not None
    stanzas, same = await read(apart, source(tmp_path, data))
    assert stanzas == [xml for xml, _ in shown(here)]
    assert same is not None
    assert (str(same), same.line, same.column) == (str(error), error.line, error.column)


async def collected(stanzas: PipeInput, found: list[Plain | Element]) -> None:
    """Read on, from the process as soon as there is one."""
    handed_over = False
    async for one in stanzas:
        found.append(one)
        if stanzas.apart is not None and not handed_over:
            handed_over = bool(await asyncio.to_thread(select.select, [stanzas.apart.answers.fd], [], [], 15))
    assert handed_over


async def test_the_places_of_a_long_input_go_on_where_it_is_handed_over(tmp_path: Path) -> None:
    data = text(40_000) + FAULT.encode()
    stanzas = PipeInput(source(tmp_path, data), "auto", Limits(), root=None, to=None, skip=None)
    found: list[Plain | Element] = []
    with pytest.raises(XmlError, match=f"^line {data.count(bytes([10]))}, "):
        await collected(stanzas, found)
    await stanzas.close()
    lines = data.decode().splitlines()
    assert sum(len(one.messages) if isinstance(one, Plain) else 1 for one in found) == 40_000 + len(ODD)
    for xml, (line, _) in shown(found):
        assert not line or xml.split("\n")[0] == lines[line - 1]


async def test_it_knows_nothing_but_the_input_and_is_not_stopped_with_the_program(tmp_path: Path, apart: Apart) -> None:
    process = Path("/proc") / str(apart.pid)
    assert process.joinpath("environ").read_bytes() == b""
    assert {fd.name for fd in process.joinpath("fd").iterdir()} <= {"0", "1", "2"}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(apart.pid, number)
    stanzas, _ = await read(apart, source(tmp_path, text(10_000)))
    assert len(stanzas) == 10_000 + 2


async def test_its_death_is_an_error_and_no_end_of_the_input(tmp_path: Path, apart: Apart) -> None:
    os.kill(apart.pid, signal.SIGKILL)
    with pytest.raises(IoError, match="the process that checks the input has ended"):
        await read(apart, source(tmp_path, text(10_000)))


PARENT = """
import asyncio, time
from xmppsh.commands.pipe.apart import Apart
print(asyncio.run(asyncio.to_thread(Apart.start)).pid, flush=True)
time.sleep(60)
"""


def test_it_ends_with_a_program_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        ends = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        assert select.select([ends], [], [], 15)[0]
    finally:
        os.close(ends)
