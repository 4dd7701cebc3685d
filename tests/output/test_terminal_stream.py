"""A terminal that stands still (Ctrl-S, a link that hangs) holds who writes, and neither the loop nor its signals."""

import asyncio
import os
import select

import pytest

from xmppsh.output.streams import OutputStream


@pytest.mark.parametrize("length", [5, 40, 90])  # where Linux lets a write begin that it has no room for
async def test_a_terminal_that_stands_still_does_not_hold_the_loop(length: int) -> None:
    master, slave = os.openpty()
    record = "x" * length + "\n"
    stream = OutputStream(slave)

    async def print_records() -> None:
        for _ in range(5000):
            await stream.write(record)

    printing = asyncio.ensure_future(print_records())
    await asyncio.sleep(0)
    assert not printing.done(), "nobody has read, and the loop goes on"
    seen = b""
    async with asyncio.timeout(20):
        while not printing.done() or select.select([master], [], [], 0)[0]:
            while select.select([master], [], [], 0)[0]:
                seen += os.read(master, 65536)
            await asyncio.sleep(0)
    assert seen == record.replace("\n", "\r\n").encode() * 5000
    assert os.get_blocking(slave), "the mode of what we were given is not ours to change"
    os.close(master)
    os.close(slave)
