"""What to try stands below each error, and is what helps: the mistakes that people make first."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import Program
from support.servers import Server

UNKNOWN = '<query xmlns="urn:example:unknown"/>'


@pytest.fixture
def program(tmp_path: Path, prosody: Server) -> Program:
    return Program(tmp_path, prosody, prosody.account())


@pytest.fixture
def closing_port() -> Iterator[int]:
    """A server that wants TLS at once: it closes when something else comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close_one() -> None:
            link, _ = server.accept()
            with link:
                link.recv(10)

        thread = threading.Thread(target=close_one)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


# {own}: our address; {other}: another user's; {server}: the server's domain
HINTS = {
    "--tls off where TLS is required": (["--tls", "off", "ping"], 76, "leave out --tls off"),
    "a message to a room that is a user": (["send", "--type", "groupchat", "{other}", "hi"], 67, "--type groupchat"),
    "a name without a server": (["send", "bob", "hi"], 77, "bob has no @ and was taken for a server; a user is bob@H"),
    "a payload that our server does not know": (
        ["iq", "get", "{server}", UNKNOWN],
        76,
        f"{UNKNOWN[:-2]}> is not known",
    ),
    "a payload that nobody answers": (["iq", "get", "{other}/x", UNKNOWN], 67, "nobody is there, or <query"),
    "a node that is not there": (["pubsub", "get", "{own}", "my node"], 67, "xmppsh pubsub nodes "),
    "an item that is not there": (["pubsub", "retract", "{own}", "my node", "1"], 67, " 'my node'"),
    "a node of somebody else": (["pubsub", "delete", "{other}", "urn:n", "--yes"], 77, "ask its owner; contacts alone"),
    "an option without its value": (["send", "--subject"], 64, "xmppsh send --help"),
    "an override without a port": (["--resolve", "foo", "ping"], 64, "NAME:PORT:ADDRESS"),
    "a password file of the system": (["--password-file", "/etc/passwd", "ping"], 78, "--password-fd N"),
}


@pytest.mark.parametrize("case", HINTS)
async def test_the_hint_names_what_helps(prosody: Server, program: Program, case: str) -> None:
    arguments, code, hint = HINTS[case]
    names = {"own": program.env["XMPPSH_JID"], "other": prosody.account().jid, "server": prosody.domain}
    outcome = await program.run(
        *(argument.format(**names) if "<" not in argument else argument for argument in arguments)
    )
    assert outcome.code == code, outcome.stderr
    assert outcome.stderr.splitlines()[-1].startswith("  try: ")
    assert hint in outcome.stderr.splitlines()[-1]
    assert "chmod" not in outcome.stderr


async def test_a_refused_login_says_where_the_password_is_from(program: Program) -> None:
    program.env["XMPPSH_PASSWORD"] = "wrong"
    outcome = await program.run("ping")
    assert (outcome.code, "the password is from XMPPSH_PASSWORD" in outcome.stderr) == (77, True)
    outcome = await program.run("--password-command", "echo wrong", "ping")
    assert (outcome.code, "the password is from --password-command" in outcome.stderr) == (77, True)


async def test_a_port_of_direct_tls_is_guessed(program: Program, closing_port: int) -> None:
    outcome = await program.run("--host", f"127.0.0.1:{closing_port}", "ping")
    assert (outcome.code, "--tls direct" in outcome.stderr) == (69, True)


async def test_a_password_command_has_the_time_that_was_given(program: Program) -> None:
    outcome = await program.run("--timeout", "0.3", "--password-command", "sleep 100", "ping")
    assert (outcome.code, outcome.stderr) == (75, "xmppsh: --password-command 'sleep 100' did not end within 0.3 s\n")


async def test_each_failed_recipient_is_named_once(prosody: Server, program: Program) -> None:
    nobody = f"nobody-here@{prosody.domain}"
    outcome = await program.run("send", nobody, "--to", "bob", "--to", prosody.account().jid, "hi")
    assert (outcome.code, outcome.stderr.count(nobody), outcome.stderr.count("bob: ")) == (80, 1, 1)
    assert "2 of 3 messages failed" in outcome.stderr
    outcome = await program.run("send", nobody, "--to", prosody.account().jid, "hi", "--format", "json")
    assert [json.loads(line)["error"]["name"] for line in outcome.stderr.splitlines()] == ["NOUSER", "PARTIAL"]
