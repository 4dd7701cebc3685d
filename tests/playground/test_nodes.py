"""What an account of the playground keeps for its clients: bookmarks, a picture, a card, nodes of its own."""

from pathlib import Path

from playground.clients import RawClient
from playground.test_services import program_of

from xmppsh.playground.server import PlaygroundServer

ALICE = "alice@playground.localhost"
LOBBY = "lobby@rooms.playground.localhost"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
BOOKMARK = (
    "<iq type='set' id='{n}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'>"
    "<item id='r{n}@rooms.x'><conference xmlns='urn:xmpp:bookmarks:1'/></item></publish></pubsub></iq>"
)


async def test_bookmarks_are_kept_and_nobody_else_reads_them(playground: PlaygroundServer, tmp_path: Path) -> None:
    alice = program_of(playground, tmp_path, "alice")
    for options in (("--autojoin", "--name", "Lob & by"), ("--nick", "al")):
        assert (await alice.run("bookmarks", "add", LOBBY, *options)).code == 0
    listed = await alice.run("bookmarks", "list")
    assert listed.stdout == f"{LOBBY}  Lob & by  as al  (autojoin)\n"
    bob = program_of(playground, tmp_path, "bob")
    assert (await bob.run("pubsub", "get", ALICE, "urn:xmpp:bookmarks:1")).code == 77


async def test_a_bookmark_that_costs_another_one_says_which(playground: PlaygroundServer, tmp_path: Path) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    client.send("".join(BOOKMARK.format(n=n) for n in range(100)))
    await client.synchronised()
    await client.close()
    outcome = await program_of(playground, tmp_path, "alice").run("bookmarks", "add", LOBBY)
    assert outcome.code == 80
    assert f"{LOBBY} is bookmarked, and your server has dropped the bookmark of r0@rooms.x for it" in outcome.stderr


async def test_a_friend_sees_the_card_and_the_picture(playground: PlaygroundServer, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    alice, bob = (program_of(playground, tmp_path, name) for name in ("alice", "bob"))
    assert (await alice.run("vcard", "set", "FN=Alice", "N.FAMILY=L")).code == 0
    assert (await bob.run("vcard", "get", ALICE)).stdout == "FN=Alice\nN.FAMILY=L\n"
    assert (await alice.run("avatar", "set", str(tmp_path / "a.png"))).code == 0
    assert (await bob.run("avatar", "get", ALICE, "--output", str(tmp_path / "b.png"))).code == 0
    assert (tmp_path / "b.png").read_bytes() == PNG


async def test_a_node_is_made_filled_read_by_whom_it_is_for_and_deleted(
    playground: PlaygroundServer, tmp_path: Path
) -> None:
    alice, bob = (program_of(playground, tmp_path, name) for name in ("alice", "bob"))
    made = ("pubsub", "create", ALICE, "news", "pubsub#access_model=open", "pubsub#max_items=1")
    assert (await alice.run(*made)).code == 0
    desk = await RawClient.bound(playground, "bob", "desk", "<presence/>")
    assert (await bob.run("pubsub", "subscribe", ALICE, "news")).stdout == "news  subscribed\n"
    for item in ("a", "b"):
        assert (await alice.run("pubsub", "publish", ALICE, "news", "<e xmlns='u'/>", "--id", item)).code == 0
    assert (await bob.run("pubsub", "get", ALICE, "news")).stdout == "b  <e xmlns='u'/>\n"
    await desk.expect("<item id=\"b\"><e xmlns='u'/></item>")
    await desk.close()
    assert (await bob.run("pubsub", "publish", ALICE, "news", "<e xmlns='u'/>")).code == 77
    assert (await bob.run("pubsub", "config", ALICE, "news")).code == 77
    assert (await alice.run("pubsub", "config", ALICE, "news", "pubsub#access_model=whitelist")).code == 0
    assert "pubsub#access_model=whitelist" in (await alice.run("pubsub", "config", ALICE, "news")).stdout
    assert (await bob.run("pubsub", "get", ALICE, "news")).code == 77
    assert (await alice.run("pubsub", "retract", ALICE, "news", "a")).code == 67
    assert (await alice.run("pubsub", "delete", ALICE, "news", "--yes")).code == 0
    assert (await bob.run("pubsub", "get", ALICE, "news")).code == 67
