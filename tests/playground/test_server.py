"""From start() to close()."""

import asyncio
import socket
import stat
from pathlib import Path

import pytest
from playground.clients import FOOTER, HEADER, RawClient, contact

from xmppsh.errors import ConnectError, MalformedJid, UsageError
from xmppsh.playground.server import PlaygroundServer


async def test_the_facts_say_all_that_a_client_needs(playground: PlaygroundServer) -> None:
    facts = playground.facts()
    assert facts["host"] == "127.0.0.1"
    assert facts["domain"] == "playground.localhost"
    assert set(facts["accounts"]) == {"alice", "bob", "echo"}
    assert len(set(facts["accounts"].values())) == 3
    assert facts["port"] != facts["tls_port"]
    folder = Path(facts["ca"]).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "PRIVATE" not in "".join(file.read_text() for file in folder.iterdir())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "localhost", "127.0.0.2", ""])
def test_it_listens_on_nothing_but_loopback(host: str) -> None:
    with pytest.raises(UsageError, match=r"listens on 127\.0\.0\.1 only"):
        PlaygroundServer(host=host)


def test_a_name_that_cannot_be_in_a_jid_is_refused() -> None:
    with pytest.raises(MalformedJid):
        PlaygroundServer(accounts={"a b": "x"})


async def test_a_taken_port_is_named_and_nothing_stays_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        server = PlaygroundServer(tls_port=taken)
        with pytest.raises(ConnectError, match=f"cannot listen on 127.0.0.1:{taken}"):
            await server.start()
        with pytest.raises(UsageError, match="does not run"):
            server.facts()


async def test_accounts_and_domain_can_be_chosen() -> None:
    async with (
        PlaygroundServer("xn--bcher-kva.example", {"Romeo": "secret", "juliet": "hidden"}) as server,
        contact(server, "romeo") as romeo,
        contact(server, "juliet") as juliet,
    ):
        await romeo.wait_for_presence("juliet@b\u00fccher.example", "available")
        await juliet.send(romeo.jid, "hello")
        assert (await romeo.wait_for_messages(1))[0].body == "hello"


async def test_close_tells_every_client_and_removes_every_file() -> None:
    server = PlaygroundServer()
    await server.start()
    folder = Path(server.facts()["ca"]).parent
    client = await RawClient.bound(server, "alice", "sofa")
    clear = await RawClient.in_clear(server)
    clear.send(HEADER)
    await clear.expect("</stream:features>")
    silent = await RawClient.in_clear(server)
    closing = asyncio.create_task(server.close())
    for each in (client, clear, silent):
        last_words = await each.end()
        assert '<host-gone xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>' + FOOTER in last_words
    await asyncio.wait_for(closing, 5)
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(server.host, server.port)
    await server.close()


async def test_close_does_not_wait_for_a_client_that_does_not_answer() -> None:
    server = PlaygroundServer()
    await server.start()
    unread, in_handshake = socket.socket(), socket.socket()
    for each, port in ((unread, server.port), (in_handshake, server.tls_port)):
        each.connect((server.host, port))
    client = await RawClient.bound(server, "alice", "sofa", "<presence/>")
    await client.synchronised()
    await asyncio.wait_for(server.close(), 6)
    unread.close()
    in_handshake.close()
    client.cut()
