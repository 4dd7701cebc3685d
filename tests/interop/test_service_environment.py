"""What a service has: no home, no name, no right. A one-shot works, the others name the variable; never a traceback."""

import asyncio
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Outcome, Program, finish
from support.servers import Account, Server

import xmppsh

NO_ENTRY = 4_242_421  # a user id without passwd entry
HOMES = {
    "unset": None,
    "empty": "",
    "relative": ".",
    "the root": "/",
    "missing": "/nonexistent",
    "of root": "{closed}",
    "not writable": "{foreign}",
}
HINT = "  try: set STATE_DIRECTORY or XDG_STATE_HOME to a folder that this user may write"
CAN_MOUNT = (
    os.geteuid() == 0 and not subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode
)
as_root = pytest.mark.skipif(not CAN_MOUNT, reason="only root becomes somebody else")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that another user may enter: pytest takes that right from its own whenever another run of it starts."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def account(prosody: Server) -> Account:
    return prosody.account()


@pytest.fixture
def service(tmp_path: Path, prosody: Server, account: Account) -> Program:
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "foreign").mkdir(mode=0o755)
    (tmp_path / "ca.pem").write_bytes(Path(prosody.ca).read_bytes())  # the server's own may be where only root gets
    program = Program(tmp_path, prosody, account)
    program.env["XMPPSH_CA"] = str(tmp_path / "ca.pem")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        program.env.pop(name)
    return program


async def start(program: Program, home: str | None, folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Run it with that HOME as a user who has no name; this Python may be where only root gets, so it is mounted."""
    if home is not None:
        program.env["HOME"] = home.format(closed=folder / "closed", foreign=folder / "foreign")
    mounted = folder / "python"
    mounted.mkdir(exist_ok=True)
    script = (
        f'mount --bind "$0" "{mounted}" && exec setpriv --reuid={NO_ENTRY} --regid={NO_ENTRY} --clear-groups'
        f' --inh-caps=-all "{mounted}/bin/python3" -m xmppsh "$@"'
    )
    path = os.pathsep.join([str(Path(xmppsh.__file__).parent.parent), sysconfig.get_path("purelib")])
    return await asyncio.create_subprocess_exec(
        "unshare", "-m", "sh", "-c", script, sys.base_prefix, *arguments,
        env=program.env | {"PYTHONPATH": path, "LD_LIBRARY_PATH": str(mounted / "lib")}, cwd="/",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def run(program: Program, home: str | None, folder: Path, *arguments: str) -> Outcome:
    """The same, to its end."""
    return await finish(await start(program, home, folder, *arguments), b"")


@as_root
@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES)
async def test_a_one_shot_works_without_a_state_folder_and_says_so_when_asked(
    prosody: Server, service: Program, tmp_path: Path, home: str | None
) -> None:
    bob = prosody.account()
    async with Contact(prosody, bob) as contact:
        quiet = await run(service, home, tmp_path, "send", bob.jid, "one")
        assert (quiet.code, quiet.stderr) == (0, "")
        told = await run(service, home, tmp_path, "-v", "send", bob.jid, "two")
        assert told.code == 0, told.stderr
        assert "nothing is kept on disk: " in told.stderr
        await contact.wait_for_messages(2)


@as_root
@pytest.mark.parametrize("command", [("listen", "-C", "1"), ("pipe",), ("outbox", "list"), ("connect",)])
@pytest.mark.parametrize("home", ["/", "/nonexistent"])
async def test_what_needs_a_state_folder_names_the_variable_in_one_line(
    service: Program, tmp_path: Path, home: str, command: tuple[str, ...]
) -> None:
    outcome = await run(service, home, tmp_path, *command)
    assert outcome.code == 74, outcome.stderr
    sentence, hint, *figures = outcome.stderr.splitlines()
    assert sentence.startswith("xmppsh: ")
    assert hint == HINT
    assert figures == (["sent 0, acked 0, failed 0, 0 stanzas/s"] if command == ("pipe",) else [])


@as_root
async def test_a_service_with_the_folders_of_systemd_needs_no_home(
    prosody: Server, service: Program, account: Account, tmp_path: Path
) -> None:
    state, config, secrets = (tmp_path / name for name in ("state", "etc", "credentials"))
    for folder in (state, config, secrets):
        folder.mkdir()
        os.chown(folder, NO_ENTRY, NO_ENTRY)
    (config / "config.toml").write_text(
        f'jid = "{account.jid}"\nhost = "{prosody.host}:{prosody.port}"\nca = "ca.pem"\n'
    )
    (config / "ca.pem").write_bytes(Path(prosody.ca).read_bytes())
    (secrets / "xmppsh.password").write_text(account.password)
    for file in (config / "config.toml", config / "ca.pem", secrets / "xmppsh.password"):
        file.chmod(0o444)
    service.env = {key: value for key, value in service.env.items() if not key.startswith("XMPPSH_")} | {
        "STATE_DIRECTORY": str(state),
        "CONFIGURATION_DIRECTORY": str(config),
        "CREDENTIALS_DIRECTORY": str(secrets),
    }
    listening = asyncio.ensure_future(run(service, "/", tmp_path, "listen", "-C", "1", "-W", "20"))
    while not any(state.glob("outbox/*")):
        assert not listening.done(), listening.result().stderr
        await asyncio.sleep(0.05)
    sender = Program(tmp_path / "foreign", prosody, prosody.account())
    assert (await sender.run("send", account.jid, "for the service")).code == 0
    outcome = await listening
    assert outcome.code == 0, outcome.stderr
    assert "for the service" in outcome.stdout
