"""Clients of others on the playground, as Debian has them: each logs in, is seen, is heard, and leaves."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from playground.clients import contact

from xmppsh.playground.server import PlaygroundServer

pytestmark = pytest.mark.long
ALICE, BOB = "alice@playground.localhost", "bob@playground.localhost"
NOBODY = 65534  # poezio refuses to run as root


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that any user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def environment(home: Path) -> dict[str, str]:
    folders = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8", **folders}


SENDERS = {
    "go-sendxmpp": ["-u", ALICE, "-p", "{password}", "-j", "127.0.0.1:{port}", BOB],
    "go-sendxmpp --tls": ["--tls", "-u", ALICE, "-p", "{password}", "-j", "127.0.0.1:{tls_port}", BOB],
    "sendxmpp": ["-t", "-n", "-u", "alice", "-p", "{password}", "-j", "127.0.0.1:{port}", "-o", "{domain}", BOB],
}


@pytest.mark.parametrize("sender", SENDERS)
async def test_a_message_of_a_one_shot_sender_arrives(playground: PlaygroundServer, home: Path, sender: str) -> None:
    program, facts = need(sender.split()[0]), playground.facts() | {"password": playground.accounts["alice"]}
    async with contact(playground, "bob") as bob:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            program,
            *(word.format(**facts) for word in SENDERS[sender]),
            env={**environment(home), "SSL_CERT_FILE": str(facts["ca"])},
            stdin=pipe,
            stderr=pipe,
        )
        _, stderr = await asyncio.wait_for(process.communicate(b"hello\n"), 30)
        assert process.returncode == 0, stderr
        assert (await bob.wait_for_messages(1))[0].body.strip() == "hello"


def profanity(playground: PlaygroundServer, home: Path) -> tuple[list[str], list[str]]:
    login = f"/connect {ALICE} server {playground.host} port {playground.port} tls trust\r"
    return ["profanity"], [login, playground.accounts["alice"] + "\r"]


def mcabber(playground: PlaygroundServer, home: Path) -> tuple[list[str], list[str]]:
    settings = {
        "jid": ALICE,
        "password": playground.accounts["alice"],
        "server": playground.host,
        "port": playground.port,
        "tls": 1,
        "ssl_ignore_checks": 1,
    }
    (home / ".mcabber").mkdir(mode=0o700)
    (home / ".mcabber/mcabberrc").write_text("".join(f"set {name} = {value}\n" for name, value in settings.items()))
    (home / ".mcabber/mcabberrc").chmod(0o600)
    return ["mcabber"], []


def poezio(playground: PlaygroundServer, home: Path) -> tuple[list[str], list[str]]:
    shutil.copy(playground.ca_file, home / "ca.pem")
    settings = {
        "jid": ALICE,
        "password": playground.accounts["alice"],
        "custom_host": playground.host,
        "custom_port": playground.port,
        "ca_cert_path": home / "ca.pem",
        "ignore_certificate": "true",
    }
    (home / "config/poezio").mkdir(parents=True)
    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (home / "config/poezio/poezio.cfg").write_text(f"[Poezio]\n{text}")
    if os.getuid() != 0:
        return ["poezio"], []
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "poezio"], []


TALK = {
    profanity: f"/msg {BOB} hello",
    mcabber: f"/say_to {BOB} hello",
}


class Screen:
    """A program in a terminal: what it has written, and keys for it."""

    def __init__(self, program: str, arguments: list[str], home: Path) -> None:
        self.child = pexpect.spawn(program, arguments, env=environment(home), dimensions=(30, 120))
        self._written, self._changed = b"", asyncio.Event()
        asyncio.get_running_loop().add_reader(self.child.child_fd, self._read)

    def _read(self) -> None:
        try:
            self._written += os.read(self.child.child_fd, 65536)
        except OSError:  # its other end is closed
            self.close()
        self._changed.set()

    async def shows(self, *texts: str) -> None:
        """Wait until one of them was written, and forget what came before."""
        async with asyncio.timeout(30):
            while not any(text.encode() in self._written for text in texts):
                self._changed.clear()
                await self._changed.wait()
        self._written = b""

    async def enter(self, line: str) -> None:
        """Type a line, and press Enter once something shows: what comes at once may be taken for a paste."""
        self._changed.clear()
        self.child.send(line)
        await asyncio.wait_for(self._changed.wait(), 30)
        self.child.send("\r")

    def close(self) -> None:
        """Take the terminal away."""
        asyncio.get_running_loop().remove_reader(self.child.child_fd)


@pytest.mark.parametrize("client", TALK, ids=lambda client: client.__name__)
async def test_a_client_in_a_terminal_is_seen_heard_and_gone(
    playground: PlaygroundServer, home: Path, client: Callable[[PlaygroundServer, Path], tuple[list[str], list[str]]]
) -> None:
    need(client.__name__)
    (program, *arguments), login = client(playground, home)
    async with contact(playground, "bob") as bob:
        screen = Screen(program, arguments, home)
        try:
            for keys in login:
                await screen.shows("rofanity", "assword")
                screen.child.send(keys)
            await bob.wait_for_presence(ALICE, "available")
            await screen.enter(TALK[client])
            assert (await bob.wait_for_messages(1))[0].body == "hello"
            await screen.enter("/quit")
            await bob.wait_for_presence(ALICE, "unavailable")
        finally:
            screen.close()
            screen.child.close(force=True)


async def test_poezio_is_seen_and_is_gone_with_its_terminal(playground: PlaygroundServer, home: Path) -> None:
    need("poezio")
    (program, *arguments), _ = poezio(playground, home)
    async with contact(playground, "bob") as bob:
        screen = Screen(program, arguments, home)
        try:
            await bob.wait_for_presence(ALICE, "available")
        finally:
            screen.close()
            screen.child.close(force=True)
        await bob.wait_for_presence(ALICE, "unavailable")
