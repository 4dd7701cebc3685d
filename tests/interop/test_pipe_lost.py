"""`pipe` whose session is lost for good: it ends, and its error, its last line and the outbox say the same."""

import asyncio
import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import Fault, Kind, reset_both, silent_hole
from support.program import Outcome, Program, finish
from support.servers import Account, Server
from support.until import until

from xmppsh.outbox.journal import account_file

pytestmark = pytest.mark.either_server


def rows(program: Program) -> int:
    path = account_file(Path(program.env["XDG_STATE_HOME"]) / "xmppsh", program.env["XMPPSH_JID"])
    with closing(sqlite3.connect(path)) as database:
        count: int = database.execute("SELECT count(*) FROM stanza").fetchone()[0]
        return count


async def _lost(
    program: Program, friend: Contact, proxy: ChaosProxy, fault: Fault, later: list[str], *options: str
) -> Outcome:
    """A pipe whose first message has arrived when the fault strikes, and that is given these after it."""
    to = friend.jid.partition("/")[0]
    program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
    process = await program.start("pipe", "--timeout", "4", *options)
    assert process.stdin is not None
    process.stdin.write(f"<message to='{to}' type='chat'><body>first</body></message>".encode())
    await friend.wait_for_message(lambda message: message.body == "first")
    if not options:
        await until(lambda: rows(program) == 0, "its ack")
    await proxy.inject(fault)
    if fault.kind is Kind.RESET_BOTH:
        assert process.stderr is not None
        await process.stderr.readline()  # the cut is seen: nothing more is written
    for body in later:
        process.stdin.write(f"<message to='{to}' type='chat'><body>{body}</body></message>".encode())
    async with asyncio.timeout(30):
        await process.wait()  # stdin is still open
    return await finish(process)


async def test_a_pipe_whose_session_is_lost_for_good_ends_though_no_input_comes(
    server: Server, program: Program, friend: Contact
) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        outcome = await _lost(program, friend, proxy, reset_both(refuse_s=math.inf), [])
    assert outcome.code == 69
    assert outcome.stderr.splitlines()[-1].startswith("sent 1, acked 1, failed 0, ")


async def test_what_was_not_sent_is_told_with_the_way_to_send_it(
    server: Server, program: Program, friend: Contact
) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        outcome = await _lost(program, friend, proxy, reset_both(refuse_s=math.inf), ["second", "third"])
    *_, hint, last = outcome.stderr.splitlines()
    assert outcome.code == 69
    assert hint.endswith("; xmppsh outbox flush sends the messages that were not sent")
    assert last.startswith("sent 1, acked 1, failed 0, not sent 2, ")
    program.env["XMPPSH_HOST"] = f"{server.host}:{server.port}"
    assert (await program.run("outbox", "flush")).code == 0
    await friend.wait_for_message(lambda message: message.body == "third")
    assert [message.body for message in friend.messages] == ["first", "second", "third"]


async def test_what_nobody_can_tell_of_is_counted_the_same_everywhere(
    server: Server, alice: Account, program: Program, friend: Contact, tmp_path: Path
) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        outcome = await _lost(program, friend, proxy, silent_hole(refuse_s=math.inf), ["second"])
        left = (await Program(tmp_path, server, alice).run("--format", "json", "outbox", "list")).records
    assert outcome.code == 79
    assert "xmppsh: 1 stanza was written and never acknowledged: " in outcome.stderr
    assert outcome.stderr.splitlines()[-1].startswith("sent 2, acked 1, failed 0, unconfirmed 1, ")
    assert [one["body"] for one in left] == ["second"]


async def test_with_a_checkpoint_the_same_command_again_is_what_to_try(
    server: Server, program: Program, friend: Contact, tmp_path: Path
) -> None:
    async with ChaosProxy(server.host, server.port) as proxy:
        checkpoint = ("--checkpoint", str(tmp_path / "checkpoint"))
        outcome = await _lost(program, friend, proxy, silent_hole(refuse_s=math.inf), ["second"], *checkpoint)
    assert outcome.code == 79
    assert "  try: the same input with the same --checkpoint again: it goes on where it stopped\n" in outcome.stderr
