"""An agent of the test's own, for one account on one of the servers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.program import Program, finish, serves
from support.servers import Account, Server


@pytest.fixture
def alice(server: Server) -> Account:
    return server.account()


@pytest.fixture
def program(tmp_path: Path, server: Server, alice: Account) -> Program:
    return Program(tmp_path, server, alice)


@pytest.fixture
async def agent(tmp_path: Path, program: Program) -> AsyncIterator[int]:
    """The agent's process id; it listens, and at the end it has to end by itself when it is asked to."""
    process = await program.start("agent", "start", "--foreground")
    await serves(tmp_path / "xmppsh" / "agent.sock", process)
    yield process.pid
    if process.returncode is None:
        process.terminate()
    outcome = await finish(process)
    assert outcome.stderr == ""
