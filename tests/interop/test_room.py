"""Rooms: what a second account, or a second call, sees of them."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.contact import Contact
from support.program import Program
from support.servers import Account, Server

pytestmark = pytest.mark.either_server


@pytest.fixture
async def owner(server: Server, alice: Account) -> AsyncIterator[Contact]:
    """The account of the program, with another client, which owns the room."""
    async with Contact(server, alice) as contact:
        yield contact


@pytest.fixture
async def room(server: Server, owner: Contact) -> str:
    address = f"{secrets.token_hex(4)}@{server.conference}"
    await owner.send_raw(f"<presence to='{address}/owner'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    await owner.wait_for_presence(address, "available")
    return address


async def records(program: Program, *arguments: str) -> list[dict[str, Any]]:
    outcome = await program.run(*arguments, "--format", "json")
    assert outcome.code == 0, outcome.stderr
    return outcome.records


async def test_rooms_and_who_is_in_them_are_listed(program: Program, server: Server, room: str) -> None:
    assert await records(program, "room", "config", room, "muc#roomconfig_publicroom=yes") == []
    assert room in [one["jid"] for one in await records(program, "room", "list", server.conference)]
    assert [one["nick"] for one in await records(program, "room", "who", room, "--nick", "me")] == ["owner"]


async def test_the_subject_is_changed_and_shown(program: Program, owner: Contact, room: str) -> None:
    assert await records(program, "room", "subject", room, "Release", "--nick", "juliet") == []
    assert [one["subject"] for one in await records(program, "room", "subject", room, "--nick", "j")] == ["Release"]


async def test_a_room_that_refuses_a_subject_or_a_guest_says_so(
    program: Program, server: Server, room: str, tmp_path: Path
) -> None:
    assert await records(program, "room", "config", room, "muc#roomconfig_changesubject=no") == []
    (tmp_path / "bob").mkdir()
    bob = Program(tmp_path / "bob", server, server.account())
    refused = await bob.run("room", "subject", room, "Holidays")
    assert refused.code == 77, refused.stderr
    assert refused.stderr.startswith(f"xmppsh: {room}: forbidden"), refused.stderr
    assert [one["subject"] for one in await records(bob, "room", "subject", room)] == [""]
    nobody = await bob.run("room", "invite", room, f"nobody@{server.domain}", "--direct")
    assert nobody.code == 67, nobody.stderr


async def test_who_is_not_in_the_room_is_given_no_role_and_that_is_said(program: Program, room: str) -> None:
    outcome = await program.run("room", "role", room, "no one", "visitor", "--nick", "juliet")
    said = f"xmppsh: nobody in {room} is called 'no one'\n  try: xmppsh room who {room}\n"
    assert (outcome.code, outcome.stdout, outcome.stderr) == (67, "", said)


async def test_a_room_is_entered_with_its_password_and_by_the_nick_that_was_given(
    program: Program, server: Server, owner: Contact, room: str, tmp_path: Path
) -> None:
    fields = {one["name"] for one in await records(program, "room", "config", room)}
    protect = {"muc#roomconfig_passwordprotectedroom": "yes", "muc#roomconfig_roomsecret": "s3cret"}
    given = (f"{name}={value}" for name, value in protect.items() if name in fields)  # Prosody has the second alone
    assert await records(program, "room", "config", room, *given, "muc#roomconfig_changesubject=yes") == []
    (tmp_path / "bob").mkdir()
    bob = Program(tmp_path / "bob", server, server.account())
    change = ("room", "subject", room, "--nick", "ju")
    for wrong in ((), ("--room-password", "wrong")):
        outcome = await bob.run(*change, *wrong, "Holidays")
        assert (outcome.code, outcome.stdout) == (77, ""), outcome.stderr
    password = ("--room-password", "s3cret")
    assert await records(bob, *change, *password, "Release") == []
    changed = await owner.wait_for_message(lambda one: "<subject>Release<" in one.xml)
    assert changed.sender == f"{room}/ju"
    assert [one["nick"] for one in await records(bob, "room", "who", room, *password, "--nick", "ju")] == ["owner"]


async def test_what_is_no_room_is_neither_listed_shown_nor_destroyed(program: Program, server: Server) -> None:
    listed = await program.run("room", "list", server.domain)
    assert (listed.code, listed.stderr.partition("\n")[0]) == (
        76, f"xmppsh: {server.domain} does not offer rooms (XEP-0045)",
    )  # fmt: skip
    nowhere = f"nowhere@{server.conference}"
    for command in (("config", nowhere), ("destroy", nowhere, "--yes")):
        outcome = await program.run("room", *command)
        assert (outcome.code, outcome.stdout) == (67, ""), outcome.stderr


async def test_the_rooms_of_a_service_are_no_occupants(program: Program, server: Server, room: str) -> None:
    for command in (["who"], ["subject"], ["config"], ["destroy", "--yes"]):
        outcome = await program.run("room", *command, server.conference)
        assert (outcome.code, outcome.stdout) == (64, "")
        assert outcome.stderr.startswith(f"xmppsh: {server.conference} is not the address of a room")


@pytest.mark.parametrize("command", [["who"], ["subject"], ["config"], ["affiliation", "bob@example.org", "member"]])
async def test_a_room_that_is_not_there_is_told_as_that_with_how_to_see_which_are(
    program: Program, server: Server, command: list[str]
) -> None:
    outcome = await program.run("room", command[0], f"nowhere@{server.conference}", *command[1:])
    assert (outcome.code, outcome.stderr) == (
        67,
        f"xmppsh: the room nowhere@{server.conference} does not exist\n  try: xmppsh room list {server.conference}\n",
    )


async def test_the_clients_of_a_user_are_no_occupants(program: Program, owner: Contact) -> None:
    outcome = await program.run("room", "who", owner.jid.partition("/")[0])
    assert (outcome.code, outcome.stdout) == (76, "")
    assert "is not a room" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("subject", "Release"), "<subject>Release</subject>"),
        (("invite", "juliet@example.org"), '<invite to="juliet@example.org"/>'),
        (("role", "Juliet", "none"), '<item nick="Juliet" role="none"/>'),
    ],
)
async def test_a_dry_run_in_a_room_shows_what_would_be_sent_there(
    program: Program, arguments: tuple[str, ...], sent: str
) -> None:
    action, *rest = arguments
    outcome = await program.run("--dry-run", "room", action, "team@conference.example.org", *rest)
    assert outcome.code == 0, outcome.stderr
    entered, said, left = outcome.stdout.splitlines()
    assert sent in said
    assert entered.startswith('<presence to="team@conference.example.org/')
    assert left.endswith('type="unavailable"/>')


async def test_the_configuration_is_shown_and_changed_by_its_types(program: Program, room: str) -> None:
    assert (await program.run("room", "config", f"no-{room}", "muc#roomconfig_publicroom=yes")).code == 67
    fields = {one["name"]: one for one in await records(program, "room", "config", room)}
    assert fields["muc#roomconfig_persistentroom"]["type"] == "boolean"
    outcome = await program.run("room", "config", room, "muc#roomconfig_persistentroom=maybe")
    assert outcome.code == 64
    assert "muc#roomconfig_persistentroom: 'maybe' is not yes or no" in outcome.stderr
    assert await records(program, "room", "config", room, "muc#roomconfig_roomname=Team") == []
    fields = {one["name"]: one for one in await records(program, "room", "config", room)}
    assert fields["muc#roomconfig_roomname"]["values"] == ["Team"]


async def test_members_are_made_banned_and_put_out(program: Program, server: Server, owner: Contact, room: str) -> None:
    async with Contact(server, server.account()) as bob:
        await bob.send_raw(f"<presence to='{room}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        await bob.wait_for_presence(room, "available", sender=f"{room}/bob")
        assert await records(program, "room", "role", room, "bob", "none", "--reason", "noise") == []
        await bob.wait_for_presence(room, "unavailable", sender=f"{room}/bob")
        bare = bob.jid.partition("/")[0]
        assert await records(program, "room", "affiliation", room, bare, "outcast") == []
        refused = Program(program_home(program), server, bob_account(bob))
        outcome = await refused.run("send", room, "x", "--room")
        assert outcome.stderr.startswith(f"xmppsh: the room {room} ")
        assert "banned" in outcome.stderr


async def test_who_is_what_to_a_room_is_listed_for_its_owner(
    program: Program, server: Server, owner: Contact, room: str, tmp_path: Path
) -> None:
    friend, foe = (f"{name}@{server.domain}" for name in ("friend", "foe"))
    assert await records(program, "room", "affiliation", room, friend, "member") == []
    assert await records(program, "room", "affiliation", room, foe, "outcast") == []
    listed = {one["jid"]: one["affiliation"] for one in await records(program, "room", "affiliation", room)}
    assert listed == {owner.jid.partition("/")[0]: "owner", friend: "member", foe: "outcast"}
    (tmp_path / "bob").mkdir()
    stranger = await Program(tmp_path / "bob", server, server.account()).run("room", "affiliation", room)
    assert (stranger.code in (77, 80), foe in stranger.stdout) == (True, False), stranger
    forgotten = await program.run("room", "affiliation", room, friend)
    assert (forgotten.code, forgotten.stderr.splitlines()[0]) == (64, f"xmppsh: what {friend} is to be is missing")


def program_home(program: Program) -> Path:
    """Where the program lives."""
    return Path(program.env["HOME"])


def bob_account(contact: Contact) -> Account:
    """The account of a contact."""
    return Account(contact.jid.partition("/")[0], contact.client.password)


async def test_a_guest_is_invited(program: Program, server: Server, room: str) -> None:
    async with Contact(server, server.account()) as bob:
        assert await records(program, "room", "invite", room, bob.jid.partition("/")[0]) == []
        invited = await bob.wait_for_message(lambda one: "<invite" in one.xml)
        assert invited.sender == room
        direct = ("room", "invite", room, bob.jid.partition("/")[0], "--direct", "--reason", "tea")
        assert await records(program, *direct) == []
        invited = await bob.wait_for_message(lambda one: "jabber:x:conference" in one.xml and one.sender != room)
        assert f'jid="{room}"' in invited.xml
        assert 'reason="tea"' in invited.xml


async def test_to_destroy_a_room_needs_a_yes(program: Program, owner: Contact, room: str) -> None:
    asked = await program.run("room", "destroy", room)
    assert (asked.code, asked.stderr) == (
        64, f"xmppsh: there is no terminal to ask on: Destroy {room}?\n  try: --yes\n",
    )  # fmt: skip
    assert await records(program, "room", "destroy", room, "--yes") == []
    await owner.wait_for_presence(room, "unavailable")
