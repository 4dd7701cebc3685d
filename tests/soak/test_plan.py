"""A plan is drawn from its seed alone, and strikes until it is exhausted."""

import asyncio

import pytest
from support.chaos import ChaosProxy
from support.faults import Kind

from soak.plan import Plan


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    one, same, other = (Plan(seed, total_bytes=1_000_000, kicks=3) for seed in (1, 1, 2))
    assert str(one) == str(same) != str(other)
    assert len(one.steps) == 20
    assert sum(step.kicked for step in one.steps) == 3
    assert all(step.position < 1_000_000 for step in one.steps)


def test_every_kind_of_fault_is_drawn() -> None:
    drawn = {step.fault.kind for step in Plan(1, faults=200, total_bytes=1_000_000).steps}
    assert drawn == set(Kind) - {Kind.MARK, Kind.REFUSE}
    assert any(step.fault.refuse_s for step in Plan(1, faults=200, total_bytes=1_000_000).steps)


@pytest.mark.parametrize("seed", range(3))
async def test_a_plan_strikes_until_it_is_exhausted(seed: int) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except ConnectionResetError:
            pass
        writer.close()

    async def converse() -> None:
        """What a client does: it notices a silent link, and comes again."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                while True:
                    writer.write(b"." * 100)
                    await asyncio.wait_for(reader.readexactly(100), 0.1)
            except (OSError, EOFError, TimeoutError):
                writer.transport.abort()
                await asyncio.sleep(0.001)

    async def kick() -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        kicks.append(proxy.connections)

    kicks: list[int] = []
    plan = Plan(seed, faults=6, total_bytes=20_000, lead_bytes=0, kicks=2)
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with ChaosProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        client = asyncio.create_task(converse())
        await asyncio.wait_for(plan.run(proxy, kick), 20)
        client.cancel()
    server.close()
    assert (plan.struck, len(kicks)) == (6, 2)
    assert proxy.passed["up"] >= plan.steps[-1].position
