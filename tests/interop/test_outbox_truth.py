"""`outbox list` tells the truth at every moment: from the death of a program on, its line is there until it arrives."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import Fault, mark, reset_both, silent_hole
from support.program import Program, finish
from support.servers import Account, Server
from support.until import until

from xmppsh.outbox.journal import Journal, account_file
from xmppsh.outbox.owner import GUARD, Owner
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.xmlio.stanzas import Message

pytestmark = pytest.mark.either_server

FAULTS = {
    "open link": mark(),
    "hole": silent_hole(),
    "hole, and the next connection is one, too": silent_hole(every=True),
    "hole, and the server cannot be reached": silent_hole(refuse_s=1.5),
    "reset": reset_both(refuse_s=1.5),
}
LOOKS_AT_A_HOLE = 3
ARRIVES_WITHIN_S = 5.0  # an acknowledged message, on a loaded machine


def outbox_of(program: Program) -> Path:
    return account_file(Path(program.env["XDG_STATE_HOME"]) / "xmppsh", program.env["XMPPSH_JID"])


def rows(program: Program) -> int:
    with closing(sqlite3.connect(outbox_of(program))) as database:
        count: int = database.execute("SELECT count(*) FROM stanza").fetchone()[0]
        return count


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_every_look_from_the_death_on_shows_the_line_until_it_has_arrived(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, fault: Fault
) -> None:
    looker, to = Program(tmp_path, server, alice), friend.jid.partition("/")[0]
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"
        process = await program.start("pipe", "-q")
        assert process.stdin is not None
        process.stdin.write(f"<message to='{to}' type='chat'><body>first</body></message>".encode())
        await friend.wait_for_message(lambda message: message.body == "first")
        await until(lambda: rows(program) == 0, "its ack")
        injected = await proxy.inject(fault)
        process.stdin.write(f"<message to='{to}' type='chat' id='mine'><body>second</body></message>".encode())
        await until(lambda: rows(program) == 1 or len(friend.messages) == 2, "it is stored")
        process.kill()  # and it is not waited for
        looks = 0
        while (look := await looker.run("--format", "json", "outbox", "list")).records:
            assert [(one["id"], one["body"]) for one in look.records] == [("mine", "second")]
            looks += 1
            if looks == LOOKS_AT_A_HOLE and fault.every:
                injected.release()
            if look.records[0]["state"] == "queued" and look.records[0]["owner"] is None and looks > LOOKS_AT_A_HOLE:
                # It was never written, so nobody sends it unasked.
                assert (await looker.run("outbox", "retry")).code == 0
        assert (look.code, look.stderr) == (0, "")
        await friend.wait_for_message(lambda message: message.body == "second", ARRIVES_WITHIN_S)
        await friend.settle()
        assert [message.body for message in friend.messages] == ["first", "second"]
        await process.wait()


@pytest.mark.parametrize("server", ["prosody"], indirect=True)  # it does not depend on the server
async def test_what_a_guard_is_settling_is_shown_with_its_owner_and_left_alone(
    program: Program, tmp_path: Path, friend: Contact
) -> None:
    long = "a text that has much more to say than a line of a list can hold, whoever may have written it"
    account, to = program.env["XMPPSH_JID"], friend.jid.partition("/")[0]
    with closing(Journal(outbox_of(program), Owner(tmp_path / "xmppsh" / "locks", GUARD), account)) as guard:
        mine = Entry(1, Message(long).xml(to, "mine"), "message", "mine", to, Fate.SENT)
        guard.store.write(account, [mine], None, [], 0)
        helper = " ".join(guard.owner.name.split("-")[:2])
        shown = (await program.run("outbox", "list")).stdout
        assert shown.split("  ", 2)[2].split() == ["uncertain", *helper.split(), to, *long[:59].split(), "…"]
        held = f"xmppsh: {helper} is finding out whether the message 'mine' has arrived\n  try: wait for its end; "
        for words in (("retry", "mine"), ("drop", "mine"), ("retry",), ("flush",), ("drop", "--yes")):
            refused = await program.run("--timeout", "1", "outbox", *words)
            assert (refused.code, refused.stderr.startswith(held)) == (79, True)
        assert [one.stored.stanza_id for one in guard.unconfirmed()] == ["mine"]
    (left,) = (await program.run("--format", "json", "outbox", "list")).records
    assert (left["owner"], left["body"]) == (None, long)


@pytest.mark.parametrize("server", ["prosody"], indirect=True)  # it does not depend on the server
async def test_a_message_that_the_guard_has_settled_meanwhile_is_no_error_of_the_retry_that_named_it(
    program: Program, tmp_path: Path, friend: Contact
) -> None:
    account, to = program.env["XMPPSH_JID"], friend.jid.partition("/")[0]
    with closing(Journal(outbox_of(program), Owner(tmp_path / "xmppsh" / "locks", GUARD), account)) as guard:
        mine = Entry(1, Message("hello").xml(to, "mine"), "message", "mine", to, Fate.SENT)
        guard.store.write(account, [mine], None, [], 0)
        retry = await program.start("outbox", "retry", "mine")
        assert retry.stderr is not None
        assert b"another xmppsh is settling messages of this outbox" in await retry.stderr.readline()
        guard.finish([one.stored.entry() for one in guard.unconfirmed()])
    assert (await finish(retry)).code == 0


@pytest.mark.parametrize("server", ["prosody"], indirect=True)  # it does not depend on the server
async def test_a_flush_waits_for_the_guard_that_has_the_messages_and_sends_what_it_left(
    program: Program, tmp_path: Path, friend: Contact
) -> None:
    account, to = program.env["XMPPSH_JID"], friend.jid.partition("/")[0]
    with closing(Journal(outbox_of(program), Owner(tmp_path / "xmppsh" / "locks", GUARD), account)) as guard:
        queued = Entry(1, Message("hello").xml(to, "mine"), "message", "mine", to, Fate.QUEUED)
        guard.store.write(account, [queued], None, [], 0)
        flush = await program.start("outbox", "flush")
        assert flush.stderr is not None
        assert (
            b"another xmppsh is settling messages of this outbox; that is waited for" in await flush.stderr.readline()
        )
    assert (await finish(flush)).code == 0
    await friend.wait_for_message(lambda message: message.body == "hello")
    assert (await program.run("outbox", "list")).stdout == ""
