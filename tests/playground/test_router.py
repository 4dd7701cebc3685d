"""Messages and questions find their way, or come back."""

import pytest
from playground.clients import RawClient, ask, contact

from xmppsh.playground import accounts
from xmppsh.playground.server import PlaygroundServer

ERROR = "{jabber:client}error"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


async def test_messages_go_both_ways_in_order(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice, contact(playground, "bob") as bob:
        for number in range(100):
            await alice.send("bob@playground.localhost", f"to bob {number}")
            await bob.send(alice.jid, f"to alice {number}")
        to_bob, to_alice = await bob.wait_for_messages(100), await alice.wait_for_messages(100)
        assert [message.body for message in to_bob] == [f"to bob {number}" for number in range(100)]
        assert [message.body for message in to_alice] == [f"to alice {number}" for number in range(100)]
        assert {message.sender for message in to_bob} == {alice.jid}


async def test_a_message_waits_for_somebody_who_is_away(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        await alice.send("bob@playground.localhost", "one & <two>")
        await alice.send("bob@playground.localhost/nowhere", "two")
        assert (await ask(alice, "", "<ping xmlns='urn:xmpp:ping'/>")).get("type") == "result"
    async with contact(playground, "bob") as bob:
        first, second = await bob.wait_for_messages(2)
        assert (first.body, second.body) == ("one & <two>", "two")
        assert "urn:xmpp:delay" in first.xml
    async with contact(playground, "bob") as bob:
        await ask(bob, "", "<ping xmlns='urn:xmpp:ping'/>")
        assert bob.messages == []


async def test_a_full_store_says_so(playground: PlaygroundServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MAX_OFFLINE_MESSAGES", 1)
    async with contact(playground, "alice") as alice:
        for body in ("kept", "too much"):
            await alice.send("bob@playground.localhost", body)
        bounce = await alice.wait_for_message(lambda message: message.type == "error")
        assert "resource-constraint" in bounce.xml


async def test_the_highest_priority_gets_messages_to_the_bare_jid(playground: PlaygroundServer) -> None:
    presences = {"low": 1, "high": 5, "hidden": -1}
    bobs = {
        name: await RawClient.bound(playground, "bob", name, f"<presence><priority>{priority}</priority></presence>")
        for name, priority in presences.items()
    }
    for bob in bobs.values():
        await bob.synchronised()
    async with contact(playground, "alice") as alice:
        await alice.send("bob@playground.localhost", "to the best")
        await alice.send("bob@playground.localhost/hidden", "to one")
        assert "to the best" in await bobs["high"].expect("</message>")
        assert "to one" in await bobs["hidden"].expect("</message>")
        assert "<message" not in await bobs["low"].synchronised()
    for bob in bobs.values():
        await bob.close()


async def test_echo_answers_and_confirms(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice:
        await alice.wait_for_presence("echo@playground.localhost", "available")
        await alice.send_raw(
            "<message to='echo@playground.localhost' type='chat' id='m1'><body>a &lt; b</body>"
            "<request xmlns='urn:xmpp:receipts'/></message>"
        )
        receipt, echo = await alice.wait_for_messages(2)
        assert 'id="m1"' in receipt.xml
        assert (echo.sender, echo.type, echo.body) == ("echo@playground.localhost/bot", "chat", "a < b")


@pytest.mark.parametrize(
    ("to", "condition"),
    [
        ("nobody@playground.localhost", "service-unavailable"),
        ("nobody@playground.localhost/x", "service-unavailable"),
        ("playground.localhost", "service-unavailable"),
        ("bob@example.org", "remote-server-not-found"),
        ("a@b@c", "jid-malformed"),
        ("nowhere@rooms.playground.localhost", "item-not-found"),
    ],
)
async def test_a_message_that_cannot_be_delivered_comes_back(
    playground: PlaygroundServer, to: str, condition: str
) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    client.send(f"<message to='{to}' id='m'><body>x</body></message>")
    bounce = await client.expect("</message>")
    sender = "alice@playground.localhost" if condition == "jid-malformed" else to
    assert f'<message from="{sender}" to="alice@playground.localhost/sofa" type="error" id="m">' in bounce
    assert f"<{condition} " in bounce
    client.send(f"<message to='{to}' type='error'/>")
    assert "<message" not in await client.synchronised()
    await client.close()


@pytest.mark.parametrize(
    ("to", "payload", "answer"),
    [
        ("", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        ("playground.localhost", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        ("echo@playground.localhost/bot", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        ("playground.localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "server"),
        ("alice@playground.localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "account"),
        ("bob@playground.localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "account"),
        ("echo@playground.localhost/bot", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "client"),
        ("playground.localhost", "<query xmlns='http://jabber.org/protocol/disco#items'/>", "rooms.playground"),
        ("playground.localhost", "<query xmlns='jabber:iq:version'/>", "xmppsh playground"),
        ("playground.localhost", "<time xmlns='urn:xmpp:time'/>", "+00:00"),
        ("playground.localhost", "<query xmlns='jabber:iq:last'/>", "seconds"),
        ("playground.localhost", "<query xmlns='urn:example:unknown'/>", "service-unavailable"),
        ("", "<query xmlns='urn:example:unknown'/>", "service-unavailable"),
        ("bob@playground.localhost", "<query xmlns='jabber:iq:version'/>", "service-unavailable"),
        ("bob@playground.localhost/none", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable"),
        ("nobody@playground.localhost", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable"),
        ("example.org", "<ping xmlns='urn:xmpp:ping'/>", "remote-server-not-found"),
    ],
)
async def test_a_question_is_answered(playground: PlaygroundServer, to: str, payload: str, answer: str) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    client.send(f"<iq type='get' id='q' {f'to={to!r}' if to else ''}>{payload}</iq>")
    came = await client.synchronised()
    assert 'id="q"' in came
    assert answer in came
    await client.close()


@pytest.mark.parametrize(
    "iq", ["<iq type='get' id='1'/>", "<iq type='get'><a xmlns='b'/></iq>", "<iq id='1' type='ask'><a xmlns='b'/></iq>"]
)
async def test_a_wrong_iq_is_a_bad_request(playground: PlaygroundServer, iq: str) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    client.send(iq)
    assert "<bad-request " in await client.synchronised()
    await client.close()


async def test_two_clients_ask_each_other(playground: PlaygroundServer) -> None:
    async with contact(playground, "alice") as alice, contact(playground, "bob") as bob:
        bob.client.register_plugin("xep_0199")
        assert (await ask(alice, bob.jid, "<ping xmlns='urn:xmpp:ping'/>")).get("type") == "result"
