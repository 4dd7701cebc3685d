"""`login`: asks, tries, keeps the account as a profile and its password in the keyring, and nowhere else."""

import json
from pathlib import Path

import pytest
from support.program import Program
from support.servers import Account, Server
from support.terminal import Terminal

pytestmark = pytest.mark.either_server
# A keyring that is a file: what the tests know of the library is its two functions and its error.
KEYRING = """
import json, os, types
errors = types.SimpleNamespace(KeyringError=type("KeyringError", (Exception,), {}))
FILE = os.environ["KEYRING_FILE"]
def get_password(service, name):
    return json.load(open(FILE)).get(f"{service} {name}") if os.path.exists(FILE) else None
def set_password(service, name, password):
    if os.environ.get("KEYRING_LOCKED"):
        raise errors.KeyringError("locked")
    json.dump({f"{service} {name}": password}, open(FILE, "w"))
"""


@pytest.fixture
def visitor(program: Program, server: Server, tmp_path: Path) -> Program:
    """The program for somebody who has nothing yet but a keyring."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "keyring.py").write_text(KEYRING)
    program.env = {name: value for name, value in program.env.items() if not name.startswith("XMPPSH_")}
    program.env |= {"PYTHONPATH": str(tmp_path / "modules"), "KEYRING_FILE": str(tmp_path / "keyring.json")}
    return program


def options(server: Server) -> list[str]:
    return ["--host", f"{server.host}:{server.port}", "--ca", str(server.ca)]


async def test_login_keeps_a_profile_and_the_password_in_the_keyring(
    visitor: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    config = tmp_path / "xmppsh" / "config.toml"
    async with Terminal(visitor, "login", alice.jid, *options(server)) as terminal:
        await terminal.until(lambda: f"Password for {alice.jid}: ".encode() in terminal.written, "it asks")
        terminal.type(f"{alice.password}\n")
        assert await terminal.exit_code() == 0
        assert b"its password is in the keyring" in terminal.written
        assert alice.password.encode() not in terminal.written
    assert f'jid = "{alice.jid}"' in config.read_text()
    assert alice.password not in config.read_text()
    assert json.loads((tmp_path / "keyring.json").read_text()) == {f"xmppsh {alice.jid}": alice.password}
    outcome = await visitor.run("ping")
    assert outcome.code == 0, outcome.stderr


async def test_a_login_that_fails_keeps_nothing_and_another_account_needs_a_name(
    visitor: Program, server: Server, alice: Account, tmp_path: Path
) -> None:
    config = tmp_path / "xmppsh" / "config.toml"
    login = ("login", alice.jid, *options(server), "--password-fd", "0")
    wrong = await visitor.run(*login, stdin=b"wrong\n")
    assert (wrong.code, config.exists(), (tmp_path / "keyring.json").exists()) == (77, False, False)
    visitor.env["KEYRING_LOCKED"] = "1"
    right = await visitor.run(*login, stdin=alice.password.encode())
    assert right.code == 0
    assert right.stderr.endswith("its password is asked for each time: there is no keyring here\n")
    before = config.read_text()
    bob = server.account()
    other = await visitor.run("login", bob.jid, *options(server), "--password-fd", "0", stdin=bob.password.encode())
    assert (other.code, config.read_text()) == (64, before)
    assert f"{config} has {alice.jid} already" in other.stderr
    named = await visitor.run(
        *("login", bob.jid, *options(server)), "--password-fd", "0", "--as", "bob", stdin=bob.password.encode()
    )
    assert named.code == 0, named.stderr
    assert (await visitor.run("-P", "bob", "config", "show")).stdout.startswith(f"jid = {bob.jid}\n")


async def test_without_a_terminal_the_options_are_named(visitor: Program, alice: Account) -> None:
    outcome = await visitor.run("login", alice.jid)
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (
        77,
        f"xmppsh: {alice.jid}: no password, and no terminal to ask for it",
    )
