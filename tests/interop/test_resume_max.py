"""`--resume-max` and `--no-sm`: what is asked of the server, and how a cut heals where nothing can be resumed."""

import asyncio
import re
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import reset_both
from support.program import Program, finish
from support.servers import Account, Server
from support.until import DEADLINE_S

pytestmark = pytest.mark.either_server


async def test_resume_max_is_asked_for_and_0_asks_for_a_session_that_dies_with_its_socket(
    alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    for seconds, wanted in (("60", 'resume="true" max="60"'), ("0", 'resume="false"')):
        trace, ready = tmp_path / f"trace{seconds}", tmp_path / f"ready{seconds}"
        arguments = ["--trace", str(trace), "--resume-max", seconds]
        async with program.listening(*arguments, ready=ready) as process:
            shown = await friend.wait_for_presence(alice.jid, "available")
            (enable,) = re.findall("<enable [^>]*urn:xmpp:sm:3[^>]*>", trace.read_text())
            assert wanted in enable
            process.kill()
            await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)
        friend.presence.clear()


@pytest.mark.parametrize("arguments", [("--no-sm",), ("--resume-max", "0")], ids=" ".join)
async def test_listen_heals_with_a_new_session_where_none_can_be_resumed(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    trace = tmp_path / "trace"
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        arguments = (*arguments, "--trace", str(trace), "-F", "%b")
        async with program.listening(*arguments, ready=tmp_path / "ready") as process:
            first = await friend.wait_for_presence(alice.jid, "available")
            await friend.send(first.sender, "before")
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), DEADLINE_S) == b"before\n"
            friend.presence.clear()
            await proxy.inject(reset_both())
            await friend.wait_for_presence(alice.jid, "unavailable", sender=first.sender)
            second = await friend.wait_for_presence(alice.jid, "available")
            await friend.send(second.sender, "after")
            line = b"before\n"  # what was printed and not acknowledged yet comes again
            while line == b"before\n":
                line = await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)
            assert line == b"after\n"
    assert ("urn:xmpp:sm:3" in "".join(re.findall("<enable [^>]*>", trace.read_text()))) == ("--no-sm" not in arguments)
    assert "<resume " not in trace.read_text()


async def test_pipe_without_stream_management_heals_and_knows_what_has_arrived(
    server: Server, program: Program, tmp_path: Path
) -> None:
    bob, trace = server.account(), tmp_path / "trace"
    async with ChaosProxy(server.host, server.port) as proxy, Contact(server, bob) as contact:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("--no-sm", "--trace", str(trace), "--format", "json", "pipe")
        assert process.stdin is not None

        async def feed(numbers: range) -> None:
            assert process.stdin is not None
            for number in numbers:
                process.stdin.write(f"<message to='{bob.jid}'><body>{number}</body></message>\n".encode())
            await process.stdin.drain()

        await feed(range(20))
        await contact.wait_for_messages(20)
        await proxy.inject(reset_both())
        await feed(range(20, 40))
        outcome = await finish(process)
        assert outcome.code == 0, outcome.stderr
        summary = outcome.records[-1]
        assert (summary["sent"], summary["acked"], summary["failed"]) == (40, 40, 0)
        await contact.wait_for_messages(40)
        assert [message.body for message in contact.messages] == [str(number) for number in range(40)]
    assert "<enable " not in trace.read_text()
