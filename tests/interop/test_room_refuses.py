"""A room that does not take a message says so by a bounce, which no success comes before, whoever sends it."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Outcome, Program
from support.servers import Account, Server

JOIN = "<x xmlns='http://jabber.org/protocol/muc'/>"


@pytest.fixture
def bob(server: Server) -> Account:
    """Who has made the room."""
    return server.account()


@pytest.fixture
async def owner(server: Server, bob: Account) -> AsyncIterator[Contact]:
    async with Contact(server, bob) as contact:
        yield contact


@pytest.fixture
async def room(server: Server, owner: Contact) -> str:
    address = f"{secrets.token_hex(4)}@{server.conference}"
    await owner.send_raw(f"<presence to='{address}/owner'>{JOIN}</presence>")
    await owner.wait_for_presence(address, "available")
    return address


@pytest.fixture
def as_owner(tmp_path: Path, server: Server, bob: Account) -> Program:
    """The program, for the owner's account."""
    (tmp_path / "owner").mkdir()
    return Program(tmp_path / "owner", server, bob)


def refused(outcome: Outcome) -> None:
    assert outcome.code in (67, 76, 77), outcome
    assert outcome.stdout == ""


async def test_who_is_not_in_the_room_is_refused_by_every_way(program: Program, room: str) -> None:
    for to, kind in ((room, "groupchat"), (room, "chat"), (f"{room}/owner", "chat"), (f"{room}/nobody", "chat")):
        message = f"<message to='{to}' type='{kind}'><body>hello</body></message>"
        refused(await program.run("send", to, "hello", "--type", kind))
        refused(await program.run("raw", message))
        refused(await program.run("pipe", stdin=message.encode()))


async def test_a_room_that_is_not_there_refuses_by_every_way(program: Program, server: Server) -> None:
    nowhere = f"nowhere@{server.conference}"
    for to in (nowhere, f"{nowhere}/nobody"):
        refused(await program.run("send", to, "hello"))
        refused(await program.run("raw", f"<message to='{to}'><body>hello</body></message>"))
        refused(await program.run("pipe", "--input", "lines", "--to", to, stdin=b"hello\n"))


async def test_who_may_not_speak_in_a_moderated_room_is_refused(
    program: Program, server: Server, as_owner: Program, room: str
) -> None:
    silent = ["members_by_default=no"] if server.name == "ejabberd" else []
    outcome = await as_owner.run("room", "config", room, "muc#roomconfig_moderatedroom=yes", *silent)
    assert outcome.code == 0, outcome.stderr
    refused(await program.run("send", room, "hello", "--room"))


async def test_who_is_banned_is_refused_by_every_way(
    program: Program, as_owner: Program, room: str, alice: Account
) -> None:
    outcome = await as_owner.run("room", "affiliation", room, alice.jid, "outcast")
    assert outcome.code == 0, outcome.stderr
    refused(await program.run("send", room, "hello", "--room"))
    refused(await program.run("send", room, "hello", "--type", "groupchat"))
    refused(await program.run("raw", f"<presence to='{room}/alice'>{JOIN}</presence>"))
    refused(await program.run("pipe", stdin=f"<presence to='{room}/alice'>{JOIN}</presence>".encode()))
