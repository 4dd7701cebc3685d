"""`account`: what it makes, changes and deletes, as the next login sees it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import Program, finish
from support.servers import Account, Server
from support.terminal import CTRL_C, Terminal

pytestmark = pytest.mark.either_server


async def logs_in(program: Program, **env: str) -> bool:
    program.env |= env
    return (await program.run("roster", "list")).code == 0


async def test_an_account_is_made_gets_another_password_and_goes(server: Server, tmp_path: Path) -> None:
    account = server.fresh(None, "first-word")
    program, trace = Program(tmp_path, server, account), tmp_path / "trace"
    made = await program.run("account", "register", "--trace", str(trace))
    assert (made.code, made.stdout, made.stderr) == (0, "", "")
    assert await logs_in(program)

    again = await program.run("account", "register")
    assert again.code != 0
    assert f"{account.jid} is taken: choose another name" in again.stderr

    (tmp_path / "new").write_text("second-word\n")
    (tmp_path / "new").chmod(0o600)
    passwd = ("account", "passwd", "--new-password-file", str(tmp_path / "new"), "--trace", str(trace))
    assert (await program.run(*passwd)).code == 0
    assert not await logs_in(program)
    assert await logs_in(program, XMPPSH_PASSWORD="second-word")

    asked = await program.run("account", "delete")
    assert asked.code == 64
    assert "--yes" in asked.stderr
    gone = await program.run("account", "delete", "--yes")
    assert (gone.code, gone.stdout, gone.stderr) == (0, "", "")
    assert not await logs_in(program)
    assert "register" in trace.read_text()
    assert "-word" not in trace.read_text()


@pytest.mark.parametrize("pair", ["username=other", "password=other"])
async def test_another_account_than_the_one_of_the_command_line_is_not_made(
    server: Server, tmp_path: Path, pair: str
) -> None:
    outcome = await Program(tmp_path, server, server.fresh(None, "a-word")).run("account", "register", pair)
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (
        64, f"xmppsh: {pair.partition('=')[0]} cannot be given here",
    )  # fmt: skip


async def test_a_server_without_registration_says_so(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server("prosody", registration=False)
    outcome = await Program(tmp_path, server, server.fresh(None, None)).run("account", "register")
    assert outcome.code == 76
    assert outcome.stderr.startswith(f"xmppsh: {server.domain} does not offer accounts that one makes oneself")


@pytest.fixture
def asks_more(start_server: Callable[..., Server], tmp_path: Path) -> tuple[Program, Account]:
    """Nobody has this account yet, and the server asks for an address of mail as well, and for a nickname."""
    server = start_server("prosody", also_asked="email+ nick")
    account = server.fresh(None, "a-word")
    return Program(tmp_path, server, account), account


async def test_what_a_server_asks_of_a_new_account_is_asked_for_on_a_terminal(
    asks_more: tuple[Program, Account],
) -> None:
    program, account = asks_more
    async with Terminal(program, "account", "register") as terminal:
        await terminal.until(lambda: terminal.line.endswith("Email:"), "the question")
        terminal.type("\r")
        await terminal.until(lambda: "\n".join(terminal.lines).count("Email:") == 2, "the question again")
        terminal.type("juliet@example.org\r")
        assert await terminal.exit_code() == 0
        shown = "\n".join(terminal.history)
    assert "Creating a new account" in shown
    assert "Nickname" not in shown
    assert account.password not in shown
    assert await logs_in(program)


async def test_who_stops_answering_has_no_account(asks_more: tuple[Program, Account]) -> None:
    program, _ = asks_more
    async with Terminal(program, "account", "register") as terminal:
        await terminal.until(lambda: terminal.line.endswith("Email:"), "the question")
        terminal.type(CTRL_C)
        assert await terminal.exit_code() == 130
    assert not await logs_in(program)


async def test_what_a_server_asks_of_a_new_account_is_listed_where_nobody_can_be_asked(
    asks_more: tuple[Program, Account],
) -> None:
    program, _ = asks_more
    outcome = await program.run("account", "register", "nick=Jule", "--format", "json")
    assert (outcome.code, outcome.error["text"]) == (64, "email must be given")
    fields = {one["name"]: (one["label"], one["required"]) for one in outcome.records}
    assert fields == {
        "username": ("Username", True),
        "password": ("Password", True),
        "email": ("Email", True),
        "nick": ("Nickname", False),
    }
    assert (await program.run("account", "register", "email=juliet@example.org", "nick=Jule")).code == 0
    assert await logs_in(program)


async def test_a_new_password_comes_from_a_descriptor_and_from_one_place(program: Program, alice: Account) -> None:
    read, write = os.pipe()
    os.write(write, b"from-the-pipe\n")
    os.close(write)
    process = await program.start("account", "passwd", "--new-password-fd", str(read), pass_fds=(read,))
    os.close(read)
    assert (await finish(process)).code == 0
    assert await logs_in(program, XMPPSH_PASSWORD="from-the-pipe")
    both = await program.run("account", "passwd", "--new-password-fd", "0", "--new-password-command", "true")
    assert both.code == 64
    none = await program.run("account", "passwd")
    assert (none.code, none.stderr.splitlines()[0]) == (
        64, f"xmppsh: {alice.jid}: no new password, and no terminal to ask for it",
    )  # fmt: skip


async def test_a_new_password_that_others_can_read_is_refused_with_the_option_that_gives_it_without_a_file(
    program: Program, alice: Account, tmp_path: Path
) -> None:
    (tmp_path / "new").write_text("canary\n")
    (tmp_path / "new").chmod(0o644)
    outcome = await program.run("account", "passwd", "--new-password-file", str(tmp_path / "new"))
    assert (outcome.code, outcome.stderr.splitlines()[1]) == (
        78, f"  try: chmod 600 {tmp_path / 'new'}, or --new-password-fd N",
    )  # fmt: skip
