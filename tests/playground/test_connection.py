"""The stream itself: what is refused, and how it ends."""

import asyncio

import pytest
from playground.clients import FOOTER, HEADER, RawClient, bind, plain

from xmppsh.playground import wire
from xmppsh.playground.server import PlaygroundServer


async def test_the_whole_handshake_may_come_in_one_piece(playground: PlaygroundServer) -> None:
    client = await RawClient.secured(playground)
    login = plain("alice", playground.accounts["alice"])
    ping = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
    client.send(HEADER + login + HEADER + bind("sofa") + ping + FOOTER)
    came = await client.end()
    assert came.count("<stream:features>") == 2
    assert 'type="result" id="p"' in came
    assert came.endswith(FOOTER)


async def test_the_whole_handshake_may_come_byte_by_byte(playground: PlaygroundServer) -> None:
    client = await RawClient.secured(playground)
    for byte in HEADER + plain("alice", playground.accounts["alice"]) + "\n" + HEADER + bind("sofa") + FOOTER:
        client.send(byte)
    assert "<jid>alice@playground.localhost/sofa</jid>" in await client.end()


@pytest.mark.parametrize(
    ("xml", "condition"),
    [
        (HEADER.replace("playground.localhost", "example.org"), "host-unknown"),
        (HEADER.replace("version='1.0' ", ""), "unsupported-version"),
        (HEADER.replace("etherx.jabber.org", "example.org"), "invalid-namespace"),
        (HEADER + "<message to='bob@playground.localhost'/>", "not-authorized"),
        (HEADER + "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "not-authorized"),
        (HEADER + "<a></b>", "not-well-formed"),
        ("<!DOCTYPE x>", "restricted-xml"),
        ("hello>", "not-well-formed"),
    ],
)
async def test_a_stream_that_begins_wrong_ends_with_an_error(
    playground: PlaygroundServer, xml: str, condition: str
) -> None:
    client = await RawClient.secured(playground)
    client.send(xml)
    came = await client.end()
    assert came.startswith("<?xml")
    assert f'<stream:error><{condition} xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>' in came
    assert came.endswith(FOOTER)


@pytest.mark.parametrize(
    ("xml", "condition"),
    [
        ("<message><a></message>", "not-well-formed"),
        ("<!-- x -->", "restricted-xml"),
        ("text", "not-well-formed"),
        (f"<message><body>{'x' * 300_000}</body></message>", "policy-violation"),
        ("<message>" + "<a>" * 100, "policy-violation"),
        ("<nonsense xmlns='urn:example'/>", "unsupported-stanza-type"),
    ],
)
async def test_a_session_that_breaks_the_rules_ends_with_an_error(
    playground: PlaygroundServer, xml: str, condition: str
) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    client.send(xml)
    assert f"<stream:error><{condition} " in await client.end()


async def test_stanzas_before_bind_end_the_stream(playground: PlaygroundServer) -> None:
    client = await RawClient.authenticated(playground, "alice")
    client.send("<presence/>")
    assert "<stream:error><not-authorized " in await client.end()


async def test_a_footer_is_answered_and_white_space_is_not(playground: PlaygroundServer) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    client.send(" \n ")
    client.send(FOOTER)
    assert await client.end() == FOOTER


async def test_the_newer_session_gets_the_resource(playground: PlaygroundServer) -> None:
    older = await RawClient.bound(playground, "alice", "sofa", "<presence/>")
    newer = await RawClient.bound(playground, "alice", "sofa")
    assert "<stream:error><conflict " in await older.end()
    await newer.synchronised()
    await newer.close()


async def test_without_a_wish_the_resource_is_random(playground: PlaygroundServer) -> None:
    seen = set()
    for _ in range(2):
        client = await RawClient.authenticated(playground, "alice")
        client.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        seen.add((await client.expect("</jid>")).rpartition("/sofa")[2])
        await client.close()
    assert len(seen) == 2


async def test_the_resource_of_the_bot_cannot_be_taken(playground: PlaygroundServer) -> None:
    client = await RawClient.authenticated(playground, "echo")
    client.send(bind("bot"))
    assert "/bot</jid>" not in await client.expect("</jid>")
    await client.close()


async def test_a_client_that_does_not_read_is_dropped_and_blocks_nobody(
    playground: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_BACKLOG_BYTES", 2**20)
    bob = await RawClient.bound(playground, "bob", "slow", "<presence/>")
    await bob.synchronised()
    bob.writer.transport.pause_reading()  # type: ignore[attr-defined]
    alice = await RawClient.bound(playground, "alice", "sofa", "<presence/>")
    await alice.expect("slow")
    message = f"<message to='bob@playground.localhost/slow'><body>{'x' * 100_000}</body></message>"

    async def flood() -> None:
        while True:
            alice.send(message)
            await alice.writer.drain()

    flooding = asyncio.create_task(flood())
    await alice.expect(
        '<presence from="bob@playground.localhost/slow" to="alice@playground.localhost" type="unavailable"'
    )
    flooding.cancel()
    await asyncio.wait([flooding])
    await alice.synchronised()
    alice.cut()
    bob.cut()
