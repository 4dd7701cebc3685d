"""`bookmarks`, `vcard`, `avatar`, `pubsub`, `presence probe`: what a second account, or a second call, sees of them."""

import asyncio
import base64
import hashlib
import signal
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from support.contact import Contact
from support.program import Program, exists, finish
from support.servers import Account, Server

pytestmark = pytest.mark.either_server

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def records(program: Program, *arguments: str) -> list[dict[str, Any]]:
    outcome = await program.run(*arguments, "--format", "json")
    assert outcome.code == 0, outcome.stderr
    return outcome.records


async def failed(program: Program, *arguments: str) -> tuple[int, str]:
    outcome = await program.run(*arguments)
    assert outcome.stdout == ""
    return outcome.code, outcome.stderr.splitlines()[0]


async def test_a_room_is_marked_kept_private_changed_and_forgotten(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    room = f"team@{server.conference}"
    assert await records(program, "bookmarks", "list") == []
    other = "<conference xmlns='urn:xmpp:bookmarks:1'><extensions><x xmlns='urn:x'/></extensions></conference>"
    await records(program, "bookmarks", "add", room, "--name", "Team", "--nick", "al", "--autojoin")
    await records(program, "pubsub", "publish", alice.jid, "urn:xmpp:bookmarks:1", other, "--id", f"b@{server.domain}")
    await records(program, "bookmarks", "add", room, "--no-autojoin")
    await records(program, "bookmarks", "add", f"b@{server.domain}", "--name", "B")
    found = {one["jid"]: one for one in await records(program, "bookmarks", "list")}
    assert found[room] == {
        "kind": "bookmark", "jid": room, "name": "Team", "nick": "al", "autojoin": False, "has_password": False,
    }  # fmt: skip
    (kept,) = await records(program, "pubsub", "get", alice.jid, "urn:xmpp:bookmarks:1", f"b@{server.domain}")
    assert "urn:x" in kept["xml"]
    (tmp_path / "bob").mkdir()
    bob = Program(tmp_path / "bob", server, server.account())
    assert (await bob.run("pubsub", "get", alice.jid, "urn:xmpp:bookmarks:1")).code != 0
    await records(program, "bookmarks", "remove", room)
    assert [one["jid"] for one in await records(program, "bookmarks", "list")] == [f"b@{server.domain}"]
    assert await failed(program, "bookmarks", "remove", room) == (67, f"xmppsh: {room} is not bookmarked")


async def test_a_node_for_few_rooms_is_made_one_for_many_before_a_bookmark_is_added(
    program: Program, server: Server, alice: Account
) -> None:
    """Servers drop the oldest item of a node that is full (XEP-0060 §7.1)."""
    node, rooms = "urn:xmpp:bookmarks:1", [f"{name}@{server.conference}" for name in ("a", "b", "c")]
    await records(program, "pubsub", "create", alice.jid, node, "pubsub#access_model=whitelist", "pubsub#max_items=2")
    for room in rooms:
        await records(program, "bookmarks", "add", room)
    assert {one["jid"] for one in await records(program, "bookmarks", "list")} == set(rooms)


async def test_a_card_is_changed_field_by_field_and_shown_to_others(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    assert await failed(program, "vcard", "get") == (67, f"xmppsh: {alice.jid} has no card (XEP-0054)")
    await records(program, "vcard", "set", "FN=Alice <A>", "N.FAMILY=A", "URL=https://a.example")
    await records(program, "vcard", "set", "URL=", "NICKNAME=al")
    (tmp_path / "bob").mkdir()
    bob = Program(tmp_path / "bob", server, server.account())
    found = {one["name"]: one["value"] for one in await records(bob, "vcard", "get", alice.jid)}
    assert found == {"FN": "Alice <A>", "N.FAMILY": "A", "NICKNAME": "al"}
    assert (await failed(program, "vcard", "set", "F N=x"))[0] == 64
    assert await failed(program, "vcard", "set", "FN=x", "FN=y") == (64, "xmppsh: FN is given 2 times")
    assert await failed(program, "vcard", "set", "FNN=x") == (64, "xmppsh: a vCard has no field FNN")
    assert await failed(program, "vcard", "set", "EMAIL=a@b") == (64, "xmppsh: EMAIL has parts, and no text of its own")


async def test_what_several_change_of_a_card_at_the_same_time_is_all_kept(program: Program) -> None:
    given = [f"{name}=x" for name in ("FN", "NICKNAME", "TITLE", "ROLE", "NOTE", "URL")]
    outcomes = await asyncio.gather(*(program.run("vcard", "set", one) for one in given))
    assert [one.stderr for one in outcomes] == [""] * len(given)
    assert sorted((await program.run("vcard", "get")).stdout.split()) == sorted(given)


async def test_a_field_of_a_card_that_the_server_drops_is_told(program: Program) -> None:
    outcome = await program.run("vcard", "set", "FN=x", "X-FOO=y")
    kept = (await program.run("vcard", "get")).stdout
    assert "FN=x" in kept
    assert outcome.code == (0 if "X-FOO=y" in kept else 80)
    assert ("has not kept X-FOO as given" in outcome.stderr) is (outcome.code == 80)


async def test_a_picture_that_an_old_client_has_put_into_the_card_is_fetched(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    photo = f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{base64.b64encode(PNG).decode()}</BINVAL></PHOTO>"
    await records(program, "iq", "set", alice.jid, f"<vCard xmlns='vcard-temp'>{photo}</vCard>")
    (got,) = await records(program, "avatar", "get", alice.jid, "--output", str(tmp_path / "a.png"))
    assert ((tmp_path / "a.png").read_bytes(), got["id"]) == (PNG, hashlib.sha1(PNG).hexdigest())


async def test_a_picture_is_set_fetched_checked_and_taken_away(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (made,) = await records(program, "avatar", "set", str(tmp_path / "a.png"))
    assert (made["id"], made["type"]) == (hashlib.sha1(PNG).hexdigest(), "image/png")
    (got,) = await records(program, "avatar", "get", alice.jid, "--output", str(tmp_path / "b.png"))
    assert ((tmp_path / "b.png").read_bytes(), got["id"]) == (PNG, made["id"])
    process = await program.start("avatar", "get", alice.jid)
    stdout, _ = await process.communicate()
    assert stdout == PNG
    wrong = "<data xmlns='urn:xmpp:avatar:data'>QUFB</data>"
    await records(program, "pubsub", "publish", alice.jid, "urn:xmpp:avatar:data", wrong, "--id", made["id"])
    code, said = await failed(program, "avatar", "get", alice.jid, "--output", str(tmp_path / "c.png"))
    assert (code, said) == (
        76, f"xmppsh: the picture of {alice.jid} is not the one that is announced (its hash differs)",
    )  # fmt: skip
    assert not (tmp_path / "c.png").exists()
    await records(program, "avatar", "remove")
    assert (await failed(program, "avatar", "get", alice.jid))[0] == 67


async def test_who_watches_a_node_sees_what_its_owner_does_and_what_nobody_else_says(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    node, payload = "news", "<entry xmlns='urn:n'>a &lt; b</entry>"
    created = await program.run("pubsub", "create", alice.jid, node, "pubsub#access_model=open")
    assert (created.code, created.stderr) == (0, "")
    (tmp_path / "bob").mkdir()
    bob_account = server.account()
    bob, ready = Program(tmp_path / "bob", server, bob_account), tmp_path / "ready"
    watch = ("pubsub", "watch", alice.jid, node, "-C", "2", "--format", "json", "--ready-file", str(ready))
    watching = await bob.start(*watch)
    await exists(ready, watching)
    (resource,) = server.sessions(bob_account.jid)
    async with Contact(server, server.account()) as mallory:
        await mallory.send_raw(
            f"<message to='{resource}'><event xmlns='http://jabber.org/protocol/pubsub#event'>"
            f"<items node='{node}'><item id='0'><evil xmlns='urn:e'/></item></items></event></message>"
        )
        await mallory.settle()
    (made,) = await records(program, "pubsub", "publish", alice.jid, node, payload, "--id", "17")
    assert made["id"] == "17"
    assert [one["id"] for one in await records(program, "pubsub", "get", alice.jid, node)] == ["17"]
    assert (await failed(program, "pubsub", "get", alice.jid, node, "18"))[0] == 67
    await records(program, "pubsub", "retract", alice.jid, node, "17")
    outcome = await finish(watching)
    assert outcome.code == 0, outcome.stderr
    assert [(one["event"], one["from"], one["id"]) for one in outcome.records] == [
        ("published", alice.jid, "17"), ("retracted", alice.jid, "17"),
    ]  # fmt: skip
    assert "a &lt; b" in outcome.records[0]["xml"]
    assert node in [one["node"] for one in await records(program, "pubsub", "nodes", alice.jid)]
    await records(program, "pubsub", "delete", alice.jid, node, "--yes")
    assert (await bob.run("pubsub", "get", alice.jid, node)).code in (67, 77)  # gone, or nobody may know


async def test_a_node_is_configured_by_the_form_that_it_has(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    assert (await program.run("pubsub", "create", alice.jid, "news", "pubsub#access_model=open")).code == 0
    config = ("pubsub", "config", alice.jid, "news")
    fields = {one["name"]: one for one in await records(program, *config)}
    assert fields["pubsub#access_model"]["values"] == ["open"]
    assert "whitelist" in fields["pubsub#access_model"]["options"]
    assert fields["pubsub#access_model"]["label"]
    changed = await program.run(*config, "pubsub#access_model=whitelist", "pubsub#max_items=7")
    assert (changed.code, changed.stdout, changed.stderr) == (0, "", "")
    after = {one["name"]: one["values"] for one in await records(program, *config)}
    wanted = {name: one["values"] for name, one in fields.items()}
    assert after == wanted | {"pubsub#access_model": ["whitelist"], "pubsub#max_items": ["7"]}

    wrong = await program.run(*config, "pubsub#access_model=opne", "pubsub#tilte=x")
    assert (wrong.code, wrong.stdout) == (64, "")
    assert "pubsub#access_model: 'opne' is not one of" in wrong.stderr
    assert "there is no field 'pubsub#tilte'" in wrong.stderr

    (tmp_path / "bob").mkdir()
    bob = Program(tmp_path / "bob", server, server.account())
    code, said = await failed(bob, *config)
    assert code == 77, said
    assert (await program.run("pubsub", "delete", alice.jid, "news", "--yes")).code == 0


async def test_a_watch_that_is_refused_says_why_and_one_that_is_stopped_ends(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    assert (await failed(program, "pubsub", "watch", alice.jid, "nothing"))[0] == 67
    code, said = await failed(program, "pubsub", "nodes", server.conference)
    assert (code, said) == (76, f"xmppsh: {server.conference} does not offer nodes (XEP-0060)")
    assert (await program.run("pubsub", "create", alice.jid, "news")).code == 0
    process = await program.start("pubsub", "watch", alice.jid, "news", "--ready-file", str(tmp_path / "ready"))
    await exists(tmp_path / "ready", process)
    process.send_signal(signal.SIGINT)
    assert (await finish(process)).code in (130, -signal.SIGINT)


async def test_a_probe_shows_a_contact_that_is_online_and_nothing_of_a_stranger(
    program: Program, server: Server, alice: Account
) -> None:
    bob, stranger = server.account(), server.account()
    server.befriend(alice, bob)
    async with Contact(server, bob) as contact:
        found = await records(program, "presence", "probe", bob.jid)
        assert [(one["from"], one["type"]) for one in found if one["type"] == "available"] == [
            (contact.jid, "available")
        ]
    async with Contact(server, stranger):
        outcome = await program.run("presence", "probe", stranger.jid, "--format", "json")
        assert [one for one in outcome.records if one["type"] == "available"] == []


async def test_a_contact_sees_how_available_we_say_we_are(program: Program, server: Server, alice: Account) -> None:
    bob = server.account()
    server.befriend(alice, bob)
    async with Contact(server, bob) as contact:
        outcome = await program.run("presence", "set", "--show", "dnd", "--status", "a < b", "--priority", "-1")
        assert outcome.code == 0, outcome.stderr
        seen = await contact.wait_for_presence(alice.jid, "available")
        await contact.wait_for_presence(alice.jid, "unavailable")
    found = ET.fromstring(seen.xml)
    assert [found.findtext(f"{{*}}{name}") for name in ("show", "status", "priority")] == [
        "dnd", "a < b", "-1",
    ]  # fmt: skip


async def test_who_has_subscribed_is_told_and_no_more_afterwards(
    program: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    create = ("pubsub", "create", alice.jid, "news", "pubsub#access_model=open")
    assert (await program.run(*create)).code == 0
    (tmp_path / "bob").mkdir()
    account = server.account()
    bob = Program(tmp_path / "bob", server, account)
    async with Contact(server, account) as client:
        (made,) = await records(bob, "pubsub", "subscribe", alice.jid, "news")
        assert (made["jid"], made["state"]) == (account.jid, "subscribed")
        await records(program, "pubsub", "publish", alice.jid, "news", "<first xmlns='urn:n'/>")
        await client.wait_for_message(lambda one: "<first" in one.xml)
        assert (await bob.run("pubsub", "unsubscribe", alice.jid, "news")).code == 0
        await records(program, "pubsub", "publish", alice.jid, "news", "<second xmlns='urn:n'/>")
        await client.settle()
        assert [one for one in client.messages if "<second" in one.xml] == []
    code, said = await failed(bob, "pubsub", "unsubscribe", alice.jid, "news")
    assert code == 67, said


@pytest.mark.parametrize("command", ["get", "retract"])
async def test_an_item_without_an_id_is_none(program: Program, alice: Account, command: str) -> None:
    """The service would take the empty id for all items, or for none."""
    outcome = await program.run("pubsub", command, alice.jid, "news", "")
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (64, "xmppsh: the name of the item is empty")


@pytest.mark.parametrize("command", [["get"], ["subscribe"], ["delete", "--yes"], ["watch"], ["config"]])
async def test_a_node_that_is_not_there_is_said_with_how_to_see_which_are(
    program: Program, alice: Account, command: list[str]
) -> None:
    outcome = await program.run("pubsub", *command, alice.jid, "nwes")
    assert (outcome.code, outcome.stderr.splitlines()[-1]) == (67, f"  try: xmppsh pubsub nodes {alice.jid}")
