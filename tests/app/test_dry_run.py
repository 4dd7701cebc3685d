"""`--dry-run` prints what would be sent, as stanzas that parse, opens no connection, and finds every fault of the
command line and the config."""

import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element as Tree

import pytest
from support.dns import Fails, NameServer, serving
from support.program import Program

from xmppsh.xmlio.reader import StanzaReader, tree

CLIENT = "{jabber:client}"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    program = Program(tmp_path)
    program.env["XMPPSH_JID"] = "juliet@good.example"
    return program


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


# ── Faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────

FAULTS: dict[str, tuple[list[str], str, int, str]] = {
    "a proxy that is none": (["--proxy", "foo"], "", 64, "--proxy: this is not the address of a proxy"),
    "both address families": (["-4", "-6"], "", 64, "-4 and -6 exclude each other"),
    "TLS off to a domain": (["--tls", "off"], "", 64, "--tls off is refused for good.example:5222: a password"),
    "TLS off to a host": (["--tls", "off", "--host", "192.0.2.1"], "", 64, "--tls off is refused for 192.0.2.1:5222"),
    "a domain for an account": (["-j", "good.example"], "", 64, "good.example is a domain, not an account"),
    "two passwords": (
        ["--password-file", "a", "--password-command", "b"], "", 64, "more than one source of the password is given",
    ),
    "no password file": (["--password-file", "/nowhere"], "", 66, "/nowhere: no such file or directory"),
    "a password file for all": (["--password-file", "{config}"], "", 78, "{config} holds a password and its mode is 0"),
    "a proxy of the config": ([], "proxy = 'foo'", 78, "{config}:1: proxy: this is not the address of a proxy"),
    "a number for the account": ([], "jid = 5", 78, "{config}:1: jid is not text"),
}  # fmt: skip


@pytest.mark.parametrize("verbose", [[], ["-v"]], ids=["", "-v"])
@pytest.mark.parametrize(("arguments", "config", "code", "sentence"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_told_as_without_it(
    program: Program, tmp_path: Path, arguments: list[str], config: str, code: int, sentence: str, verbose: list[str]
) -> None:
    program.env["XMPPSH_PASSWORD"] = "x"
    file = tmp_path / "xmppsh" / "config.toml"
    file.parent.mkdir()
    file.write_text(config)
    file.chmod(0o644)
    given = [word.format(config=file) for word in arguments]
    dry = await program.run("-n", *verbose, *given, "ping")
    assert (dry.code, dry.stdout) == (code, "")
    assert dry.stderr.startswith("xmppsh: " + sentence.format(config=file))
    wet = await program.run(*given, "ping")
    assert (dry.code, dry.stderr) == (wet.code, wet.stderr)


@pytest.mark.parametrize("verbose", [[], ["-v"]], ids=["", "-v"])
async def test_what_would_be_sent_is_known_without_an_account(program: Program, verbose: list[str]) -> None:
    del program.env["XMPPSH_JID"]
    (message,) = await dry(program, *verbose, "--tls", "off", "--cert", "/nowhere", "send", "a@b", "But soft!")
    assert message.findtext(f"{CLIENT}body") == "But soft!"


@pytest.mark.parametrize("option", ["--ca", "--cert"])
async def test_a_file_for_tls_that_is_not_there_is_found(program: Program, option: str) -> None:
    outcome = await program.run("-n", option, "/nowhere", "ping")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (66, "", "xmppsh: /nowhere: no such file or directory\n")


async def test_a_password_command_is_not_run(program: Program, tmp_path: Path) -> None:
    assert len(await dry(program, "--password-command", f"touch {tmp_path / 'ran'}", "ping")) == 1
    assert not (tmp_path / "ran").exists()


async def test_a_password_on_stdin_is_not_taken_for_what_is_sent(program: Program) -> None:
    (message,) = await dry(program, "--password-fd", "0", "send", "a@b", stdin=b"secret\nBut soft!\n")
    assert message.findtext(f"{CLIENT}body") == "But soft!"


async def test_tls_off_to_this_machine_is_allowed_and_nobody_is_asked_about_it(program: Program) -> None:
    async with serving(NameServer()) as names:
        for host in ("localhost", "127.0.0.1", "[::1]:5222"):
            assert len(await dry(program, "--dns", names.place, "--tls", "off", "--host", host, "ping")) == 1
        assert names.asked == []


async def test_what_the_dns_says_is_no_fault_of_the_command_line(program: Program) -> None:
    async with serving(NameServer(otherwise=Fails("SERVFAIL"))) as names:
        outcome = await program.run("-n", "-v", "--dns", names.place, "ping")
    assert (outcome.code, len(stanzas(outcome.stdout))) == (0, 1)
    assert outcome.stderr.startswith("xmppsh: good.example: its SRV records cannot be looked up: ")
