"""A session is lost without a count while the archive holds older messages with the same ids: only what arrived now has
arrived."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import reset_server_only
from support.program import Outcome, Program, finish
from support.servers import Server
from support.until import until

pytestmark = pytest.mark.either_server

ARRIVED, COUNT = 3, 8
BODIES = [str(number) for number in range(COUNT)]
NO_ORIGIN = ""
BROUGHT = "<origin-id xmlns='urn:xmpp:sid:0' id='origin-{body}'/>"


def stanzas(friend: Contact, origin: str) -> list[bytes]:
    to = friend.jid.partition("/")[0]
    return [
        (
            f"<message to='{to}' type='chat' id='id-{body}'><body>{body}</body>{origin.format(body=body)}</message>"
        ).encode()
        for body in BODIES
    ]


async def piped_twice(server: Server, program: Program, friend: Contact, origin: str) -> Outcome:
    """`pipe` with the same stanzas twice; the second time the last ones vanish, and the session is lost with them."""
    account, inputs = program.env["XMPPSH_JID"], stanzas(friend, origin)
    assert (await program.run("pipe", stdin=b"".join(inputs))).code == 0
    await friend.wait_for_messages(COUNT)
    await until(lambda: server.sessions(account) == [], "the end of the first run")
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("--no-guard", "--timeout", "6", "pipe")
        assert process.stdin is not None
        process.stdin.write(b"".join(inputs[:ARRIVED]))
        await friend.wait_for_messages(COUNT + ARRIVED)
        cut = await proxy.inject(reset_server_only())
        process.stdin.write(b"".join(inputs[ARRIVED:]))
        server.kick(server.sessions(account)[0])
        await until(lambda: server.sessions(account) == [], "the end of the session")
        cut.release()
        return await finish(process, deadline_s=60)


async def test_what_is_piped_again_is_not_taken_for_what_arrived_the_first_time(
    server: Server, friend: Contact, program: Program
) -> None:
    outcome = await piped_twice(server, program, friend, NO_ORIGIN)
    await friend.wait_for_messages(2 * COUNT)
    await friend.settle()
    assert (outcome.code, [message.body for message in friend.messages]) == (0, BODIES + BODIES)
    assert f"sent {COUNT}, acked {COUNT}, failed 0" in outcome.stderr


async def test_a_stanza_that_a_killed_run_has_stored_goes_out_with_the_origin_id_it_had(
    server: Server, friend: Contact, program: Program, tmp_path: Path
) -> None:
    checkpoint, inputs = tmp_path / "checkpoint", b"".join(stanzas(friend, NO_ORIGIN))
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("--no-guard", "-v", "pipe", "--checkpoint", str(checkpoint))
        assert process.stdin is not None
        assert process.stderr is not None
        while b"session" not in await process.stderr.readline():
            pass
        await proxy.inject(reset_server_only())
        process.stdin.write(inputs)
        stored: list[str] = []

        def all_are_stored() -> bool:  # until they are acknowledged on the next link, which may be soon
            stored[:] = origin_ids(checkpoint)
            return len(stored) == COUNT

        await until(all_are_stored, "the rows")
        process.kill()
        await process.wait()
        assert (await program.run("pipe", "--checkpoint", str(checkpoint), stdin=inputs, deadline_s=60)).code == 0
        await friend.wait_for_messages(COUNT)
        await friend.settle()
    assert [message.body for message in friend.messages] == BODIES
    assert [ORIGIN_ID.findall(message.xml) for message in friend.messages] == [[value] for value in stored]
    assert len(set(stored)) == COUNT


ORIGIN_ID = re.compile(r"<origin-id [^>]*\bid=[\"']([^\"']+)")


def origin_ids(checkpoint: Path) -> list[str]:
    """Of the stanzas that are stored, in order."""
    with closing(sqlite3.connect(checkpoint)) as database:
        rows = database.execute("SELECT xml FROM stanza WHERE fate = 'sent' ORDER BY id").fetchall()
    return [value for (xml,) in rows for value in ORIGIN_ID.findall(xml)]


async def test_origin_ids_that_the_input_brings_a_second_time_leave_it_uncertain_and_nothing_is_doubled(
    server: Server, friend: Contact, program: Program
) -> None:
    outcome = await piped_twice(server, program, friend, BROUGHT)
    await friend.settle()
    arrived = [message.body for message in friend.messages]
    assert (outcome.code, arrived) == (79, BODIES + BODIES[:ARRIVED]), outcome.stderr
    listed = (await program.run("--format", "json", "outbox", "list")).records
    assert [(record["id"], record["state"]) for record in listed][-1] == (f"id-{BODIES[-1]}", "uncertain")
    assert {record["id"] for record in listed} >= {f"id-{body}" for body in BODIES[ARRIVED:]}
