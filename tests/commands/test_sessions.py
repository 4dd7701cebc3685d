"""`sessions` without a server: what a bad command line is answered with, and what a dry run prints."""

from xml.etree.ElementTree import Element as Tree

import pytest
from support.program import Program

from xmppsh.xmlio.reader import read_element, tree

HELP = "xmppsh sessions --help"

BAD = {
    "unknown action": (["sessions", "drop"], "'sessions drop' is not a command", HELP),
    "nothing to close": (["-n", "sessions", "close"], "Missing argument 'RESOURCE'", "xmppsh sessions close --help"),
    "a resource to list": (
        ["-n", "sessions", "list", "x"],
        "Got unexpected extra argument (x)",
        "xmppsh sessions list",
    ),
    "a resource to reap": (
        ["-n", "sessions", "reap", "x"],
        "Got unexpected extra argument (x)",
        "xmppsh sessions reap",
    ),
    "visible": (["-n", "sessions", "reap", "--visible"], "No such option '--visible'", "xmppsh sessions reap --help"),
    "a resource that is none": (
        ["-n", "-j", "a@b", "sessions", "close", "a\tb"],
        "'a@b/a\\tb' is not an XMPP address: its resource holds the character U+0009",
        "localpart@domain/resource",
    ),
    "no account": (["-n", "sessions", "close", "x"], "no account is given", "--jid user@domain"),
}


@pytest.mark.parametrize(("arguments", "sentence", "hint"), BAD.values(), ids=BAD)
async def test_a_bad_command_line_is_64(program: Program, arguments: list[str], sentence: str, hint: str) -> None:
    outcome = await program.run(*arguments)
    assert (outcome.code, outcome.stdout) == (64, "")
    first, *rest = outcome.stderr.splitlines()
    assert first.startswith(f"xmppsh: {sentence}")
    assert [line.startswith(f"  try: {hint}") for line in rest] == [True]


async def dry(program: Program, *arguments: str) -> Tree:
    outcome = await program.run("-n", *arguments)
    assert (outcome.code, outcome.stderr) == (0, "")
    return tree(read_element(outcome.stdout))


async def test_a_dry_list_prints_the_request(program: Program) -> None:
    iq = await dry(program, "sessions", "list")
    assert (iq.tag, iq.get("type"), iq.get("to")) == ("{jabber:client}iq", "get", None)
    assert [child.tag for child in iq] == ["{http://jabber.org/protocol/disco#items}query"]


@pytest.mark.parametrize("resource", ["my phone", "a@b/my phone"])
async def test_a_dry_close_prints_the_bind_that_replaces_the_session(program: Program, resource: str) -> None:
    iq = await dry(program, "-j", "a@b", "sessions", "close", resource)
    bind = "{urn:ietf:params:xml:ns:xmpp-bind}"
    assert (iq.get("type"), iq.findtext(f"{bind}bind/{bind}resource")) == ("set", "my phone")


async def test_a_dry_reap_with_nothing_left_prints_nothing(program: Program) -> None:
    outcome = await program.run("-n", "-j", "a@b", "sessions", "reap")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
