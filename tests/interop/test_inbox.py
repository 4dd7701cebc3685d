"""`listen` whose reader is slow, or that has much to read: everything is printed once, in order, whatever ends."""

import asyncio
import fcntl
import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish
from support.servers import Account, Server
from support.until import until

pytestmark = pytest.mark.either_server

COUNT = 600  # more than Prosody 0.12 keeps of what was not acknowledged (smacks_max_queue_size)
PIPE_BYTES = 4096  # the least that Linux gives a pipe: the reader's backlog is ours from then on


def bodies(count: int) -> list[str]:
    return [f"message {number} with some words, to be like one of people" for number in range(count)]


async def flood(friend: Contact, to: str) -> None:
    await friend.send_raw(
        "".join(f"<message to='{to}' type='chat'><body>{body}</body></message>" for body in bodies(COUNT))
    )
    await friend.settle(60)


class Reader:
    """The reading end of a listening program's stdout, which reads when it is told to."""

    def __init__(self) -> None:
        self.fd, self.theirs = os.pipe()
        fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def read_some(self) -> bytes:
        """A page of it, once there is something."""
        return os.read(self.fd, PIPE_BYTES)

    def read(self) -> list[str]:
        """All that was written, once the other end is closed."""
        os.close(self.theirs)
        with os.fdopen(self.fd) as file:
            return file.read().splitlines()


def stored(tmp_path: Path) -> int:
    """How many messages wait in the inbox."""
    for path in (tmp_path / "xmppsh" / "inbox").glob("*.sqlite"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database, suppress(sqlite3.Error):
            return int(database.execute("SELECT count(xml) FROM arrival").fetchone()[0])
    return 0


async def test_what_nobody_reads_is_stored_and_acknowledged_and_printed_when_somebody_does(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    reader = Reader()
    async with program.listening(
        "-C", str(COUNT), "-F", "%b", ready=tmp_path / "ready", stdout=reader.theirs
    ) as process:
        await flood(friend, alice.jid)
        await until(lambda: stored(tmp_path) > 0, "an inbox")
        printed = asyncio.create_task(asyncio.to_thread(reader.read))
        assert (await finish(process)).code == 0
        assert await printed == bodies(COUNT)
    assert friend.messages == [], "nothing was bounced"


async def test_with_an_inbox_of_nothing_what_nobody_reads_stays_with_the_server(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    reader, ready = Reader(), tmp_path / "ready"
    words = ("--inbox-max", "0", "-C", str(COUNT), "-F", "%b")
    async with program.listening(*words, ready=ready, stdout=reader.theirs) as process:
        await flood(friend, alice.jid)
        printed = b""
        while printed.count(b"\n") < COUNT:
            printed += await asyncio.to_thread(reader.read_some)
            assert stored(tmp_path) == 0
        assert (await finish(process)).code == 0
    assert printed.decode().splitlines() == bodies(COUNT)
    assert reader.read() == []


async def test_what_a_killed_listen_had_not_printed_is_printed_by_the_next_one_first_and_once(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    reader = Reader()
    async with program.listening("-F", "%b", ready=tmp_path / "ready", stdout=reader.theirs) as process:
        shown = await friend.wait_for_presence(alice.jid, "available")
        await flood(friend, alice.jid)
        # Of a session that died Prosody keeps 500 at most (smacks_max_queue_size): the rest has to be stored before.
        await until(lambda: stored(tmp_path) >= COUNT - 400, "most of them in the inbox")
        process.kill()
        await friend.wait_for_presence(alice.jid, "unavailable", sender=shown.sender)
    first = await asyncio.to_thread(reader.read)
    rest = await program.run("listen", "-C", str(COUNT - len(first)), "-W", "20", "-F", "%b")
    assert (rest.code, first + rest.stdout.splitlines()) == (0, bodies(COUNT)), rest.stderr
    again = await program.run("listen", "-W", "1", "-F", "%b")
    assert (again.code, again.stdout) == (0, "")


async def test_what_a_listen_leaves_unread_at_its_end_is_the_next_ones_where_another_client_is_online(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    program.env["XMPPSH_JID"] = bot = f"{alice.jid}/bot"
    async with Contact(server, alice, "phone"):
        async with program.listening("-C", "1", "-F", "%b", ready=tmp_path / "ready") as process:
            await friend.wait_for_presence(alice.jid, "available", sender=bot)
            process.send_signal(signal.SIGSTOP)
            for body in ("one", "two", "three"):
                await friend.send(bot, body)
            await friend.settle()
            process.send_signal(signal.SIGCONT)
            assert (await finish(process)).stdout == "one\n"
        left = await program.run("listen", "--drain", "-F", "%b")
        assert (left.code, left.stdout) == (0, "two\nthree\n"), left.stderr
        assert (await program.run("listen", "--drain", "-F", "%b")).stdout == ""
    assert friend.messages == [], "nothing was bounced"


async def test_one_shots_of_one_address_do_not_end_each_other_or_a_listen(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    bare = program.env["XMPPSH_JID"]
    program.env["XMPPSH_JID"] = f"{bare}/alerts"
    async with program.listening("--no-carbons", "-C", "1", "-F", "%b", ready=tmp_path / "ready") as process:
        sent = await asyncio.gather(*(program.run("send", friend.jid, f"alert {number}") for number in range(8)))
        assert [one.code for one in sent] == [0] * 8
        senders = {message.sender for message in await friend.wait_for_messages(8)}
        assert len(senders) == 8
        assert all(sender.startswith(f"{bare}/alerts.") for sender in senders)
        await friend.send(f"{bare}/alerts", "still here")
        assert (await finish(process)).stdout == "still here\n"
