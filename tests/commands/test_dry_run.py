"""`--dry-run` prints what would be sent, as stanzas that parse, and opens no connection."""

import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element as Tree

import pytest
from support.program import Program

from xmppsh.xmlio.reader import StanzaReader, tree

CLIENT = "{jabber:client}"


def stanzas(text: str) -> list[Tree]:
    reader = StanzaReader()
    found = reader.feed(text.encode())
    reader.end()
    return [tree(element) for element in found]


async def dry(program: Program, *arguments: str, stdin: bytes = b"") -> list[Tree]:
    outcome = await program.run("-n", *arguments, stdin=stdin)
    assert (outcome.code, outcome.stderr) == (0, "")
    return stanzas(outcome.stdout)


SENT: dict[str, tuple[list[str], bytes, dict[str, Any]]] = {
    "words": (["a@b", "But", "soft!"], b"", {"body": "But soft!", "type": "chat", "to": "a@b"}),
    "stdin": (["a@b"], b"one\ntwo\n", {"body": "one\ntwo"}),
    "a dash": (["a@b", "-"], b"from stdin", {"body": "from stdin"}),
    "a body that looks like an option": (["a@b", "--", "--help"], b"", {"body": "--help"}),
    "a body that looks like XML": (["a@b", "</body><x/>&amp;"], b"", {"body": "</body><x/>&amp;"}),
    "a URI": (["xmpp:a@b?message", "x"], b"", {"to": "a@b"}),
    "normal": (["a@b", "--type", "normal", "x"], b"", {"type": None}),
    "subject, thread, language": (
        ["a@b", "x", "--subject", "s", "--thread", "t", "--lang", "pt-BR"],
        b"",
        {"subject": "s", "thread": "t", "{http://www.w3.org/XML/1998/namespace}lang": "pt-BR"},
    ),
    "an id": (["a@b", "x", "--id", "my-id"], b"", {"id": "my-id"}),
}


@pytest.mark.parametrize(("arguments", "stdin", "expected"), SENT.values(), ids=SENT)
async def test_send_prints_the_message(
    program: Program, arguments: list[str], stdin: bytes, expected: dict[str, Any]
) -> None:
    (message,) = await dry(program, "send", *arguments, stdin=stdin)
    assert message.tag == f"{CLIENT}message"
    for name, value in expected.items():
        found = message.findtext(f"{CLIENT}{name}") if name in ("body", "subject", "thread") else message.get(name)
        assert found == value, name
    assert message.get("id")


async def test_send_prints_a_message_for_each_recipient_once(program: Program, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.write_text("# friends\nc@d\n\n  xmpp:e@f  \na@b\n")
    arguments = ("a@b", "--to", "c@d", "--to-file", str(more), "x")
    assert [message.get("to") for message in await dry(program, "send", *arguments)] == ["a@b", "c@d", "e@f"]


async def test_send_lines_prints_a_message_for_each_line(program: Program) -> None:
    found = await dry(program, "send", "--lines", "a@b", stdin=b"one\r\n\n two \nthree")
    assert [message.findtext(f"{CLIENT}body") for message in found] == ["one", " two ", "three"]
    assert len({message.get("id") for message in found}) == 3


async def test_send_attaches_urls(program: Program) -> None:
    (message,) = await dry(program, "send", "a@b", "x", "--oob", "https://x/?a&b", "--oob", "https://y")
    urls = [url.text for url in message.iterfind("{jabber:x:oob}x/{jabber:x:oob}url")]
    assert urls == ["https://x/?a&b", "https://y"]


async def test_ping_and_iq_print_the_request(program: Program) -> None:
    (ping,) = await dry(program, "ping", "a@b/c")
    assert (ping.tag, ping.get("type"), ping.get("to")) == (f"{CLIENT}iq", "get", "a@b/c")
    assert [child.tag for child in ping] == ["{urn:xmpp:ping}ping"]
    (iq,) = await dry(program, "iq", "set", "b", "-", stdin=b" <q xmlns='urn:q'><a>&lt;</a></q>\n")
    assert (iq.get("type"), iq.get("to"), iq[0].tag, iq[0][0].text) == ("set", "b", "{urn:q}q", "<")


async def test_raw_prints_its_stanzas_as_they_are(program: Program) -> None:
    outcome = await program.run("-n", "raw", "<presence  to='a@b' />", "-", stdin=b"<message/><iq type='get'/>")
    assert outcome.code == 0
    assert [found.tag.partition("}")[2] for found in stanzas(outcome.stdout)] == ["presence", "message", "iq"]
    assert outcome.stdout.startswith("<presence ")


async def test_pipe_prints_its_stanzas_with_ids(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "stanzas.xml"
    file.write_bytes(b"<stream:stream><message to='a@b'/>\n<presence id='mine'/></stream:stream>")
    first, second = await dry(program, "pipe", str(file))
    assert first.get("id")
    assert second.get("id") == "mine"


async def test_pipe_prints_what_came_before_a_fault_and_then_the_fault(program: Program) -> None:
    outcome = await program.run("-n", "pipe", stdin=b"<message/>\n <foo/><message/>")
    assert outcome.code == 65
    assert len(stanzas(outcome.stdout)) == 1
    assert re.search(r"line 2, column 2: <foo> is not a stanza", outcome.stderr)
