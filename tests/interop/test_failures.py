"""Every failure ends by itself within its deadline, with the exit code of the contract, one line and a `try:`."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import Outcome, Program
from support.servers import Server

pytestmark = pytest.mark.either_server


def assert_explained(outcome: Outcome, code: int, *words: str) -> None:
    """One line that names the cause, one that says what to try, and the code."""
    assert outcome.code == code, outcome.stderr
    assert outcome.stdout == ""
    cause, hint = outcome.stderr.splitlines()
    assert cause.startswith("xmppsh: ")
    for word in words:
        assert word in cause
    assert hint.startswith("  try: ")


@pytest.fixture
def program(tmp_path: Path, server: Server) -> Program:
    return Program(tmp_path, server, server.account())


async def test_a_wrong_password_is_refused(program: Program) -> None:
    program.env["XMPPSH_PASSWORD"] = "not the password"
    assert_explained(await program.run("ping"), 77, program.env["XMPPSH_JID"], "not-authorized")


async def test_an_unknown_account_is_refused(server: Server, program: Program) -> None:
    program.env["XMPPSH_JID"] = f"nobody-here@{server.domain}"
    assert_explained(await program.run("ping"), 77, "not-authorized")


async def test_a_domain_that_the_server_does_not_serve_is_said(program: Program) -> None:
    program.env["XMPPSH_JID"] = "romeo@other.example"
    assert_explained(await program.run("ping"), 68, "host-unknown")


async def test_an_authority_that_nobody_trusts_is_refused(program: Program) -> None:
    del program.env["XMPPSH_CA"]
    assert_explained(await program.run("ping"), 76, "not signed by an authority that is trusted here")


async def test_ssl_cert_file_is_honoured(program: Program) -> None:
    program.env["SSL_CERT_FILE"] = program.env.pop("XMPPSH_CA")
    assert (await program.run("ping")).code == 0


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("expired", ("has expired on 20",)),
        ("wrong-name", ("certificate is for",)),
        ("self-signed", ("not signed by an authority",)),
    ],
)
async def test_a_bad_certificate_is_named(
    start_server: Callable[..., Server], tmp_path: Path, name: str, certificate: str, words: tuple[str, ...]
) -> None:
    server = start_server(name, certificate=certificate)
    program = Program(tmp_path, server, server.account())
    for way in ("starttls", "direct"):
        program.env["XMPPSH_HOST"] = f"{server.host}:{server.port if way == 'starttls' else server.tls_port}"
        assert_explained(await program.run("--tls", way, "ping"), 76, server.domain, *words)


async def test_a_pinned_certificate_needs_no_authority(program: Program) -> None:
    del program.env["XMPPSH_CA"]
    refused = await program.run("ping")
    pin = refused.stderr.partition("--pin ")[2].split()[0]
    assert (await program.run("--pin", pin, "ping")).code == 0
    assert_explained(await program.run("--pin", "sha256:" + "0" * 64, "ping"), 76, "is not the pinned one", pin)


async def test_insecure_works_and_warns(program: Program) -> None:
    del program.env["XMPPSH_CA"]
    outcome = await program.run("--insecure", "ping")
    assert outcome.code == 0
    assert "--insecure" in outcome.stderr


async def test_a_refused_connection_is_69(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.env |= {"XMPPSH_JID": "romeo@example.org", "XMPPSH_PASSWORD": "x", "XMPPSH_HOST": "127.0.0.1:1"}
    assert_explained(await program.run("ping"), 69, "no address answers (127.0.0.1:1 refused)")


async def test_a_silent_server_is_75_within_the_deadline(tmp_path: Path) -> None:
    async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    program = Program(tmp_path)
    program.env |= {"XMPPSH_JID": "romeo@example.org", "XMPPSH_PASSWORD": "x", "XMPPSH_HOST": f"127.0.0.1:{port}"}
    for command in (["ping"], ["send", "a@b.example", "x"], ["listen"], ["pipe"]):
        start = time.monotonic()
        outcome = await program.run("--connect-timeout", "1", *command)
        assert time.monotonic() - start < 9  # without the option it is 10 s
        assert outcome.code == 75
        assert "takes the connection but does not answer" in outcome.stderr
    silent.close()


@pytest.mark.parametrize("name", ["prosody", "ejabberd"])
async def test_a_suspended_server_leaves_a_send_unconfirmed_or_untried(
    start_server: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    server = start_server(name)
    program = Program(tmp_path, server, server.account())
    process = await program.start(
        "send", f"romeo@{server.domain}", "--lines", "--timeout", "1", "--connect-timeout", "2"
    )
    assert process.stdin is not None
    process.stdin.write(b"first\n")
    await process.stdin.drain()
    server.suspend()
    try:
        async with asyncio.timeout(20):
            _, stderr = await process.communicate()
    finally:
        server.resume()
    assert process.returncode in (75, 79), stderr
