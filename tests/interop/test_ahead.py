"""What goes ahead of real servers' answers, and that each message arrives once."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.program import Program
from support.repeated import sent
from support.servers import Server

RUNS = 3  # the first learns, the second tries without a stanza, the third has all of it in one flight
ROUND_TRIP_MS = 150  # long after what goes ahead of it has been written, the answer comes
RELAY = Path(__file__).parents[2] / "benchmarks" / "delay.py"


@asynccontextmanager
async def far_away(server: Server) -> AsyncIterator[int]:
    """The port of a relay to the server."""
    relay = await asyncio.create_subprocess_exec(
        sys.executable, str(RELAY), server.host, str(server.port), str(ROUND_TRIP_MS), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert relay.stdout is not None
        yield int(await relay.stdout.readline())
    finally:
        relay.kill()
        await relay.wait()


@pytest.mark.either_server
async def test_the_third_session_takes_a_message_before_the_server_has_answered(server: Server, tmp_path: Path) -> None:
    program = Program(tmp_path, server, server.account())
    async with far_away(server) as port:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{port}"
        traces = await sent(program, server, RUNS, "-vvv")
    binds = [trace.index("xmpp-bind") < trace.rindex("< <stream:features") for trace in traces]
    opens = [trace.index("xmppsh: session") < trace.index("<jid>") for trace in traces]
    assert (binds, opens) == ([False, True, True], [False, False, True])
