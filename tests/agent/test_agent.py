"""The agent and its thin clients, as real processes on a real server."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish, serves
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
    started = await program.run("agent", "start")
    assert (started.code, started.stderr) == (0, ""), "and another agent takes its place"
    assert (await program.run("ping")).code == 0
    assert (await program.run("agent", "stop")).code == 0


async def test_an_agent_that_is_killed_leaves_its_commands_unconfirmed_and_what_they_sent_in_the_outbox(
    server: Server, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    own = start_server(server.name)
    program, bob = Program(tmp_path, own, own.account()), own.account()
    process = await program.start("agent", "start", "--foreground")
    await serves(tmp_path / "xmppsh" / "agent.sock", process)
    assert (await program.run("ping")).code == 0
    own.suspend()
    clients = [await program.start("send", bob.jid, "hello", *more) for more in ((), ("--format", "json"))]
    async with asyncio.timeout(30):
        while (await held(program))[0]["running"] != len(clients):
            pass
    process.kill()
    own.resume()
    text, as_json = [await finish(client) for client in clients]
    assert (text.code, as_json.code) == (79, 79)
    sentence = "the agent has ended, and nobody knows how far the command came"
    assert text.stderr.splitlines()[0] == f"xmppsh: {sentence}"
    assert (as_json.error["name"], as_json.error["text"]) == ("UNCONFIRMED", sentence)
    kept = await program.run("outbox", "list", "--format", "json")
    assert [one["state"] for one in kept.records] == ["uncertain", "uncertain"]
    await finish(process)


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


MANY = 50
# Clients that begin at the same time; each sends two messages, one after the other, and ends with its worse exit code.
AT_ONCE = """
import os, sys
from xmppsh.agent.thin import hand_over
ready, go = os.pipe()
pids = []
for client in range(int(sys.argv[1])):
    if (pid := os.fork()) == 0:
        os.close(go)
        os.read(ready, 1)
        codes = [hand_over(["send", sys.argv[2], f"{client} {number}"]) for number in (1, 2)]
        os._exit(99 if None in codes else max(codes))
    pids.append(pid)
os.close(go)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
"""


async def test_fifty_clients_at_once_are_all_acknowledged_each_in_its_order(
    server: Server, program: Program, agent: int
) -> None:
    bob = server.account()
    async with Contact(server, bob) as contact:
        clients = await asyncio.create_subprocess_exec(
            sys.executable, "-c", AT_ONCE, str(MANY), bob.jid, env=program.env, stdout=asyncio.subprocess.PIPE
        )
        outcome = await finish(clients)
        assert outcome.stdout == f"{[0] * MANY}\n"
        await contact.wait_for_messages(2 * MANY)
        bodies = [message.body for message in contact.messages]
    for client in range(MANY):
        assert [body for body in bodies if body.startswith(f"{client} ")] == [f"{client} 1", f"{client} 2"]
    (session,) = await held(program)
    assert session["commands"] == 2 * MANY
