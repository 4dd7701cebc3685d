"""XEP-0198 as a client sees it."""

import re

import pytest
from playground.clients import FOOTER, SM, RawClient, contact

from xmppsh.playground.server import PlaygroundServer

ENABLE = f"<enable xmlns='{SM}' resume='true'/>"
REQUEST, ACK = f"<r xmlns='{SM}'/>", "<a xmlns='" + SM + "' h='{}'/>"
BODY = re.compile("<body>([^<]*)</body>")
TO_BOB = "<message to='bob@playground.localhost' type='chat'><body>{}</body></message>"
AT_ONCE_S = 1.0


async def managed(server: PlaygroundServer, name: str = "bob", enable: str = ENABLE) -> tuple[RawClient, str]:
    """An available session with stream management; and its id."""
    client = await RawClient.bound(server, name, "sm", enable + "<presence/>")
    enabled = await client.expect("/>")
    sm_id = re.search(' id="([^"]*)"', enabled)
    # Its own presence and the bot's: two stanzas to acknowledge.
    await client.expect("echo@playground.localhost/bot")
    await client.expect(f'<r xmlns="{SM}"/>')
    client.send(ACK.format(2))
    return client, sm_id.group(1) if sm_id else ""


async def resumed(server: PlaygroundServer, name: str, sm_id: str, h: int) -> RawClient:
    client = await RawClient.authenticated(server, name)
    client.send(f"<resume xmlns='{SM}' previd='{sm_id}' h='{h}'/>")
    return client


async def test_stanzas_are_counted_and_nothing_else(playground: PlaygroundServer) -> None:
    client, _ = await managed(playground)
    client.send(REQUEST)
    await client.expect(f'<a xmlns="{SM}" h="1"/>')
    client.send(" " + TO_BOB.format("x") + "<iq type='result' id='x'/>" + "<message to='@'/>" + REQUEST)
    await client.expect(f'<a xmlns="{SM}" h="4"/>')
    await client.close()


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("resume='true'", "120"), ("resume='1' max='7'", "7"), ("resume='true' max='99999'", "3600")],
)
async def test_max_is_honoured(playground: PlaygroundServer, asked: str, answered: str) -> None:
    client = await RawClient.bound(playground, "bob", "sm", f"<enable xmlns='{SM}' {asked}/>")
    assert f'resume="true" max="{answered}"/>' in await client.expect("/>")
    await client.close()


async def test_a_cut_session_stays_and_nothing_is_lost_doubled_or_reordered(playground: PlaygroundServer) -> None:
    bob, sm_id = await managed(playground)
    async with contact(playground, "alice") as alice:
        await bob.expect("alice@playground.localhost")  # her presence: the third stanza
        for number in range(5):
            await alice.send("bob@playground.localhost", str(number))
        await bob.expect("<body>2</body>")
        bob.cut()
        for number in range(5, 10):
            await alice.send("bob@playground.localhost/sm", str(number))
        await alice.send("echo@playground.localhost", "done")
        await alice.wait_for_message(lambda message: message.body == "done")
        again = await resumed(playground, "bob", sm_id, h=3 + 3)  # presence ×3, messages 0, 1 and 2
        assert f'<resumed xmlns="{SM}" previd="{sm_id}" h="1"/>' in await again.expect("/>")
        assert BODY.findall(await again.expect("<body>9</body>")) == ["3", "4", "5", "6", "7", "8", "9"]
        await again.synchronised()
        assert not [seen for seen in alice.presence if seen.type == "unavailable"]
        await again.close()
        await alice.wait_for_presence("bob@playground.localhost", "unavailable", AT_ONCE_S)


async def test_a_resume_takes_over_a_connection_that_seems_alive(playground: PlaygroundServer) -> None:
    bob, sm_id = await managed(playground)
    again = await resumed(playground, "bob", sm_id, h=2)
    await again.expect("<resumed")
    assert "<stream:error><conflict " in await bob.end()
    await again.synchronised()
    await again.close()


async def test_an_older_h_is_no_fault(playground: PlaygroundServer) -> None:
    bob, sm_id = await managed(playground)
    await bob.synchronised()
    bob.cut()
    again = await resumed(playground, "bob", sm_id, h=1)
    await again.expect("<resumed")
    await again.synchronised()
    await again.close()


@pytest.mark.parametrize("ending", ["footer", "error"])
async def test_a_closed_stream_cannot_be_resumed_but_its_count_is_known(
    playground: PlaygroundServer, ending: str
) -> None:
    bob, sm_id = await managed(playground)
    bob.send(FOOTER if ending == "footer" else "<a></b>")
    await bob.end()
    again = await resumed(playground, "bob", sm_id, h=0)
    failed = await again.expect("</failed>")
    assert '<failed xmlns="urn:xmpp:sm:3" h="1"><item-not-found ' in failed
    await again.close()


async def test_another_accounts_session_cannot_be_resumed(playground: PlaygroundServer) -> None:
    bob, sm_id = await managed(playground)
    thief = await resumed(playground, "alice", sm_id, h=0)
    assert '<failed xmlns="urn:xmpp:sm:3"><item-not-found ' in await thief.expect("</failed>")
    await thief.close()
    await bob.synchronised()
    await bob.close()


async def test_a_session_that_may_not_be_resumed_ends_with_its_socket(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        bob = await RawClient.bound(
            playground, "bob", "sm", f"<enable xmlns='{SM}' resume='false'/><presence/>{REQUEST}"
        )
        assert " id=" not in await bob.expect("/>")
        await alice.wait_for_presence("bob@playground.localhost", "available")
        bob.cut()
        await alice.wait_for_presence("bob@playground.localhost", "unavailable", AT_ONCE_S)


async def test_a_session_that_nobody_resumes_ends_after_max(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        bob = await RawClient.bound(playground, "bob", "sm", f"<enable xmlns='{SM}' resume='true' max='1'/><presence/>")
        sm_id = re.search(' id="([^"]*)"', await bob.expect("/>"))
        assert sm_id is not None
        await alice.wait_for_presence("bob@playground.localhost", "available")
        bob.cut()
        await alice.wait_for_presence("bob@playground.localhost", "unavailable")
        late = await resumed(playground, "bob", sm_id.group(1), h=0)
        assert 'h="1"' in await late.expect("</failed>")
        await late.close()


async def test_messages_that_a_dead_session_never_took_wait_for_the_next_one(playground: PlaygroundServer) -> None:
    bob = await RawClient.bound(playground, "bob", "sm", f"<enable xmlns='{SM}'/><presence/>")
    await bob.synchronised()
    async with contact(playground, "alice") as alice:
        for number in range(3):
            await alice.send("bob@playground.localhost/sm", str(number))
        await bob.expect("<body>2</body>")
        bob.cut()
        await alice.wait_for_presence("bob@playground.localhost", "unavailable", AT_ONCE_S)
    async with contact(playground, "bob") as later:
        messages = await later.wait_for_messages(3)
        assert [message.body for message in messages] == ["0", "1", "2"]
        assert all("urn:xmpp:delay" in message.xml for message in messages)


async def test_a_question_that_a_dead_session_never_took_is_answered_with_an_error(
    playground: PlaygroundServer,
) -> None:
    bob = await RawClient.bound(playground, "bob", "sm", f"<enable xmlns='{SM}'/><presence/>")
    await bob.synchronised()
    alice = await RawClient.bound(playground, "alice", "sofa")
    alice.send("<iq type='get' id='q' to='bob@playground.localhost/sm'><ping xmlns='urn:xmpp:ping'/></iq>")
    await bob.expect("urn:xmpp:ping")
    bob.cut()
    assert 'type="error" id="q"' in await alice.expect("</iq>")
    await alice.close()


async def test_an_ack_of_what_was_never_sent_closes_the_stream(playground: PlaygroundServer) -> None:
    bob, _ = await managed(playground)
    bob.send(ACK.format(3))
    end = await bob.end()
    assert "<stream:error><undefined-condition " in end
    assert f'<handled-count-too-high xmlns="{SM}" h="3" send-count="2"/>' in end


async def test_a_resume_with_an_impossible_h_harms_nothing(playground: PlaygroundServer) -> None:
    bob, sm_id = await managed(playground)
    wrong = await resumed(playground, "bob", sm_id, h=100)
    assert "<handled-count-too-high " in await wrong.end()
    await bob.synchronised()
    await bob.close()


@pytest.mark.parametrize("nonza", [REQUEST, ACK.format(0), f"<resume xmlns='{SM}' previd='x' h='0'/>"])
async def test_what_was_not_enabled_fails(playground: PlaygroundServer, nonza: str) -> None:
    client = await RawClient.bound(playground, "bob", "sm")
    client.send(nonza)
    assert "<unexpected-request " in await client.expect("</failed>")
    await client.close()


async def test_enabling_twice_or_too_early_fails(playground: PlaygroundServer) -> None:
    client = await RawClient.authenticated(playground, "bob")
    client.send(ENABLE)
    assert "<unexpected-request " in await client.expect("</failed>")
    await client.close()
    client, _ = await managed(playground)
    client.send(ENABLE)
    assert "<unexpected-request " in await client.expect("</failed>")
    await client.close()
