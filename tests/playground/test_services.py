"""What the recipes need of the server, by the real program: archive, blocking, carbons, upload."""

import asyncio
import signal
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playground.clients import RawClient, context_of, visitor
from support.program import Program

from xmppsh.playground.server import PlaygroundServer

BOB = "bob@playground.localhost"


def program_of(server: PlaygroundServer, home: Path, name: str) -> Program:
    program, facts = visitor(home), server.facts()
    program.env |= {
        "XMPPSH_JID": f"{name}@{server.domain}",
        "XMPPSH_PASSWORD": server.accounts[name],
        "XMPPSH_HOST": f"{server.host}:{server.port}",
        "XMPPSH_CA": facts["ca"],
    }
    return program


async def test_the_archive_has_what_was_sent_and_goes_on_where_it_stopped(
    playground: PlaygroundServer, tmp_path: Path
) -> None:
    client = await RawClient.bound(playground, "alice", "sofa")
    body = "<message to='{to}' type='chat'><body>{n}</body></message>"
    client.send("".join(body.format(to=BOB, n=n) for n in range(250)))
    client.send(f"<message to='{BOB}'><body>hush</body><no-store xmlns='urn:xmpp:hints'/></message>")
    client.send(body.format(to="echo@playground.localhost", n="echoed"))
    await client.synchronised()
    alice = program_of(playground, tmp_path, "alice")
    assert (await alice.run("history", "list", "--last", "1", "-F", "%b", "--with", BOB)).stdout == "249\n"
    export = ("history", "export", "--with", BOB, "--checkpoint", str(tmp_path / "done.json"))
    assert [one["body"] for one in (await alice.run(*export)).records] == [str(n) for n in range(250)]
    client.send(body.format(to=BOB, n="new"))
    await client.synchronised()
    assert [one["body"] for one in (await alice.run(*export)).records] == ["new"]
    await client.close()


async def test_what_a_killed_listener_was_given_is_printed_once_by_the_next_one(
    playground: PlaygroundServer, tmp_path: Path
) -> None:
    bob = program_of(playground, tmp_path, "bob")
    bob.env["XMPPSH_JID"] = f"{BOB}/bot"
    alice = await RawClient.bound(playground, "alice", "sofa")
    async with bob.listening(ready=tmp_path / "ready") as process:
        process.send_signal(signal.SIGSTOP)
        alice.send(f"<message to='{BOB}/bot' type='chat'><body>hi</body></message>")
        await alice.synchronised()
        process.kill()
        await process.wait()
    # From the archive, and again from the offline store.
    assert (await bob.run("listen", "--drain", "-F", "%b")).stdout == "hi\n"
    await alice.close()


async def test_a_blocked_contact_is_heard_no_more_and_cannot_be_written_to(playground: PlaygroundServer) -> None:
    alice = await RawClient.bound(playground, "alice", "sofa", "<presence/>")
    bob = await RawClient.bound(playground, "bob", "desk", "<presence/>")
    await bob.expect('from="alice@playground.localhost/sofa"')
    block = "<iq type='set' id='b'><{0} xmlns='urn:xmpp:blocking'><item jid='bob@playground.localhost'/></{0}></iq>"
    alice.send(block.format("block"))
    await bob.expect('type="unavailable"')
    alice.send(f"<message to='{BOB}'><body>x</body></message>")
    assert "<not-acceptable " in await alice.expect("</error></message>")
    bob.send("<message to='alice@playground.localhost'><body>do you hear me?</body></message>")
    assert "<service-unavailable " in await bob.expect("</error></message>")
    alice.send(block.format("unblock"))
    assert "hear me" not in await alice.synchronised()
    bob.send("<message to='alice@playground.localhost'><body>and now?</body></message>")
    await alice.expect("and now?")
    await alice.close()
    await bob.close()


async def test_the_other_clients_of_an_account_get_copies_of_what_one_sends_and_receives(
    playground: PlaygroundServer,
) -> None:
    enable = "<presence/><iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
    sofa = await RawClient.bound(playground, "alice", "sofa", enable)
    desk = await RawClient.bound(playground, "alice", "desk", enable)
    await sofa.synchronised()
    await desk.synchronised()
    desk.send("<message to='echo@playground.localhost' type='chat'><body>ho</body></message>")
    for direction in ("sent", "received"):
        copy = await sofa.expect("</message></forwarded>")
        assert 'from="alice@playground.localhost"' in copy
        assert f'<{direction} xmlns="urn:xmpp:carbons:2">' in copy
        assert '<message xmlns="jabber:client"' in copy
    assert "carbons" not in await desk.synchronised()
    await sofa.close()
    await desk.close()


async def test_what_waits_for_an_account_comes_once_to_a_client_that_was_not_available_yet(
    playground: PlaygroundServer,
) -> None:
    enable = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
    sofa = await RawClient.bound(playground, "alice", "sofa", enable)
    await sofa.synchronised()
    bob = await RawClient.bound(playground, "bob", "bench", "<presence/>")
    bob.send("<message to='alice@playground.localhost' type='chat'><body>once</body></message>")
    await bob.synchronised()
    assert "once" not in await sofa.synchronised()
    sofa.send("<presence/>")
    assert (await sofa.expect("once")).count("once") == 1
    assert "once" not in await sofa.synchronised()
    await sofa.close()
    await bob.close()


async def test_a_file_is_uploaded_once_and_got_back(playground: PlaygroundServer, tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_bytes(b"But soft!")
    outcome = await program_of(playground, tmp_path, "alice").run("upload", str(tmp_path / "a b.txt"))
    assert outcome.code == 0, outcome.stderr
    url = outcome.stdout.strip()
    assert await asyncio.to_thread(_get, url, context_of(playground)) == b"But soft!"
    with pytest.raises(urllib.error.HTTPError, match="405"):
        await asyncio.to_thread(_get, url, context_of(playground), b"other")


def _get(url: str, context: ssl.SSLContext, data: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, data, method="GET" if data is None else "PUT")
    with urllib.request.urlopen(request, context=context, timeout=15) as answer:
        body: bytes = answer.read()
        return body
