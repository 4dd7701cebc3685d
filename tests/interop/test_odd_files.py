"""What is no regular file stands where one of ours should be: nothing waits for it, and one line names it."""

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import Program
from support.servers import Account, Server

pytestmark = pytest.mark.parametrize("server", ["prosody"], indirect=True)  # it does not depend on the server


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def a_folder(path: Path) -> None:
    path.mkdir()


ODD = [a_pipe, a_socket, a_folder]
SEND = ("send", "{jid}", "hi")
LISTEN = ("listen", "-W", "0.1")
OUTBOX = "outbox/{jid}.sqlite"
CASES = {  # the file below the state folder: what is run, how it ends
    "places.json": (SEND, 0),
    "early.tsv": (SEND, 0),
    "servers.json": (SEND, 0),
    "salts.json": (SEND, 0),
    "tokens.json": (SEND, 0),
    "locks/process-1-abc.lock": (SEND, 0),
    OUTBOX: (SEND, 74),
    f"{OUTBOX}-wal": (SEND, 74),
    f"{OUTBOX}-shm": (LISTEN, 74),
    f"{OUTBOX}-journal": (LISTEN, 74),
    "inbox/{reader}.printed-0": (LISTEN, 74),
    "inbox/{reader}.printed-1": (LISTEN, 74),
    "inbox/{jid}.sqlite": (LISTEN, 74),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", CASES)
async def test_what_is_no_regular_file_is_neither_waited_for_nor_used(
    server: Server, alice: Account, program: Program, tmp_path: Path, name: str, odd: Callable[[Path], None]
) -> None:
    reader = hashlib.sha256(f"listen {alice.jid}".encode()).hexdigest()[:16]
    path = tmp_path / "xmppsh" / name.format(jid=alice.jid, reader=reader)
    path.parent.mkdir(mode=0o700, parents=True)
    odd(path)
    words, code = CASES[name]
    outcome = await program.run(*(word.format(jid=alice.jid) for word in words))
    lines = [line for line in outcome.stderr.splitlines() if not line.startswith("  try: ")]
    assert outcome.code == code, outcome.stderr
    assert len(lines) == (code != 0 or "lock" in name), outcome.stderr
    assert all(str(path) in line for line in lines)


@pytest.mark.parametrize("odd", ODD)
async def test_a_config_that_is_no_regular_file_is_refused(
    server: Server, alice: Account, program: Program, tmp_path: Path, odd: Callable[[Path], None]
) -> None:
    (tmp_path / "xmppsh").mkdir(mode=0o700)
    odd(path := tmp_path / "xmppsh" / "config.toml")
    outcome = await program.run("ping")
    why = "is a directory" if odd is a_folder else "not a regular file"
    assert (outcome.code, outcome.stderr) == (78, f"xmppsh: {path}: {why}\n")


@pytest.mark.parametrize("odd", ODD)
async def test_the_lock_of_an_agent_that_is_no_regular_file_is_refused(
    server: Server, alice: Account, program: Program, tmp_path: Path, odd: Callable[[Path], None]
) -> None:
    (tmp_path / "xmppsh").mkdir(mode=0o700)
    odd(path := tmp_path / "xmppsh" / "agent.lock")
    outcome = await program.run("agent", "start", "--foreground")
    assert outcome.code == 74
    assert str(path) in outcome.stderr.splitlines()[0]
    assert not await asyncio.to_thread((tmp_path / "xmppsh" / "agent.sock").exists)
