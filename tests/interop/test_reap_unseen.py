"""A program that was killed before it saw `<enabled/>`: nobody knows the id of its session, which may be resumed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import Fault, Kind
from support.program import Program
from support.servers import Account, Server
from support.until import DEADLINE_S, until

pytestmark = pytest.mark.either_server


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path / "xmppsh" / "locks"


class Gap(ChaosProxy):
    """Holds the answer to the first `<enable/>` back: the session is resumable, and its program does not know."""

    def __init__(self, server: Server, trace: Path) -> None:
        super().__init__(server.host, server.port)
        self.trace, self.reached = trace, asyncio.Event()

    def carry(self, pair: object, side: object, data: bytes) -> None:
        # The trace is written before the bytes.
        if not self.reached.is_set() and self.trace.exists() and b"<enable " in self.trace.read_bytes():
            self.arm(Fault(Kind.HOLD, for_s=60))
            self.reached.set()
        super().carry(pair, side, data)  # type: ignore[arg-type]


@asynccontextmanager
async def killed_in_the_gap(program: Program, server: Server, folder: Path, *arguments: str) -> AsyncIterator[None]:
    """A `listen` that was killed after `<enable/>`, before it saw `<enabled/>`."""
    async with Gap(server, folder / "trace") as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("listen", "--trace", str(folder / "trace"), *arguments)
        await asyncio.wait_for(proxy.reached.wait(), DEADLINE_S)
        assert b"<enabled" not in (folder / "trace").read_bytes()
        await until(lambda: len(server.sessions(program.env["XMPPSH_JID"])) == 1, "the session")
        process.kill()
        await process.wait()
        yield


async def test_a_session_whose_grant_was_never_seen_is_closed_by_the_guard(
    server: Server, alice: Account, program: Program, tmp_path: Path, locks: Path
) -> None:
    async with killed_in_the_gap(program, server, tmp_path):
        await until(lambda: server.sessions(alice.jid) == [], "the end of the session")
        await until(lambda: list(locks.iterdir()) == [], "the guard's last act")


async def test_a_session_whose_grant_was_never_seen_is_closed_by_the_next_start(
    server: Server, alice: Account, program: Program, tmp_path: Path, locks: Path
) -> None:
    async with killed_in_the_gap(program, server, tmp_path, "--no-guard"):
        (ghost,) = server.sessions(alice.jid)
        outcome = await program.run("-v", "ping")
        assert f"{ghost}, left by a process that died" in outcome.stderr
        assert outcome.code == 0
        assert ghost not in server.sessions(alice.jid)
        # A one-shot does not wait for the server's end of its own stream.
        await until(lambda: server.sessions(alice.jid) == [], "the end of the ping's own session")
        assert list(locks.iterdir()) == []


async def test_a_checkpoint_whose_session_was_never_granted_goes_on_under_the_same_address(
    server: Server, alice: Account, program: Program, tmp_path: Path
) -> None:
    bob = server.account()
    checkpoint = str(tmp_path / "checkpoint")
    stanzas = "".join(f"<message to='{bob.jid}'><body>{number}</body></message>" for number in range(3)).encode()
    async with Gap(server, tmp_path / "trace") as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start(
            "--trace", str(tmp_path / "trace"), "--no-guard", "pipe", "--checkpoint", checkpoint
        )
        await asyncio.wait_for(proxy.reached.wait(), DEADLINE_S)
        await until(lambda: len(server.sessions(alice.jid)) == 1, "the session")
        (ghost,) = server.sessions(alice.jid)
        process.kill()
        await process.wait()
        outcome = await program.run("-v", "pipe", "--checkpoint", checkpoint, stdin=stanzas)
    assert outcome.code == 0, outcome.stderr
    assert f"xmppsh: session {ghost} by" in outcome.stderr
    async with Contact(server, bob) as contact:
        await contact.wait_for_messages(3)
        assert [message.body for message in contact.messages] == ["0", "1", "2"]
    assert server.sessions(alice.jid) == []
