"""What others may ask of a session of ours, as another client on the server sees it."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from slixmpp.exceptions import IqError
from support.chaos import ChaosProxy
from support.contact import Contact
from support.faults import reset_both
from support.program import Program
from support.servers import Account, Server
from support.until import until

pytestmark = pytest.mark.either_server


async def ask(contact: Contact, to: str, name: str, **attributes: str) -> Any:
    """The payload of the answer; raises IqError."""
    iq: Any = contact.client.make_iq_get(ito=to)
    iq.append(ET.Element(name, attributes))
    answer = await iq.send(timeout=30)
    return answer.xml[0]


async def test_who_sees_us_learns_what_we_are_and_a_stranger_not_how_long_we_are_idle(
    program: Program, server: Server, alice: Account, friend: Contact, tmp_path: Path
) -> None:
    async with program.listening(ready=tmp_path / "ready"):
        here = await friend.wait_for_presence(alice.jid, "available")
        caps = ET.fromstring(here.xml).find("{http://jabber.org/protocol/caps}c")
        assert caps is not None
        node = f"{caps.get('node')}#{caps.get('ver')}"
        info = await ask(friend, here.sender, "{http://jabber.org/protocol/disco#info}query", node=node)
        features = [one.get("var") for one in info if one.tag.endswith("}feature")]
        assert {"http://jabber.org/protocol/caps", "jabber:iq:version", "urn:xmpp:ping"} <= set(features)
        version = await ask(friend, here.sender, "{jabber:iq:version}query")
        assert version.findtext("{jabber:iq:version}name") == "xmppsh"
        assert int((await ask(friend, here.sender, "{jabber:iq:last}query")).get("seconds")) >= 0
        async with Contact(server, server.account()) as stranger:
            with pytest.raises(IqError) as refused:
                await ask(stranger, here.sender, "{jabber:iq:last}query")
            assert refused.value.condition == "service-unavailable"


@pytest.mark.parametrize("option", [[], ["--receipts"]], ids=["by itself", "--receipts"])
async def test_a_listener_confirms_where_it_is_told_to_says_so_and_strangers_learn_nothing(
    program: Program, server: Server, alice: Account, friend: Contact, tmp_path: Path, option: list[str]
) -> None:
    ask_for = "<message type='chat' to='{}' id='{}'><body>x</body><request xmlns='urn:xmpp:receipts'/></message>"
    async with program.listening(*option, "-C", "2", ready=tmp_path / "ready") as process:
        here = await friend.wait_for_presence(alice.jid, "available")
        info = await ask(friend, here.sender, "{http://jabber.org/protocol/disco#info}query")
        assert ("urn:xmpp:receipts" in [one.get("var") for one in info]) is bool(option)
        async with Contact(server, server.account()) as stranger:
            await stranger.send_raw(ask_for.format(here.sender, "s1"))
            await friend.send_raw(ask_for.format(here.sender, "f1"))
            assert await process.wait() == 0
            if option:
                await friend.wait_for_message(lambda message: "received" in message.xml)
            await friend.settle()
            await stranger.settle()
            told = [[one.xml for one in contact.messages if "received" in one.xml] for contact in (friend, stranger)]
        assert [len(one) for one in told] == [len(option), 0]
        assert all("id='f1'" in one or 'id="f1"' in one for one in told[0])


async def test_a_listener_that_nobody_looks_at_says_so_on_each_stream(
    program: Program, server: Server, tmp_path: Path
) -> None:
    trace, said = tmp_path / "trace", '> <inactive xmlns="urn:xmpp:csi:0"/>'
    async with ChaosProxy(server.host, server.port) as proxy:
        program.env["XMPPSH_HOST"] = f"{server.host}:{proxy.port}"
        async with program.listening("--inactive", "--trace", str(trace), ready=tmp_path / "ready"):
            assert trace.read_text().count(said) == 1
            await proxy.inject(reset_both())
            await until(lambda: trace.read_text().count(said) == 2, "the stream that was resumed")
