"""Every message of ours has a fresh origin-id of its own (XEP-0359), whatever ids the user gives."""

from pathlib import Path
from xml.etree.ElementTree import Element as Tree

import pytest
from support.program import Program

from xmppsh.xmlio.reader import StanzaReader, tree

ORIGIN_ID = "{urn:xmpp:sid:0}origin-id"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    program = Program(tmp_path)
    program.env["XMPPSH_JID"] = "juliet@good.example"
    return program


async def dry(program: Program, *arguments: str, stdin: str = "") -> list[Tree]:
    outcome = await program.run("-n", *arguments, stdin=stdin.encode())
    assert (outcome.code, outcome.stderr) == (0, "")
    return [tree(stanza) for stanza in StanzaReader().feed(outcome.stdout.encode())]


def origins(messages: list[Tree]) -> list[str]:
    """The only origin-id of each."""
    found = [message.findall(ORIGIN_ID) for message in messages]
    assert [len(one) for one in found] == [1] * len(messages)
    return [one[0].get("id", "") for one in found]


async def test_send_keeps_the_user_s_id_and_makes_an_origin_id_for_each_recipient(program: Program) -> None:
    messages = await dry(program, "send", "a@b", "--to", "c@d", "--id", "mine", "x")
    messages += await dry(program, "send", "a@b", "--id", "mine", "x")
    assert {message.get("id") for message in messages} == {"mine"}
    assert len({"mine", *origins(messages)}) == 4


async def test_pipe_keeps_the_user_s_id_and_makes_a_fresh_origin_id_each_time(program: Program) -> None:
    stanzas = "<message to='a@b' id='mine'><body>1</body></message><message to='a@b' id='mine'/>"
    messages = [*await dry(program, "pipe", stdin=stanzas), *await dry(program, "pipe", stdin=stanzas)]
    assert {message.get("id") for message in messages} == {"mine"}
    assert len({"mine", *origins(messages)}) == 5


async def test_the_id_that_we_make_is_the_origin_id_too(program: Program) -> None:
    messages = [*await dry(program, "send", "a@b", "x"), *await dry(program, "pipe", stdin="<message to='a@b'/>")]
    assert origins(messages) == [message.get("id") for message in messages]


async def test_a_message_that_brings_an_origin_id_gets_no_second_one(program: Program) -> None:
    brought = "<message to='a@b' id='1'><origin-id xmlns='urn:xmpp:sid:0' id='brought'/></message>"
    assert origins(await dry(program, "pipe", stdin=brought)) == ["brought"]


@pytest.mark.parametrize(
    "content",
    [
        "<stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id='s'/>",
        "<body>urn:xmpp:sid:0</body>",
        "<x xmlns='urn:x'><origin-id xmlns='urn:xmpp:sid:0' id='of another'/></x>",
    ],
)
async def test_what_only_looks_like_an_origin_id_is_none(program: Program, content: str) -> None:
    (origin,) = origins(await dry(program, "pipe", stdin=f"<message to='a@b' id='1'>{content}</message>"))
    assert origin not in ("s", "1", "of another")


async def test_iq_and_presence_have_none(program: Program) -> None:
    stanzas = await dry(program, "pipe", stdin="<presence/><iq type='get' to='a@b'><q xmlns='urn:q'/></iq>")
    assert [stanza.find(ORIGIN_ID) for stanza in stanzas] == [None, None]
