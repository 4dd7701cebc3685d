"""What goes ahead of real servers' answers: the third run needs six round trips, and each message arrives once."""

from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program
from support.servers import Server

RUNS = 3  # the first learns, the second tries without a stanza, the third has all of it in one flight


@pytest.mark.either_server
async def test_what_goes_ahead_takes_fewer_turns_and_arrives_once(server: Server, tmp_path: Path) -> None:
    recipient, program = server.account(), Program(tmp_path, server, server.account())
    traces: list[str] = []
    async with Contact(server, recipient) as contact:
        for number in range(RUNS):
            done = await program.run("-vvv", "send", recipient.jid, f"number {number}")
            assert done.code == 0, done.stderr
            traces.append(done.stderr)
        await contact.wait_for_messages(RUNS)
        assert [message.body for message in contact.messages] == [f"number {number}" for number in range(RUNS)]
    ways = ["".join(line[:1] for line in trace.splitlines() if line[:2] in ("> ", "< ")) for trace in traces]
    first, second, third = (way.count("<>") for way in ways)
    assert first > second >= third
