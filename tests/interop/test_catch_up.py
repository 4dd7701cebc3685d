"""What comes while the link is cut, and is more than the server keeps for a session: it is in the archive."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import reset_both
from support.program import Program, finish
from support.servers import Server

KEPT = 300  # unacknowledged, for a session
COUNT = KEPT + 60


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.parametrize("to", ["/bot", ""], ids=["to its full address", "to the account"])
@pytest.mark.either_server
async def test_what_the_server_drops_during_a_cut_is_printed_once_and_in_order(
    start_server: Callable[..., Server], tmp_path: Path, name: str, to: str
) -> None:
    server = start_server(name, max_unacked=KEPT)
    alice, bob = server.account(), server.account()
    server.befriend(alice, bob)
    program = Program(tmp_path, server, alice)
    async with (
        ChaosProxy(server.host, server.port) as proxy,
        Contact(server, bob) as friend,
    ):
        program.env["XMPPSH_HOST"] = f"{server.host}:{proxy.port}"
        program.env["XMPPSH_JID"] = f"{alice.jid}/bot"
        listening = program.listening(
            "--format",
            "json",
            "-C",
            str(COUNT + 10),
            "-W",
            "90",
            ready=tmp_path / "ready",
        )
        async with listening as process:
            await friend.wait_for_presence(alice.jid, "available")
            for number in range(10):
                await friend.send(f"{alice.jid}{to}", str(number))
            cut = await proxy.inject(reset_both(refuse_s=60))
            for number in range(10, COUNT + 10):
                await friend.send(f"{alice.jid}{to}", str(number))
            await friend.settle()
            cut.release()
            outcome = await finish(process, deadline_s=120)
    assert [json.loads(line)["body"] for line in outcome.stdout.splitlines()] == [*map(str, range(COUNT + 10))]
    assert outcome.code == 0, outcome.stderr
