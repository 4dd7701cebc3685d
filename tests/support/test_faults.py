"""The fault that needs time: the client is reset, and what it wrote before that reaches the server afterwards."""

import asyncio

import pytest

from support.chaos import DRIP_BYTES, ChaosProxy
from support.faults import late
from support.until import DEADLINE_S


async def test_what_a_reset_client_had_written_drips_into_the_server() -> None:
    received, ended = bytearray(), asyncio.Event()
    wanted = b"0123" + b"x" * (2 * DRIP_BYTES)
    complete = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            received.extend(data)
            writer.write(b"answer")
            if len(received) >= len(wanted):
                complete.set()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with asyncio.timeout(DEADLINE_S), ChaosProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        injection = proxy.arm(late(4, for_s=0.1))
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(wanted)
        with pytest.raises(ConnectionResetError):
            await reader.read()  # no answer passes from the strike on
        await injection.over.wait()
        assert len(received) < len(wanted)
        await complete.wait()
        assert received == wanted
        assert not ended.is_set()  # the server sees no end
    server.close()


def test_a_late_fault_says_what_it_is() -> None:
    assert str(late(10, for_s=0.5)) == "kept, then reset, then late for 0.50 s after 10 bytes up"
