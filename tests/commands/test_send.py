"""`send`: what its options put into the message, and what it refuses before anything is dialled."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element as Tree

import pytest
from support.program import Program

from xmppsh.xmlio.reader import StanzaReader, tree

CLIENT = "{jabber:client}"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    program = Program(tmp_path)
    program.env["XMPPSH_JID"] = "juliet@good.example"
    return program


async def sent(program: Program, *arguments: str, stdin: bytes = b"") -> list[Tree]:
    outcome = await program.run("-n", "send", *arguments, stdin=stdin)
    assert (outcome.code, outcome.stderr) == (0, "")
    reader = StanzaReader()
    found = reader.feed(outcome.stdout.encode())
    reader.end()
    return [tree(one) for one in found]


def bodies(messages: list[Tree]) -> list[str | None]:
    return [message.findtext(f"{CLIENT}body") for message in messages]


BODIES: dict[str, tuple[list[str], bytes, list[str]]] = {
    "--pre": (["a@b", "--pre", "x  y"], b"", ["```\nx  y\n```"]),
    "--control strip": (["a@b", "--control", "strip"], b"\x1b[31mred\x1b[0m\x07", ["red"]),
    "--control strip of a title": (["a@b", "--control", "strip"], b"\x1b]0;title\x07text", ["text"]),
    "--control strip of what is not UTF-8": (["a@b", "--control", "strip"], b"a\xffb", ["ab"]),
    "--control show": (["a@b", "--control", "show"], b"\x1b[1mx\x00\xff", ["\\x1b[1mx\\x00\\xff"]),
    "--lines": (["a@b", "--lines"], b"one\n\ntwo", ["one", "two"]),
    "--lines from Windows": (["a@b", "--lines"], b"\xef\xbb\xbfone\r\ntwo\r\n", ["one", "two"]),
    "stdin from Windows": (["a@b"], b"\xef\xbb\xbfone\r\ntwo\r\n", ["one\r\ntwo"]),
    "--batch": (["a@b", "--lines", "--batch", "1"], b"one\ntwo\n", ["one\ntwo"]),
    "--to alone": (["--to", "a@b", "hello", "there"], b"", ["hello there"]),
    "a URI": (["xmpp:a@b?message;subject=S;body=But%20soft%0A"], b"", ["But soft\n"]),
    "TEXT before a URI's": (["xmpp:a@b?message;body=x", "y"], b"", ["y"]),
    "--quote": (["a@b", "--reply-to", "m1", "--quote", "a\nb", "yes"], b"", ["> a\n> b\nyes"]),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "stdin", "expected"), BODIES.values(), ids=BODIES)
async def test_the_body_is_made_of_what_was_given(
    program: Program, arguments: list[str], stdin: bytes, expected: list[str]
) -> None:
    assert bodies(await sent(program, *arguments, stdin=stdin)) == expected


PAYLOADS: dict[str, tuple[list[str], str, dict[str, Any]]] = {
    "--replace": (["--replace", "m1", "x"], "{urn:xmpp:message-correct:0}replace", {"id": "m1"}),
    "--reply-to": (["--reply-to", "m1", "x"], "{urn:xmpp:reply:0}reply", {"id": "m1", "to": "a@b"}),
    "--retract": (["--retract", "m1"], "{urn:xmpp:message-retract:1}retract", {"id": "m1"}),
    "--react": (["--react", "👍", "--reply-to", "m1"], "{urn:xmpp:reactions:0}reactions", {"id": "m1"}),
    "--wait delivered": (["--wait", "delivered", "x"], "{urn:xmpp:receipts}request", {}),
}


@pytest.mark.parametrize(("arguments", "name", "attributes"), PAYLOADS.values(), ids=PAYLOADS)
async def test_an_option_puts_its_element_into_the_message(
    program: Program, arguments: list[str], name: str, attributes: dict[str, str]
) -> None:
    (message,) = await sent(program, "a@b", *arguments)
    payload = message.find(name)
    assert payload is not None
    assert payload.attrib == attributes


async def test_an_empty_reaction_takes_reactions_back(program: Program) -> None:
    (message,) = await sent(program, "a@b", "--react", "", "--reply-to", "m1")
    (reactions,) = message.findall("{urn:xmpp:reactions:0}reactions")
    assert len(reactions) == 0


async def test_the_quotation_is_marked_for_clients_that_know_replies(program: Program) -> None:
    (message,) = await sent(program, "a@b", "--reply-to", "m1", "--quote", "a\nb", "yes")
    part = message.find("{urn:xmpp:fallback:0}fallback/{urn:xmpp:fallback:0}body")
    assert part is not None
    assert (message.findtext(f"{CLIENT}body") or "")[int(part.get("end", "")) :] == "yes"


async def test_a_uri_gives_the_subject_too(program: Program) -> None:
    (message,) = await sent(program, "xmpp:a@b?message;subject=S%3B;body=x")
    assert message.findtext(f"{CLIENT}subject") == "S;"


async def test_empty_sends_an_empty_body(program: Program) -> None:
    assert bodies(await sent(program, "a@b", "--empty", "")) == [""]


REFUSED: dict[str, tuple[list[str], bytes, int, str]] = {
    "empty": (["a@b", ""], b"", 65, "there is nothing to send: TEXT is empty"),
    "control characters": (["a@b"], b"\x1b[31m", 65, "stdin holds U+001B"),
    "not UTF-8": (["a@b"], b"\xff", 65, "stdin is not UTF-8 (byte 1)"),
    "--batch without --lines": (["a@b", "x", "--batch", "1"], b"", 64, "--batch is for --lines"),
    "--react without a message": (["a@b", "--react", "x"], b"", 64, "--react says which message"),
    "--nick without --room": (["a@b", "x", "--nick", "n"], b"", 64, "--nick and --room-password are for --room"),
    "a file without addresses": (["--to-file", "/dev/null", "x"], b"", 65, "/dev/null holds no address"),
    "--attach of nothing": (["a@b", "--attach", "/nowhere"], b"", 66, "/nowhere: no such file"),
    "--attach without a name": (["a@b", "--attach", ""], b"", 64, "the name of the file is empty"),
    "--attach of a folder": (["a@b", "--attach", "/"], b"", 66, "/: is not a regular file"),
    "--wait of nothing": (["a@b", "x", "--wait", "acked:3"], b"", 64, "--wait: 'acked:3' is not sent"),
}


@pytest.mark.parametrize(("arguments", "stdin", "code", "sentence"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_sent_is_refused(
    program: Program, arguments: list[str], stdin: bytes, code: int, sentence: str
) -> None:
    outcome = await program.run("-n", "send", *arguments, stdin=stdin)
    assert (outcome.code, outcome.stdout) == (code, "")
    assert outcome.stderr.startswith(f"xmppsh: {sentence}")
