"""Rooms and ad-hoc commands: what a second account, or a second call, sees of them."""

import asyncio
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


async def test_what_is_no_room_is_neither_listed_shown_nor_destroyed(program: Program, server: Server) -> None:
    listed = await program.run("room", "list", server.domain)
    assert (listed.code, listed.stderr.partition("\n")[0]) == (
        76, f"xmppsh: {server.domain} does not offer rooms (XEP-0045)",
    )  # fmt: skip
    nowhere = f"nowhere@{server.conference}"
    for command in (("config", nowhere), ("destroy", nowhere, "--yes")):
        outcome = await program.run("room", *command)
        assert (outcome.code, outcome.stdout) == (67, ""), outcome.stderr


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


# ── Ad-hoc commands (XEP-0050), of a slixmpp client ─────────────────────────────────────────────────────────────────


@pytest.fixture
async def offering(server: Server) -> AsyncIterator[Contact]:
    """A client with a command of two stages."""
    async with Contact(server, server.account()) as contact:
        client: Any = contact.client
        client.register_plugin("xep_0050")

        def second(payload: Any, session: Any) -> Any:
            name = payload["values"]["name"]
            form = client["xep_0004"].make_form("result", "Done")
            form.add_field(var="greeting", ftype="text-single", value=f"hello {name}")
            return session | {"payload": form, "next": None, "has_next": False}

        def first(_: Any, session: Any) -> Any:
            form = client["xep_0004"].make_form("form", "Who")
            form.add_field(var="name", ftype="text-single", label="Your name", required=True)
            return session | {"payload": form, "next": second, "has_next": False}

        client["xep_0050"].add_command(node="greet", name="Greets", handler=first)
        yield contact


async def test_a_command_of_several_stages_is_run(program: Program, offering: Contact) -> None:
    (listed,) = await records(program, "adhoc", "list", offering.jid)
    assert (listed["node"], listed["name"]) == ("greet", "Greets")
    (result,) = await records(program, "adhoc", "run", offering.jid, "greet", "name=Juliet")
    assert result["values"] == {"greeting": ["hello Juliet"]}


async def test_a_form_that_wants_more_lists_its_fields(program: Program, offering: Contact) -> None:
    outcome = await program.run("adhoc", "run", offering.jid, "greet", "--format", "json")
    assert outcome.code == 64
    assert [(one["name"], one["required"]) for one in outcome.records] == [("name", True)]
    assert outcome.error["text"] == "name must be given"


async def test_what_offers_no_commands_says_so(program: Program, server: Server) -> None:
    async with Contact(server, server.account()) as plain:
        outcome = await asyncio.wait_for(program.run("adhoc", "run", plain.jid, "x"), 30)
    assert outcome.code in (67, 69, 76)


ADD_USER = "http://jabber.org/protocol/admin#add-user"  # XEP-0133 §4.1


async def test_the_server_s_own_commands_are_run_by_its_admin(server: Server, tmp_path: Path, alice: Account) -> None:
    account = server.account(server.admin.partition("@")[0])
    admin = Program(tmp_path, server, account)
    fresh = f"{secrets.token_hex(4)}@{server.domain}"
    listed = await records(admin, "adhoc", "list", server.domain)
    assert ADD_USER in [one["node"] for one in listed]
    run = ("adhoc", "run", server.domain, ADD_USER)
    asked = await admin.run(*run, "--format", "json")
    assert asked.code == 64, asked.stderr
    assert {"accountjid", "password"} <= {one["name"] for one in asked.records}
    words = (f"accountjid={fresh}", "password=first-word", "password-verify=first-word")
    refused = await admin.run(*run, *words, "colour=red")
    assert (refused.code, refused.stderr.partition("\n")[0]) == (64, "xmppsh: it does not ask for colour")
    done = await admin.run(*run, *words)
    assert done.code == 0, done.stderr
    (tmp_path / "fresh").mkdir()
    made = Program(tmp_path / "fresh", server, Account(fresh, "first-word"))
    assert (await made.run("roster", "list")).code == 0
    (tmp_path / "alice").mkdir()
    nobody = await Program(tmp_path / "alice", server, alice).run(*run)
    assert nobody.code in (67, 69, 77), nobody.stderr
