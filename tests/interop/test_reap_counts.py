"""The server's counts settle what a dead program had in flight only when they count that: a message that never arrived
is not taken for one that did, whatever else was sent on the session."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import reset_both, silent_hole
from support.program import Program
from support.servers import Account, Server
from support.until import until
from support.witness import Machine, witness_on

pytestmark = pytest.mark.either_server

ARRIVED, IN_FLIGHT = 3, 5
BODIES = [f"message {number}" for number in range(ARRIVED + IN_FLIGHT)]


@pytest.fixture
def outbox(tmp_path: Path, alice: Account) -> Path:
    return tmp_path / "xmppsh" / "outbox" / f"{alice.jid}.sqlite"


def asked(outbox: Path, query: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(outbox)) as database, database:
        return database.execute(query, values).fetchall()


@asynccontextmanager
async def killed_in_a_hole(program: Program, friend: Contact, proxy: ChaosProxy, outbox: Path) -> AsyncIterator[None]:
    """A `pipe` without a guard, killed when its last messages had vanished on the way; the way is free again."""
    program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
    process = await program.start("--no-guard", "pipe")
    assert process.stdin is not None
    for body in BODIES[:ARRIVED]:
        process.stdin.write(stanza(friend, body))
    await friend.wait_for_messages(ARRIVED)
    await until(lambda: asked(outbox, "SELECT count(*) FROM stanza") == [(0,)], "their acks")
    hole = await proxy.inject(silent_hole())
    for body in BODIES[ARRIVED:]:
        process.stdin.write(stanza(friend, body))
    await until(lambda: asked(outbox, "SELECT count(*) FROM stanza WHERE fate = 'sent'") == [(IN_FLIGHT,)], "the rows")
    process.kill()
    await process.wait()
    hole.release()
    yield


def stanza(friend: Contact, body: str) -> bytes:
    return f"<message to='{friend.jid.partition('/')[0]}' type='chat'><body>{body}</body></message>\n".encode()


async def reaped(program: Program, *options: str) -> tuple[int, int]:
    """`sessions reap`: how many messages are settled now, and how many are not."""
    outcome = await program.run(*options, "--format", "json", "sessions", "reap", deadline_s=60)
    assert outcome.code == 0, outcome.stderr
    (record,) = outcome.records
    return record["acked"], record["left"]


async def test_the_witness_s_count_covers_the_session_s_own_stanzas_and_what_it_does_not_cover_is_sent(
    server: Server, alice: Account, friend: Contact, program: Program, outbox: Path, tmp_path: Path
) -> None:
    async with (
        witness_on(Machine(tmp_path / "witness", server, alice), "--interval", "0.3") as witness,
        ChaosProxy(server.host, server.port) as proxy,
        killed_in_a_hole(program, friend, proxy, outbox),
    ):
        (ghost,) = [jid for (jid,) in asked(outbox, "SELECT full_jid FROM session")]
        await witness.record("closed", ghost)
        asked(outbox, "UPDATE session SET acked = 0")  # the acks came, and were not written down
        assert await reaped(program) == (IN_FLIGHT, 0)
        await friend.wait_for_messages(len(BODIES))
        await friend.settle()
    assert [message.body for message in friend.messages] == BODIES


class BreaksAtTheAnswer(ChaosProxy):
    """Resets the first connection whose client has asked the archive something, instead of bringing the answer."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.host, server.port)
        self.trace: Path | None = None
        self.struck = asyncio.Event()

    def carry(self, pair: Any, side: Any, data: bytes) -> None:
        asks = self.trace is not None and self.trace.exists() and b"urn:xmpp:mam:2" in self.trace.read_bytes()
        if asks and side is pair.server and not self.struck.is_set():
            self.struck.set()
            self.arm(reset_both())
        super().carry(pair, side, data)


async def test_a_question_on_the_resumed_stream_is_not_counted_for_a_message(
    server: Server, friend: Contact, program: Program, outbox: Path, tmp_path: Path
) -> None:
    async with BreaksAtTheAnswer(server) as proxy, killed_in_a_hole(program, friend, proxy, outbox):
        proxy.trace = tmp_path / "trace"
        await reaped(program, "--trace", str(proxy.trace))
        assert proxy.struck.is_set() == (server.name == "ejabberd"), "where h is exact the archive is not asked"
        assert (await program.run("outbox", "retry")).code == 0
        await friend.wait_for_messages(len(BODIES))
        await friend.settle()
    assert [message.body for message in friend.messages] == BODIES
