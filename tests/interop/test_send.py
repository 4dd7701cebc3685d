"""`send` beyond one message: replies, rooms, files, lines over a cut, and what is stored for later."""

import asyncio
import re
import secrets
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import reset_both
from support.program import Program, finish
from support.servers import MAX_UPLOAD_BYTES, Account, Server

pytestmark = pytest.mark.either_server


@pytest.fixture
def bob(server: Server) -> Account:
    return server.account()


@pytest.fixture
def room(server: Server) -> str:
    return f"{secrets.token_hex(4)}@{server.conference}"


@pytest.fixture
async def inside(server: Server, bob: Account, room: str) -> AsyncIterator[Contact]:
    """Bob, who is in the room."""
    async with Contact(server, bob) as contact:
        await contact.send_raw(f"<presence to='{room}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        await contact.wait_for_presence(room, "available")
        yield contact


async def test_the_record_has_the_id_and_the_ack(program: Program, bob: Account) -> None:
    outcome = await program.run("send", bob.jid, "x", "--id", "m1", "--format", "json")
    assert outcome.code == 0
    assert outcome.records == [{"id": "m1", "to": bob.jid, "acked": True}]
    outcome = await program.run("send", bob.jid, "x", "--wait", "sent", "-F", "%i", "--id", "m2")
    assert outcome.stdout == "m2\n"


async def test_verbose_tells_what_it_cost(program: Program, bob: Account) -> None:
    outcome = await program.run("-v", "send", bob.jid, "hello")
    steps = r"dns \d+, tcp \d+, tls \d+, sasl \d+, bind \d+, ack \d+, in all \d+ ms; \d+ round trips"
    assert re.fullmatch(f"xmppsh: {steps}", outcome.stderr.splitlines()[-1])


async def test_wait_reply_prints_the_answer_and_nothing_else(program: Program, server: Server, bob: Account) -> None:
    async with Contact(server, bob) as contact, Contact(server, server.account()) as other:

        async def answer() -> None:
            asked = await contact.wait_for_message(lambda one: one.body == "what?")
            await other.send(asked.sender, "not me")
            await contact.send(asked.sender, "this")

        answering = asyncio.ensure_future(answer())
        outcome = await program.run("send", bob.jid, "what?", "--wait", "reply:20", "--format", "json")
        await answering
    assert outcome.code == 0
    assert [record["body"] for record in outcome.records] == ["this"]


async def test_wait_reply_that_never_comes_is_75(program: Program, bob: Account) -> None:
    outcome = await program.run("send", bob.jid, "what?", "--wait", "reply:0.2")
    assert (outcome.code, outcome.stdout) == (75, "")
    assert outcome.stderr.startswith(f"xmppsh: {bob.jid} did not answer within 0.2 s (the server has the message)")


async def test_room_joins_speaks_and_leaves(program: Program, room: str, inside: Contact) -> None:
    outcome = await program.run("send", room, "hello", "--room", "--nick", "juliet")
    assert (outcome.code, outcome.stderr) == (0, "")
    await inside.wait_for_message(lambda one: (one.sender, one.body) == (f"{room}/juliet", "hello"))
    await inside.wait_for_presence(room, "unavailable", sender=f"{room}/juliet")


async def test_a_room_that_refuses_keeps_the_message_from_no_other(
    program: Program, server: Server, room: str, inside: Contact
) -> None:
    nowhere = f"none@{server.conference}"
    outcome = await program.run("send", "--room", "--nick", "juliet", nowhere, "hello", "--to", room, "--each")
    await inside.wait_for_message(lambda one: (one.sender, one.body) == (f"{room}/juliet", "hello"))
    assert outcome.code == 80
    assert [(one["to"], one["ok"]) for one in outcome.records] == [(nowhere, False), (room, True)]
    assert outcome.records[0]["error"]["code"] == 67
    outcome = await program.run("send", "--room", nowhere, "--lines", "--each", stdin=b"hello\n")
    assert (outcome.code, outcome.stdout) == (67, "")


async def test_recipients_come_from_stdin_where_the_text_does_not(program: Program, bob: Account) -> None:
    to = f"\ufeff# the team\n{bob.jid}\r\n\n".encode()
    outcome = await program.run("send", "--to-file", "-", "hello", "--format", "json", stdin=to)
    assert [one["to"] for one in outcome.records] == [bob.jid], outcome
    for arguments in ([], ["-"], ["--lines"]):
        assert (await program.run("send", "--to-file", "-", *arguments, stdin=to)).code == 64
    assert (await program.run("send", "--to-file", "-", "hello", stdin=b"# none\n")).code == 65


@pytest.mark.usefixtures("inside")
async def test_a_nick_that_is_taken_is_told_by_name(program: Program, room: str) -> None:
    outcome = await program.run("send", room, "hello", "--room", "--nick", "bob")
    assert outcome.code == 77
    assert outcome.stderr == f"xmppsh: the room {room} already has someone called bob\n  try: --nick NICK\n"


async def test_a_ban_and_a_password_are_told_by_name(
    program: Program, room: str, inside: Contact, alice: Account
) -> None:
    admin = "<query xmlns='http://jabber.org/protocol/muc#admin'>{}</query>"
    ban = admin.format(f"<item affiliation='outcast' jid='{alice.jid}'/>")
    await inside.send_raw(f"<iq type='set' id='ban' to='{room}'>{ban}</iq>")
    await inside.settle()
    outcome = await program.run("send", room, "hello", "--room")
    assert outcome.code == 77
    assert outcome.stderr.startswith(f"xmppsh: the room {room} ")
    assert "banned" in outcome.stderr


async def test_a_room_on_a_server_that_ours_does_not_talk_to_has_banned_nobody(program: Program) -> None:
    room = "team@rooms.elsewhere.example"
    for command in (["send", room, "hello", "--room"], ["listen", "--room", room]):
        outcome = await program.run(*command)
        assert outcome.code == 77, outcome
        assert outcome.stderr.startswith("xmppsh: rooms.elsewhere.example: "), outcome


async def test_a_room_that_is_not_there_is_not_made(program: Program, server: Server, room: str) -> None:
    outcome = await program.run("send", room, "hello", "--room")
    assert outcome.code == 67
    assert outcome.stderr.startswith(f"xmppsh: the room {room} does not exist")


async def test_what_is_no_room_is_told_at_once_though_nothing_comes_back(
    program: Program, server: Server, bob: Account
) -> None:
    for command in (["send", bob.jid, "hello", "--room"], ["listen", "--room", bob.jid]):
        outcome = await program.run(*command, "--timeout", "60")
        assert (outcome.code, outcome.stdout) == (76, "")
        assert outcome.stderr.startswith(f"xmppsh: {server.domain} does not offer rooms (XEP-0045)")


async def test_attach_uploads_and_sends_the_url(program: Program, server: Server, bob: Account, tmp_path: Path) -> None:
    content = secrets.token_bytes(100_000)
    (tmp_path / "a b.bin").write_bytes(content)
    async with Contact(server, bob) as contact:
        outcome = await program.run("send", bob.jid, "look", "--attach", str(tmp_path / "a b.bin"))
        assert (outcome.code, outcome.stderr) == (0, "")
        await contact.wait_for_message(lambda one: one.body == "look")
        told = await contact.wait_for_message(lambda one: one.body.startswith("http"))
    assert f"<url>{told.body}</url>" in told.xml

    def fetched() -> bytes:
        with urllib.request.urlopen(told.body) as answer:
            data: bytes = answer.read()
            return data

    assert await asyncio.to_thread(fetched) == content


async def test_a_file_that_is_too_large_is_refused_before_anything_is_sent(
    program: Program, server: Server, bob: Account, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(bytes(MAX_UPLOAD_BYTES + 1))
    async with Contact(server, bob) as contact:
        outcome = await program.run("send", bob.jid, "look", "--attach", str(tmp_path / "big"))
        assert outcome.code != 0
        assert "does not take big" in outcome.stderr
        assert (await program.run("send", bob.jid, "end")).code == 0
        await contact.wait_for_message(lambda one: one.body == "end")
        assert [one.body for one in contact.messages] == ["end"]


async def test_lines_go_on_after_a_cut(program: Program, server: Server, bob: Account) -> None:
    async with ChaosProxy(server.host, server.port) as proxy, Contact(server, bob) as contact:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("send", bob.jid, "--lines")
        assert process.stdin is not None
        process.stdin.write(b"one\n")
        await contact.wait_for_message(lambda one: one.body == "one")
        await proxy.inject(reset_both())
        process.stdin.write(b"two\nthree\n")
        process.stdin.write_eof()
        assert (await finish(process, None)).code == 0
        await contact.wait_for_message(lambda one: one.body == "three")
        assert [one.body for one in contact.messages] == ["one", "two", "three"]


async def test_a_bad_line_takes_no_good_one_with_it(program: Program, server: Server, bob: Account) -> None:
    async with Contact(server, bob) as contact:
        stripped = await program.run("send", bob.jid, "--lines", stdin=b"good\n\x1b[31mred\x1b[0m\nlast\n")
        assert stripped.code == 80
        assert stripped.stderr.startswith("xmppsh: 9 characters that XML cannot carry were left out")
        refused = await program.run("send", bob.jid, "--lines", "--control", "refuse", stdin=b"before\n\x1b\nafter\n")
        assert refused.code == 65
        assert refused.stderr.startswith("xmppsh: line 2 of stdin holds U+001B at character 1, which XML cannot carry")
        await contact.wait_for_message(lambda one: one.body == "before")
        assert [one.body for one in contact.messages] == ["good", "red", "last", "before"]


async def test_queue_stores_what_the_server_is_not_there_for(program: Program, server: Server, bob: Account) -> None:
    there = program.env["XMPPSH_HOST"]
    program.env["XMPPSH_HOST"] = f"{server.host}:1"
    outcome = await program.run("send", bob.jid, "later", "--queue", "--id", "m1", "--format", "json")
    assert outcome.code == 81
    assert outcome.records == [{"id": "m1", "to": bob.jid, "queued": True}]
    assert outcome.error["text"].startswith("1 message is stored and not sent: ")
    listed = await program.run("outbox", "list", "--format", "json")
    assert [(one["id"], one["state"]) for one in listed.records] == [("m1", "queued")]
    program.env["XMPPSH_HOST"] = there
    async with Contact(server, bob) as contact:
        assert (await program.run("outbox", "flush")).code == 0
        await contact.wait_for_message(lambda one: one.body == "later")
    assert (await program.run("outbox", "list")).stdout == ""


@pytest.mark.parametrize(("queue", "code"), [([], 69), (["--queue"], 81)], ids=["lost", "queued"])
async def test_each_message_has_its_result_where_no_session_comes_about(
    program: Program, server: Server, bob: Account, queue: list[str], code: int
) -> None:
    program.env["XMPPSH_HOST"] = f"{server.host}:1"
    outcome = await program.run("send", bob.jid, "--to", f"other@{server.domain}", "--each", *queue, "text")
    assert outcome.code == code
    assert [(one["to"], one["ok"], one["error"]["code"]) for one in outcome.records] == [
        (bob.jid, False, code),
        (f"other@{server.domain}", False, code),
    ]


async def test_what_is_flushed_is_told_when_it_comes_back_and_is_said_in_its_room(
    program: Program, server: Server, room: str, inside: Contact
) -> None:
    nobody, nowhere = f"nobody@{server.domain}", f"none@{server.conference}"
    there = program.env["XMPPSH_HOST"]
    program.env["XMPPSH_HOST"] = f"{server.host}:1"
    for arguments in ([nobody, "lost"], ["--room", nowhere, "kept"], ["--room", "--nick", "juliet", room, "said"]):
        assert (await program.run("send", "--queue", *arguments)).code == 81
    stored = (await program.run("outbox", "list", "--format", "json")).records
    assert [one["to"] for one in stored] == [nobody, nowhere, room]
    program.env["XMPPSH_HOST"] = there
    outcome = await program.run("outbox", "flush")
    await inside.wait_for_message(lambda one: (one.sender, one.body) == (f"{room}/juliet", "said"))
    assert (outcome.code, outcome.stderr.splitlines()[2]) == (80, "xmppsh: 2 of 3 messages failed")
    assert f"xmppsh: {nobody}: service-unavailable\n" in outcome.stderr
    assert f"xmppsh: the room {nowhere} does not exist\n" in outcome.stderr
    listed = await program.run("outbox", "list", "--format", "json")
    assert [(one["to"], one["state"]) for one in listed.records] == [(nowhere, "queued")]
