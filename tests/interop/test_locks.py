"""One lock or store that cannot be read does not stand in the way of the rest of the state folder."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.contact import Contact
from support.program import Program
from support.servers import Account, Server
from support.until import DEADLINE_S

pytestmark = pytest.mark.parametrize("server", ["prosody"], indirect=True)  # it does not depend on the server
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


async def run(program: Program, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it without root's right to read everything."""
    return await asyncio.to_thread(
        subprocess.run,
        [*UNPRIVILEGED, sys.executable, "-m", "xmppsh", *arguments],
        env=program.env,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


async def kill_a_listener(program: Program, friend: Contact, folder: Path) -> str:
    """The full JID of what it leaves; it had no guard."""
    async with program.listening("--no-guard", ready=folder / "ready") as process:
        shown = await friend.wait_for_presence(program.env["XMPPSH_JID"], "available")
        process.kill()
        await process.wait()
        return shown.sender


def closed_lock(folder: Path) -> Path:
    """As root leaves it behind `sudo xmppsh`: it comes first, and nobody else may open it."""
    lock = folder / "xmppsh" / "locks" / "process-1-abc.lock"
    lock.touch(mode=0)
    os.utime(lock, (0, 0))
    return lock


@pytest.mark.parametrize("arguments", [("ping",), ("sessions", "reap")], ids=" ".join)
async def test_a_lock_that_we_may_not_open_is_told_of_and_other_sessions_are_closed(
    server: Server,
    alice: Account,
    friend: Contact,
    program: Program,
    tmp_path: Path,
    arguments: tuple[str, ...],
) -> None:
    ghost, lock = await kill_a_listener(program, friend, tmp_path), closed_lock(tmp_path)
    done = await run(program, *arguments)
    assert done.returncode == 0, done.stderr
    await friend.wait_for_presence(alice.jid, "unavailable", sender=ghost)
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("xmppsh: whether a program lives, or died and left a session, cannot be told: ")
    assert warning.endswith(f"{lock}: permission denied")
    assert list(lock.parent.iterdir()) == [lock]


async def test_sessions_are_listed_and_closed_though_a_store_is_damaged_and_a_lock_is_not_ours(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    ghost, lock = await kill_a_listener(program, friend, tmp_path), closed_lock(tmp_path)
    (store,) = (tmp_path / "xmppsh" / "outbox").glob("*.sqlite")
    for journal in store.parent.glob("*.sqlite-*"):
        journal.unlink()
    store.write_bytes(b"no database any more" * 100)
    warnings = [
        f"xmppsh: {lock}: permission denied",
        f"xmppsh: {store}: file is not a database",
    ]

    listed = await run(program, "sessions", "list")
    assert (listed.returncode, listed.stderr.splitlines()[:2]) == (0, warnings)
    closed = await run(program, "sessions", "close", ghost.partition("/")[2])
    assert (closed.returncode, closed.stdout, closed.stderr.splitlines()) == (0, f"closed {ghost}\n", warnings)
    await friend.wait_for_presence(alice.jid, "unavailable", sender=ghost)


async def test_a_damaged_outbox_is_told_of_once_though_a_dead_program_wrote_to_it(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path
) -> None:
    await kill_a_listener(program, friend, tmp_path)
    (store,) = (tmp_path / "xmppsh" / "outbox").glob("*.sqlite")
    for journal in store.parent.glob("*.sqlite-*"):
        journal.unlink()
    store.write_bytes(b"no database any more" * 100)
    done = await run(program, "send", alice.jid, "hi")
    (warning,) = done.stderr.splitlines()
    assert (done.returncode, warning.partition("; it is moved to ")[0]) == (
        0,
        f"xmppsh: {store}: file is not a database",
    )
    again = await run(program, "send", alice.jid, "hi")
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.parametrize(("words", "code", "notes"), [("send {jid} hi", 74, 0), ("listen -W 1", 74, 0), ("ping", 0, 1)])
async def test_an_outbox_that_is_no_file_is_told_of_once_though_a_dead_program_wrote_to_it(
    server: Server, alice: Account, friend: Contact, program: Program, tmp_path: Path, words: str, code: int, notes: int
) -> None:
    await kill_a_listener(program, friend, tmp_path)
    (store,) = (tmp_path / "xmppsh" / "outbox").glob("*.sqlite")
    for file in store.parent.iterdir():
        file.unlink()
    store.mkdir()
    done = await run(program, *words.format(jid=alice.jid).split())
    what = f"{store} is not a regular file"
    told = [f"xmppsh: a session that a dead program left is not closed: {what}"] if notes else [f"xmppsh: {what}"]
    assert (done.returncode, [line for line in done.stderr.splitlines() if "  try: " not in line]) == (code, told)
