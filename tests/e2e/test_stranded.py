"""A message that ejabberd stores while `listen` comes online is fetched; without that it would lie there for good."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.contact import Contact
from support.ejabberd import DATABASE
from support.program import Program
from support.servers import Account, Server

pytestmark = pytest.mark.either_server

READ_S = 20.0


def strand(server: Server, account: Account, *bodies: str) -> None:
    """Put messages into the account's offline store, as a sender's process does that comes too late."""
    user = account.jid.partition("@")[0]
    with closing(sqlite3.connect(server.folder / DATABASE, timeout=10)) as database, database:
        for body in bodies:
            xml = (
                f"<message xmlns='jabber:client' from='mercutio@{server.domain}/r' to='{account.jid}' type='chat'>"
                f"<body>{body}</body></message>"
            )
            database.execute("INSERT INTO spool (username, xml) VALUES (?, ?)", (user, xml))


async def printed(process: asyncio.subprocess.Process) -> str:
    """The next line of stdout."""
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), READ_S)).decode().strip()


async def test_what_was_stored_while_it_came_online_is_printed_once(ejabberd: Server, tmp_path: Path) -> None:
    account, friend = ejabberd.account(), ejabberd.account()
    ejabberd.befriend(account, friend)
    program = Program(tmp_path, ejabberd, account)
    async with Contact(ejabberd, friend) as contact:
        process = await program.start("listen", "-C", "3", "-F", "%b")
        await contact.wait_for_presence(account.jid, "available", READ_S)
        strand(ejabberd, account, "one", "two")
        assert [await printed(process), await printed(process)] == ["one", "two"]
        await contact.send(account.jid, "three")
        assert await printed(process) == "three"
        assert await process.wait() == 0
    # It was removed from the store: the next run is not given it again.
    outcome = await program.run("listen", "-W", "1", "-F", "%b")
    assert (outcome.code, outcome.stdout) == (0, "")


async def test_who_takes_no_messages_leaves_them_in_the_store(ejabberd: Server, tmp_path: Path) -> None:
    account, friend = ejabberd.account(), ejabberd.account()
    ejabberd.befriend(account, friend)
    program = Program(tmp_path, ejabberd, account)
    async with Contact(ejabberd, friend) as contact:
        process = await program.start("listen", "--only", "presence", "-W", "4")  # longer than until the first look
        await contact.wait_for_presence(account.jid, "available", READ_S)
        strand(ejabberd, account, "one")
        assert await process.wait() == 0
    assert (await program.run("listen", "-C", "1", "-F", "%b")).stdout == "one\n"
