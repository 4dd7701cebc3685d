"""`listen` that leaves messages out: it takes none away from other clients, and none holds its counters back."""

import json
import re
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish
from support.servers import Account, Server

pytestmark = pytest.mark.either_server

SM = "urn:xmpp:sm:3"


@pytest.fixture
def program(tmp_path: Path, server: Server, alice: Account) -> Program:
    program = Program(tmp_path, server, alice)
    program.env["XMPPSH_JID"] = f"{alice.jid}/watch"
    return program


async def test_a_message_to_the_account_goes_to_the_next_client_and_not_to_it(
    server: Server, program: Program, friend: Contact, alice: Account, tmp_path: Path
) -> None:
    async with program.listening("--only", "presence", ready=tmp_path / "ready"):
        await friend.send(alice.jid, "for whom it concerns")
        await friend.settle()
        async with Contact(server, alice) as other:
            message = await other.wait_for_message(lambda one: one.body != "")
            assert message.body == "for whom it concerns"


async def test_a_message_to_its_own_address_comes_back_and_holds_nothing_back(
    server: Server, program: Program, friend: Contact, alice: Account, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.xml"
    program.env["XMPPSH_TRACE"] = str(trace)
    only = ("--only", "presence", "--format", "json")
    async with program.listening(*only, ready=tmp_path / "ready") as process:
        stanza_id = await friend.send(f"{alice.jid}/watch", "are you there?")
        bounce = await friend.wait_for_message(lambda one: one.type == "error")
        assert (bounce.id, bounce.sender) == (stanza_id, f"{alice.jid}/watch")
        assert "service-unavailable" in bounce.xml
        for number in range(20):
            await friend.send_raw(f"<presence><status>{number}</status></presence>")
        assert process.stdout is not None
        while json.loads(await process.stdout.readline())["status"] != "19":
            pass
        process.terminate()
        outcome = await finish(process)
    assert outcome.code == 143, outcome.stderr
    handled = [int(h) for h in re.findall(rf"> <a xmlns=['\"]{SM}['\"] h=['\"](\d+)", trace.read_text())]
    assert handled[-1] > 20


@pytest.mark.parametrize("kinds", ["presence", "presence,iq"])
async def test_presence_and_requests_still_reach_it(
    server: Server, program: Program, friend: Contact, alice: Account, tmp_path: Path, kinds: str
) -> None:
    carol = server.account()
    async with (
        program.listening("--only", kinds, "--format", "json", ready=tmp_path / "ready") as process,
        Contact(server, carol) as stranger,
    ):
        await friend.wait_for_presence(alice.jid, "available", sender=f"{alice.jid}/watch")
        await stranger.send_raw(f"<presence type='subscribe' to='{alice.jid}'/>")
        await friend.send_raw("<presence><show>away</show></presence>")
        assert process.stdout is not None
        expected = {(carol.jid, "subscribe"), (friend.jid, "away")}
        while expected:
            record = json.loads(await process.stdout.readline())
            expected -= {(record["from"], record["type"]), (record["from"], record.get("show"))}


async def test_a_dry_run_shows_its_priority(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.env["XMPPSH_JID"] = "juliet@good.example"
    outcome = await program.run("-n", "listen", "--only", "presence")
    assert outcome.stdout.startswith("<presence><priority>-1</priority><c "), outcome.stderr
    assert outcome.stdout.count("\n") == 1


async def test_where_messages_are_printed_they_come(
    program: Program, friend: Contact, alice: Account, tmp_path: Path
) -> None:
    only = ("--only", "message,presence", "--format", "json")
    async with program.listening(*only, ready=tmp_path / "ready") as process:
        await friend.send(alice.jid, "hello")
        assert process.stdout is not None
        while (record := json.loads(await process.stdout.readline()))["kind"] != "message":
            assert record["kind"] == "presence"
        assert record["body"] == "hello"
