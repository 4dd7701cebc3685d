"""The end of a session whose server is behind: it writes what came before, and reads then that we end the stream."""

import signal
from collections.abc import Callable
from pathlib import Path

from support.contact import Contact
from support.program import Program, finish
from support.servers import Server

DELAY_MS, COUNT = 40, 75  # 3 s: longer than a silent server is waited for


async def test_the_end_waits_for_a_server_that_still_writes(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server, given = start_server("ejabberd", arrival_delay_ms=DELAY_MS), [*map(str, range(COUNT))]
    alice, bob = server.account(), server.account()
    program = Program(tmp_path, server, alice)
    program.env["XMPPSH_JID"] = bot = f"{alice.jid}/bot"
    async with Contact(server, bob) as friend:
        async with program.listening("-F", "%b", ready=tmp_path / "ready") as process:
            for body in given:
                await friend.send(bot, body)
            assert process.stdout is not None
            first = (await process.stdout.readline()).decode()
            process.send_signal(signal.SIGTERM)
            outcome = await finish(process)
        assert outcome.code == 128 + signal.SIGTERM
        assert "has not confirmed" not in outcome.stderr
        assert server.sessions(alice.jid) == []
        last = await program.run("listen", "--drain", "-F", "%b")
        await friend.settle()
        bounced = [message.body for message in friend.messages if message.type == "error"]
        printed = (first + outcome.stdout + last.stdout).split()
        assert sorted([*printed, *bounced], key=int) == given
