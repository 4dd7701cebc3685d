"""The lobby."""

from playground.clients import RawClient

from xmppsh.playground.server import PlaygroundServer

LOBBY = "lobby@rooms.playground.localhost"


def join(nick: str) -> str:
    return f"<presence to='{LOBBY}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"


async def test_people_join_talk_and_leave(playground: PlaygroundServer) -> None:
    alice = await RawClient.bound(playground, "alice", "sofa", join("al"))
    assert '<status code="110"/>' in await alice.expect("</presence>")
    assert "<subject/>" in await alice.expect("</message>")
    bob = await RawClient.bound(playground, "bob", "bench", join("bo"))
    assert f'from="{LOBBY}/al"' in await bob.expect("</presence>")
    assert '<status code="110"/>' in await bob.expect("</presence>")
    await bob.expect("</message>")
    assert f'from="{LOBBY}/bo"' in await alice.expect("</presence>")
    bob.send(f"<message to='{LOBBY}' type='groupchat' id='g'><body>hello</body></message>")
    for each in (alice, bob):
        said = await each.expect("</message>")
        assert f'from="{LOBBY}/bo"' in said
        assert "<body>hello</body>" in said
    bob.cut()
    gone = await alice.expect("</presence>")
    assert 'type="unavailable"' in gone
    bob = await RawClient.bound(playground, "bob", "bench", join("bo"))
    assert "urn:xmpp:delay" in await bob.expect("</message>")
    await alice.close()
    await bob.close()


async def test_a_nickname_belongs_to_one(playground: PlaygroundServer) -> None:
    alice = await RawClient.bound(playground, "alice", "sofa", join("al"))
    await alice.expect("</message>")
    bob = await RawClient.bound(playground, "bob", "bench", join("al"))
    assert "<conflict " in await bob.expect("</presence>")
    bob.send(f"<message to='{LOBBY}' type='groupchat'><body>x</body></message>")
    assert "<not-acceptable " in await bob.expect("</message>")
    await alice.close()
    await bob.close()


async def test_a_nickname_can_be_changed_and_a_subject_set(playground: PlaygroundServer) -> None:
    alice = await RawClient.bound(playground, "alice", "sofa", join("al"))
    await alice.expect("</message>")
    alice.send(join("alice"))
    assert '<status code="303"/>' in await alice.expect("</presence>")
    assert f'from="{LOBBY}/alice"' in await alice.expect("</presence>")
    alice.send(f"<message to='{LOBBY}' type='groupchat'><subject>new</subject></message>")
    await alice.expect("<subject>new</subject>")
    alice.send(f"<presence to='{LOBBY}/alice' type='unavailable'/>")
    assert 'type="unavailable"' in await alice.expect("</presence>")
    alice.send(join("alice"))
    assert "<subject>new</subject>" in await alice.expect("</message>")
    await alice.close()


async def test_the_room_can_be_found(playground: PlaygroundServer) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    query = "<iq type='get' id='{}' to='{}'><query xmlns='http://jabber.org/protocol/disco#{}'/></iq>"
    client.send(query.format("i", "rooms.playground.localhost", "items"))
    assert LOBBY in await client.expect("</iq>")
    client.send(query.format("j", LOBBY, "info"))
    assert 'category="conference"' in await client.expect("</iq>")
    await client.close()


async def test_an_occupant_invites_somebody(playground: PlaygroundServer) -> None:
    bob = await RawClient.bound(playground, "bob", "bench", "<presence/>")
    alice = await RawClient.bound(playground, "alice", "sofa", join("al"))
    await alice.expect("</message>")
    words = "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='{}'>{}</invite></x>"
    ask = f"<message to='{LOBBY}' id='i'>{words}</message>"
    alice.send(ask.format("bob@playground.localhost", "<reason>Tea &amp; cake</reason>"))
    invitation = await bob.expect("</message>")
    assert f'from="{LOBBY}"' in invitation
    assert '<invite from="alice@playground.localhost"><reason>Tea &amp; cake</reason></invite>' in invitation
    alice.send(ask.format("@", ""))
    assert "<jid-malformed " in await alice.expect("</message>")
    await alice.close()
    await bob.close()
