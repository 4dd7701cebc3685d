"""An import and an export that are killed and run again: nothing is missing, and nothing is doubled."""

import asyncio
import json
import os
import secrets
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish
from support.servers import Account, Server
from support.until import DEADLINE_S, until

pytestmark = pytest.mark.either_server

COUNT = 260


async def test_an_import_shows_how_far_it_is_and_goes_on_after_a_kill(program: Program) -> None:
    lines = [json.dumps({"jid": f"c{one}@example.org", "name": f"C {one}", "groups": ["g"]}) for one in range(COUNT)]
    given, shown = "\n".join(lines).encode(), b""
    ours, theirs = os.openpty()
    process = await program.start("roster", "import", stderr=theirs)
    os.close(theirs)
    assert process.stdin is not None
    process.stdin.write(given)
    process.stdin.close()
    async with asyncio.timeout(DEADLINE_S):
        while b"%" not in shown:
            shown += await asyncio.to_thread(os.read, ours, 4096)
    process.kill()
    await process.wait()
    os.close(ours)
    assert b"contacts" in shown
    again = await program.run("roster", "import", stdin=given)
    assert (again.code, again.stderr) == (0, "")
    exported = (await program.run("roster", "export")).records
    assert sorted(one["jid"] for one in exported) == sorted(f"c{one}@example.org" for one in range(COUNT))
    assert {(one["name"].removeprefix("C "), *one["groups"]) for one in exported} == {
        (str(one), "g") for one in range(COUNT)
    }


async def test_the_export_of_a_room_that_is_killed_goes_on_with_nothing_missing_or_doubled(
    server: Server, alice: Account, program: Program, tmp_path: Path
) -> None:
    room, out, mark = f"{secrets.token_hex(4)}@{server.conference}", tmp_path / "out", tmp_path / "mark"
    async with Contact(server, alice) as owner:
        await owner.send_raw(f"<presence to='{room}/owner'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        await owner.wait_for_presence(room, "available")
        for number in range(COUNT):
            await owner.send_raw(f"<message to='{room}' type='groupchat'><body>{number}</body></message>")
        await owner.wait_for_message(lambda one: one.body == str(COUNT - 1))
        command = ("history", "export", "--room", room, "--checkpoint", str(mark))
        with out.open("ab") as file:
            process = await program.start(*command, stdout=file)
            await until(mark.exists, "a checkpoint")
            process.kill()
            await process.wait()
        with out.open("ab") as file:
            outcome = await finish(await program.start(*command, stdout=file))
        assert outcome.code == 0, outcome.stderr
    bodies = [json.loads(line)["body"] for line in out.read_text().splitlines()]
    assert [one for one in bodies if one] == [str(number) for number in range(COUNT)]


@pytest.mark.parametrize(
    ("kind", "code", "why"),
    [
        ("prosody", 67, "has no message with the id of-another-server, after which to go on"),
        ("ejabberd", 65, "is the checkpoint of another server: after its last message, of "),  # it begins anew
    ],
)
async def test_an_export_whose_last_message_the_archive_does_not_know_says_so_and_writes_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, code: int, why: str
) -> None:
    server = request.getfixturevalue(kind)
    own, out, mark = server.account(), tmp_path / "out", tmp_path / "mark"
    program = Program(tmp_path, server, own)
    command = ("history", "export", "--checkpoint", str(mark))
    for _ in range(2):
        await program.run("send", own.jid, "kept")
    with out.open("ab") as file:
        assert (await finish(await program.start(*command, stdout=file))).code == 0
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"after": "of-another-server"}))
    before = out.read_bytes()
    with out.open("ab") as file:
        outcome = await finish(await program.start(*command, stdout=file))
    assert (outcome.code, out.read_bytes()) == (code, before)
    assert why in outcome.stderr
    assert "begin anew, with another checkpoint and output" in outcome.stderr
