"""`listen --room`: what is said there, by whom one is known there, and what is told when it is left."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program, finish
from support.servers import Account, Server

pytestmark = pytest.mark.either_server


@pytest.fixture
async def bob(server: Server) -> AsyncIterator[Contact]:
    async with Contact(server, server.account()) as contact:
        yield contact


@pytest.mark.parametrize("management", [[], ["--no-sm"]], ids=["managed", "no-sm"])
async def test_room_joins_and_shows_what_is_said(
    program: Program, server: Server, bob: Contact, tmp_path: Path, management: list[str]
) -> None:
    room = f"{secrets.token_hex(4)}@{server.conference}"
    await bob.send_raw(f"<presence to='{room}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    await bob.wait_for_presence(room, "available")
    words = ("--room", room, "--format", "json", "-C", "1", *management)
    async with program.listening(*words, ready=tmp_path / "r") as process:
        await bob.send(room, "hello", type="groupchat")
        outcome = await finish(process)
    (record,) = outcome.records
    assert (record["from"], record["body"], record["room"]) == (f"{room}/bob", "hello", True)


async def test_a_room_is_joined_by_the_nick_and_with_the_password_that_were_given(
    program: Program, server: Server, bob: Contact, tmp_path: Path
) -> None:
    room = f"{secrets.token_hex(4)}@{server.conference}"
    form = "<x xmlns='jabber:x:data' type='submit'>{}</x>".format(
        "".join(
            f"<field var='{name}'><value>{value}</value></field>"
            for name, value in {
                "FORM_TYPE": "http://jabber.org/protocol/muc#roomconfig",
                "muc#roomconfig_passwordprotectedroom": "1",
                "muc#roomconfig_roomsecret": "xyzzy",
            }.items()
        )
    )
    await bob.send_raw(f"<presence to='{room}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    await bob.wait_for_presence(room, "available")
    owner = f"<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>"
    await bob.send_raw(f"<iq type='set' to='{room}' id='locked'>{owner}</iq>")
    await bob.settle()
    words = ("--room", room, "--nick", "bot", "--room-password")
    assert (await program.run("listen", *words, "wrong")).code == 77
    async with program.listening(*words, "xyzzy", ready=tmp_path / "r"):
        await bob.wait_for_presence(room, "available", sender=f"{room}/bot")


OUTSIDE = {
    "destroyed": (
        "owner",
        "<destroy><reason>moved</reason></destroy>",
        "{room}: the room was destroyed",
        ": moved; it is not joined again",
    ),
    "banned": (
        "admin",
        "<item jid='{jid}' affiliation='outcast'><reason>bad</reason></item>",
        "{room}: you are banned",
        ": bad; joining again in 30 s",
    ),
}


@pytest.mark.parametrize("outside", OUTSIDE.values(), ids=OUTSIDE)
async def test_how_it_came_to_be_outside_of_a_room_is_told(
    program: Program, server: Server, bob: Contact, alice: Account, tmp_path: Path, outside: tuple[str, str, str, str]
) -> None:
    whose, change, how, why = outside
    room = f"{secrets.token_hex(4)}@{server.conference}"
    await bob.send_raw(f"<presence to='{room}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    await bob.wait_for_presence(room, "available")
    async with program.listening("--room", room, "--nick", "bot", ready=tmp_path / "r") as process:
        asked = change.format(jid=alice.jid)
        await bob.send_raw(
            f"<iq type='set' to='{room}' id='out'><query xmlns='http://jabber.org/protocol/muc#{whose}'>{asked}</query></iq>"
        )
        assert process.stderr is not None
        told = (await process.stderr.readline()).decode()
    assert told.startswith(f"xmppsh: {how.format(room=room)}")
    assert told.endswith(f"{why}\n")


async def test_a_room_that_refuses_ends_it_by_name(program: Program, server: Server) -> None:
    room = f"{secrets.token_hex(4)}@{server.conference}"
    outcome = await program.run("listen", "--room", room)
    assert outcome.code == 67
    assert outcome.stderr.startswith(f"xmppsh: the room {room} does not exist")
