"""Who sees whom, and when."""

import time

from playground.clients import RawClient, ask, contact

from xmppsh.playground.server import PlaygroundServer

AT_ONCE_S = 1.0


async def test_friends_see_each_other_come_and_go(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        async with contact(playground, "bob") as bob:
            await alice.wait_for_presence("bob@playground.localhost", "available", sender=bob.jid)
            await bob.wait_for_presence("alice@playground.localhost", "available", sender=alice.jid)
            await bob.wait_for_presence("echo@playground.localhost", "available")
        await alice.wait_for_presence("bob@playground.localhost", "unavailable", AT_ONCE_S, sender=bob.jid)


async def test_a_session_that_is_cut_is_gone_at_once(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        bob = await RawClient.bound(playground, "bob", "cut", "<presence/>")
        await alice.wait_for_presence("bob@playground.localhost", "available")
        bob.cut()
        await alice.wait_for_presence("bob@playground.localhost", "unavailable", AT_ONCE_S)


async def test_a_session_that_ends_by_a_stream_error_is_gone_at_once(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        bob = await RawClient.bound(playground, "bob", "wrong", "<presence/>")
        await alice.wait_for_presence("bob@playground.localhost", "available")
        bob.send("<a></b>")
        await alice.wait_for_presence("bob@playground.localhost", "unavailable", AT_ONCE_S)
        await bob.end()


async def test_a_session_without_presence_is_never_seen(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        bob = await RawClient.bound(playground, "bob", "silent")
        await bob.close()
        await ask(alice, "", "<ping xmlns='urn:xmpp:ping'/>")
        assert not [seen for seen in alice.presence if seen.sender.startswith("bob@")]


async def test_directed_presence_is_taken_back_at_the_end() -> None:
    async with PlaygroundServer(accounts={"alice": "a", "bob": "b"}) as server:
        alice = await RawClient.bound(server, "alice", "sofa")
        bob = await RawClient.bound(server, "bob", "bench", f"<presence to='alice@{server.domain}/sofa'/>")
        await alice.expect("<presence")
        bob.cut()
        await alice.expect('type="unavailable"')
        await alice.close()


async def test_a_probe_is_answered(playground: PlaygroundServer) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    client.send("<presence type='probe' to='echo@playground.localhost'/>")
    await client.expect('<presence from="echo@playground.localhost/bot"')
    client.send("<presence type='probe' to='bob@playground.localhost'/>")
    await client.expect('type="unavailable"')
    await client.close()


async def test_the_roster_knows_the_friends(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        roster = await ask(alice, "", "<query xmlns='jabber:iq:roster'/>")
        items = {item.get("jid"): item.get("subscription") for item in roster[0]}
        assert items == {"bob@playground.localhost": "both", "echo@playground.localhost": "both"}


async def test_a_removed_contact_is_gone_on_both_sides_and_can_be_won_again(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice, contact(playground, "bob") as bob:
        await alice.wait_for_presence("bob@playground.localhost", "available")
        remove = "<query xmlns='jabber:iq:roster'><item jid='bob@playground.localhost' subscription='remove'/></query>"
        assert (await ask(alice, "", remove, "set")).get("type") == "result"
        await bob.wait_for_presence("alice@playground.localhost", "unsubscribed")
        await alice.wait_for_presence("bob@playground.localhost", "unavailable", sender=bob.jid)
        await bob.wait_for_presence("alice@playground.localhost", "unavailable", sender=alice.jid)
        since = time.monotonic()
        alice.client.send_presence_subscription("bob@playground.localhost")
        await bob.wait_for_presence("alice@playground.localhost", "subscribe")
        bob.client.send_presence_subscription("alice@playground.localhost", ptype="subscribed")
        await alice.wait_for_presence("bob@playground.localhost", "subscribed")
        await alice.wait_for_presence("bob@playground.localhost", "available", since=since, sender=bob.jid)
        roster = await ask(alice, "", "<query xmlns='jabber:iq:roster'/>")
        assert {item.get("jid"): item.get("subscription") for item in roster[0]}["bob@playground.localhost"] == "to"


async def test_a_request_waits_for_somebody_who_is_away() -> None:
    async with PlaygroundServer() as server:
        async with contact(server, "alice") as alice:
            remove = (
                "<query xmlns='jabber:iq:roster'><item jid='bob@playground.localhost' subscription='remove'/></query>"
            )
            await ask(alice, "", remove, "set")
            alice.client.send_presence_subscription("bob@playground.localhost")
            await ask(alice, "", "<ping xmlns='urn:xmpp:ping'/>")
        async with contact(server, "bob") as bob:
            await bob.wait_for_presence("alice@playground.localhost", "subscribe")


async def test_roster_changes_are_pushed(playground: PlaygroundServer) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    await client.expect("</iq>")
    client.send(
        "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>"
        "<item jid='eve@example.org' name='Eve &amp; co'><group>odd</group></item></query></iq>"
    )
    push = await client.expect("</iq>")
    assert 'name="Eve &amp; co"' in push
    assert 'subscription="none"><group>odd</group>' in push
    await client.expect('type="result" id="s"')
    await client.close()


async def test_echo_lets_everybody_subscribe(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        remove = "<query xmlns='jabber:iq:roster'><item jid='echo@playground.localhost' subscription='remove'/></query>"
        await ask(alice, "", remove, "set")
        alice.client.send_presence_subscription("echo@playground.localhost")
        await alice.wait_for_presence("echo@playground.localhost", "subscribed")
