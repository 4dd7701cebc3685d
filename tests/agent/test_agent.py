"""The agent and its thin clients, as real processes on a real server."""

import asyncio
import os
import signal

import pytest
from support.program import Program, finish
from support.servers import Account, Server
from support.until import until

pytestmark = pytest.mark.either_server


async def held(program: Program) -> list[dict[str, object]]:
    """The agent's sessions, as it tells of them."""
    outcome = await program.run("agent", "status", "--format", "json")
    assert outcome.code == 0, outcome.stderr
    return outcome.records[1:]


async def test_commands_share_one_session_and_a_stop_closes_it(
    server: Server, alice: Account, program: Program, agent: int
) -> None:
    bob = server.account()
    for arguments in (
        ("ping",),
        ("send", bob.jid, "one"),
        ("iq", "get", server.domain, "<ping xmlns='urn:xmpp:ping'/>"),
    ):
        outcome = await program.run(*arguments)
        assert (outcome.code, outcome.stderr) == (0, "")
    (session,) = await held(program)
    assert (session["commands"], session["running"]) == (3, 0)
    assert server.sessions(alice.jid) == [session["jid"]]
    assert (await program.run("agent", "stop")).code == 0
    assert server.sessions(alice.jid) == []
    outcome = await program.run("agent", "status")
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (69, "xmppsh: no agent is running")


async def test_who_does_not_know_the_password_gets_no_session_of_one_who_does(program: Program, agent: int) -> None:
    assert (await program.run("ping")).code == 0
    program.env["XMPPSH_PASSWORD"] = "another"
    assert (await program.run("ping")).code == 77
    assert len(await held(program)) == 1


async def test_a_killed_agent_leaves_no_session_and_its_socket_is_in_nobodys_way(
    server: Server, alice: Account, program: Program, agent: int
) -> None:
    assert (await program.run("ping")).code == 0
    os.kill(agent, signal.SIGKILL)
    await until(lambda: server.sessions(alice.jid) == [], "the end of its session")
    assert (await program.run("ping")).code == 0, "the ordinary way"
    started = await program.run("agent", "start", "--idle", "0.2")
    assert (started.code, started.stderr) == (0, ""), "and another agent takes its place"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_signal_to_a_client_ends_its_command_alone(
    program: Program, agent: int, number: signal.Signals
) -> None:
    lasting = await program.start("ping", "-i", "0.05")
    other = await program.start("ping", "-c", "2", "-i", "0.5")
    assert lasting.stdout is not None
    await lasting.stdout.readline()
    lasting.send_signal(number)
    outcome = await finish(lasting)
    assert outcome.code == 128 + number
    if number != signal.SIGKILL:
        assert " answers from " in outcome.stdout.splitlines()[-1]
    assert (await finish(other)).code == 0
    async with asyncio.timeout(15):
        while (await held(program))[0]["running"]:
            pass
