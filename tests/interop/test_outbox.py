"""What a crash leaves behind is kept, shown, and settled by proof: nothing is lost, nothing is sent twice."""

import asyncio
import os
import re
import signal
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import silent_hole
from support.program import Program, finish
from support.servers import Account, Server
from support.until import until

from xmppsh.outbox.journal import account_file
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.outbox.store import Store
from xmppsh.xmlio.stanzas import Message

pytestmark = pytest.mark.either_server


@pytest.fixture
def bob(server: Server) -> Account:
    return server.account()


@pytest.fixture
def program(tmp_path: Path, server: Server) -> Program:
    return Program(tmp_path, server, server.account())


async def killed_in_mid_send(program: Program, server: Server, to: str, *lines: str) -> None:
    """`send --lines` dies by SIGKILL while its server does not answer: its messages have left, or not."""
    process = await program.start("-v", "--resume-max", "0", "send", to, "--lines")
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"first\n")
    while b"session" not in await asyncio.wait_for(process.stderr.readline(), 20):
        pass
    server.suspend()
    try:
        process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        await process.stdin.drain()
        await asyncio.to_thread(stored, program, len(lines))
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    finally:
        server.resume()


def stored(program: Program, at_least: int) -> int:
    """Wait until the outbox holds so many messages."""
    while True:
        for path in (Path(program.env["XDG_STATE_HOME"]) / "xmppsh" / "outbox").glob("*.sqlite"):
            with suppress(sqlite3.OperationalError), sqlite3.connect(path) as database:  # it may be being made
                count: int = database.execute("SELECT count(*) FROM stanza WHERE fate = 'sent'").fetchone()[0]
                if count >= at_least:
                    return count


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_what_a_crash_left_is_listed_and_settled_by_the_archive(
    start_server: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    server = start_server(name)
    account, bob = server.account(), server.account()
    program = Program(tmp_path, server, account)
    async with Contact(server, bob) as contact:
        await killed_in_mid_send(program, server, bob.jid, "second", "third")
        listed = await program.run("--format", "json", "outbox", "list")
        assert listed.code == 0
        assert {record["state"] for record in listed.records} == {"uncertain"}
        assert {record["to"] for record in listed.records} == {bob.jid}
        assert len(listed.records) >= 2
        outcome = await program.run("outbox", "retry")
        assert (outcome.code, outcome.stderr) == (0, "")
        await contact.wait_for_message(lambda message: message.body == "third")
        await contact.settle()
        assert [message.body for message in contact.messages] == ["first", "second", "third"]
        assert (await program.run("outbox", "list")).stdout == ""


def left_by_a_dead_process(program: Program, to: str, fate: Fate) -> list[str]:
    """Three messages in the outbox, of a process that is gone; their bodies."""
    account = program.env["XMPPSH_JID"]
    bodies = ["one", "two", "three"]
    store = Store(account_file(Path(program.env["XDG_STATE_HOME"]) / "xmppsh", account), "process-1-gone")
    messages = [(Message(body).xml(to, f"{fate}-{body}"), f"{fate}-{body}") for body in bodies]
    store.write(account, [Entry(1, xml, "message", name, to, fate) for xml, name in messages], None, [], 0)
    store.close()
    return bodies


@pytest.mark.parametrize("fate", [Fate.QUEUED, Fate.SENT, Fate.UNCERTAIN])
async def test_of_two_retries_at_once_one_sends_each_message(
    server: Server, program: Program, bob: Account, fate: Fate
) -> None:
    async with Contact(server, bob) as contact:
        bodies = left_by_a_dead_process(program, bob.jid, fate)
        outcomes = await asyncio.gather(*(program.run("outbox", "retry") for _ in range(2)))
        assert [outcome.code for outcome in outcomes] == [0, 0]
        for told in (outcome.stderr for outcome in outcomes):
            assert told == "" or re.fullmatch(
                r"xmppsh: another xmppsh (has taken over \d of 3|is settling) messages.*\n", told
            )
        await contact.wait_for_messages(3)
        await contact.settle()
        assert sorted(message.body for message in contact.messages) == sorted(bodies)
    assert (await program.run("outbox", "list")).stdout == ""


def there(outbox: Path, body: str) -> int:
    """How many messages with this body have left, and are kept."""
    with closing(sqlite3.connect(outbox)) as database:
        query = "SELECT count(*) FROM stanza WHERE fate = 'sent' AND xml LIKE ?"
        count: int = database.execute(query, (f"%>{body}<%",)).fetchone()[0]
        return count


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_a_message_that_the_retry_s_own_start_has_settled_is_not_sent_again_though_its_id_is_given(
    start_server: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    server = start_server(name, archive=False)  # which would know that it has arrived
    bob, program = server.account(), Program(tmp_path, server, server.account())
    async with ChaosProxy(server.host, server.port) as proxy, Contact(server, bob) as contact:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        outbox = account_file(Path(program.env["XDG_STATE_HOME"]) / "xmppsh", program.env["XMPPSH_JID"])
        process = await program.start("--no-guard", "pipe")
        assert process.stdin is not None
        process.stdin.write(f"<message to='{bob.jid}' type='chat'><body>first</body></message>".encode())
        await contact.wait_for_message(lambda message: message.body == "first")
        await until(lambda: there(outbox, "first") == 0, "its ack")
        hole = await proxy.inject(silent_hole())
        process.stdin.write(f"<message to='{bob.jid}' type='chat' id='mine'><body>second</body></message>".encode())
        await until(lambda: there(outbox, "second") == 1, "its row")
        process.kill()
        await process.wait()
        hole.release()
        with closing(sqlite3.connect(outbox)) as database, database:
            database.execute("UPDATE session SET written = written - 60")  # the server has long read what it got
        outcome = await program.run("outbox", "retry", "mine")
        assert outcome.code == 0
        # ejabberd's count is a snapshot, which proves nothing about the second one: that is sent since it is named.
        assert (outcome.stderr == "") is (name == "prosody")
        await contact.wait_for_message(lambda message: message.body == "second")
        await contact.settle()
        assert [message.body for message in contact.messages] == ["first", "second"]


async def test_a_message_that_was_confirmed_leaves_nothing_in_the_outbox(program: Program, bob: Account) -> None:
    assert (await program.run("send", bob.jid, "done")).code == 0
    assert (await program.run("outbox", "list")).stdout == ""


@pytest.mark.parametrize("name", ["prosody"])
async def test_drop_forgets_what_is_named_and_everything_only_when_sure(
    start_server: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    server = start_server(name)
    program = Program(tmp_path, server, server.account())
    await killed_in_mid_send(program, server, server.account().jid, "second", "third")
    records = (await program.run("--format", "json", "outbox", "list")).records
    for action in ("retry", "drop"):
        dry = await program.run("-n", "--no-guard", "outbox", action)
        assert (dry.code, len(dry.stdout.splitlines())) == (0, len(records)), dry.stderr
    assert (await program.run("--format", "json", "outbox", "list")).records == records
    assert (await program.run("outbox", "drop", records[0]["id"])).code == 0
    unsure = await program.run("outbox", "drop")
    assert unsure.code == 64
    assert "--yes" in unsure.stderr
    assert len((await program.run("outbox", "list")).stdout.splitlines()) == len(records) - 1
    assert (await program.run("outbox", "drop", "--yes")).code == 0
    assert (await program.run("outbox", "list")).stdout == ""
    assert (await program.run("outbox", "drop", "no-such-id")).code == 64


async def test_a_checkpoint_that_is_no_file_is_refused_and_left_as_it_is(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path, 0o644)
    outcome = await program.run("pipe", "--checkpoint", str(path), stdin=b"<presence/>")
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (74, f"xmppsh: {path} is not a regular file")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    again = await program.run("ping")
    assert (again.code, again.stderr) == (0, "")


async def test_a_descriptor_that_is_not_open_is_refused_before_the_number_is_that_of_a_file_of_ours(
    program: Program,
) -> None:
    outcome = await program.run("listen", "--ready", "11", "-W", "1")
    assert (outcome.code, outcome.stderr) == (74, "xmppsh: file descriptor 11: bad file descriptor\n")


async def test_a_state_folder_that_cannot_be_written_is_74_and_sends_nothing(
    server: Server, program: Program, bob: Account, tmp_path: Path
) -> None:
    blocked = tmp_path / "a-file-where-the-folder-should-be"
    blocked.write_text("")
    program.env["XDG_STATE_HOME"] = str(blocked)
    async with Contact(server, bob) as contact:
        outcome = await program.run("send", bob.jid, "never")
        assert outcome.code == 74, outcome.stderr
        await contact.settle()
        assert contact.messages == []


@pytest.mark.parametrize(("wait", "code"), [("sent", 0), ("acked", 0), ("delivered:0.5", 75)])
async def test_wait_says_what_success_means(program: Program, bob: Account, wait: str, code: int) -> None:
    outcome = await program.run("send", bob.jid, "hi", "--wait", wait)
    assert outcome.code == code, outcome.stderr


async def test_delivered_is_a_success_when_the_recipients_client_confirms(
    server: Server, program: Program, bob: Account
) -> None:
    recipient = Contact(server, bob)
    recipient.client.register_plugin("xep_0184")
    async with recipient:
        # A client confirms to those alone who may see its presence (XEP-0184 §5.3); this one confirms to everybody.
        outcome = await program.run("send", recipient.jid, "hi", "--wait", "delivered:10")
        assert outcome.code == 0, outcome.stderr


async def test_a_checkpoint_skips_what_is_confirmed(
    server: Server, program: Program, bob: Account, tmp_path: Path
) -> None:
    checkpoint = str(tmp_path / "checkpoint")
    stanzas = "".join(f"<message to='{bob.jid}'><body>{number}</body></message>\n" for number in range(20))
    async with Contact(server, bob) as contact:
        for part in (stanzas[: len(stanzas) // 2].rpartition("<message")[0], stanzas, stanzas):
            assert (await program.run("pipe", "--checkpoint", checkpoint, stdin=part.encode())).code == 0
        await contact.wait_for_messages(20)
        await contact.settle()
        assert [message.body for message in contact.messages] == [str(number) for number in range(20)]


async def test_a_checkpoint_in_use_or_of_another_account_is_refused(
    server: Server, program: Program, bob: Account, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"
    first = await program.start("-v", "pipe", "--checkpoint", str(checkpoint))
    assert first.stdin is not None
    assert first.stderr is not None
    first.stdin.write(f"<message to='{bob.jid}'><body>x</body></message>".encode())
    while b"session" not in await asyncio.wait_for(first.stderr.readline(), 20):
        pass
    busy = await program.run("pipe", "--checkpoint", str(checkpoint))
    assert busy.code == 74
    assert "in use by another xmppsh" in busy.stderr
    assert (await finish(first)).code == 0
    other = await Program(tmp_path, server, bob).run("pipe", "--checkpoint", str(checkpoint))
    assert other.code == 74
    assert program.env["XMPPSH_JID"] in other.stderr
