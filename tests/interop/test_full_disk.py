"""A full disk, wherever something is written: 74 and one line, nothing half written, no success claimed.

What is only good to have (answers of the DNS, the roster for completion) is no reason to fail.
"""

from pathlib import Path

import pytest
from outbox.disks import needs_mount
from support.places import refused
from support.program import COMMAND, Program, finish
from support.servers import Account, Server

pytestmark = [pytest.mark.either_server, needs_mount]

CONFIG = "timeout = 20\n"
SPACE = "no space left on device"
FULL = "database or disk is full"
# Command; the code; what the only line says. DISK is the disk that is full; where nothing is said it goes well.
CASES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "what is remembered": (("ping",), 0, ""),
    "the outbox": (("send", "x@y.invalid", "hello"), 74, SPACE),
    "the outbox of a script": (("pipe", "--input", "lines", "--to", "x@y.invalid"), 74, SPACE),
    "a message that waits": (("send", "--queue", "x@y.invalid", "hello"), 74, SPACE),
    "a trace": (("ping", "--trace", "DISK/new"), 74, SPACE),
    "a checkpoint": (("pipe", "--checkpoint", "DISK/new", "--input", "lines", "--to", "x@y.invalid"), 74, FULL),
    "the checkpoint of an export": (("history", "export", "--checkpoint", "DISK/new"), 74, SPACE),
    "the sign that it listens": (("listen", "--drain", "--ready-file", "DISK/new"), 74, SPACE),
    "the config file": (("config", "set", "timeout", "21"), 74, SPACE),
    "a new profile": (("login", "ACCOUNT", "--as", "x", "--password-file", "SECRET"), 74, SPACE),
}
FILL = (
    "mount -t tmpfs -o size=64k none {disk} && mkdir -p {disk}/xmppsh && printf '{config}' > {disk}/xmppsh/config.toml"
    ' && head -c 1000000 /dev/zero > {disk}/ballast 2>/dev/null; "$@"; code=$?;'
    " find {disk} -name 'new.*' > {seen}; cat {disk}/xmppsh/config.toml >> {seen}; exit $code"
)


@pytest.mark.parametrize("name", CASES)
async def test_a_full_disk_is_told_in_one_line_and_nothing_is_half_written(
    server: Server, alice: Account, tmp_path: Path, name: str
) -> None:
    words, code, says = CASES[name]
    disk, seen = tmp_path / "disk", tmp_path / "seen"
    disk.mkdir()
    program = Program(tmp_path, server, alice)
    program.env |= {"XDG_CONFIG_HOME": str(disk)}
    if "DISK/new" not in words:
        program.env |= {"XDG_STATE_HOME": str(disk)}
    (secret := tmp_path / "secret").touch(0o600)
    secret.write_text(alice.password)
    named = {"ACCOUNT": alice.jid, "SECRET": str(secret), "DISK/new": str(disk / "new")}
    arguments = [named.get(word, word) for word in words]
    if "history" in words:
        await Program(tmp_path, server, alice).run("send", alice.jid, "this is kept")
    shell = FILL.format(disk=disk, seen=seen, config=CONFIG.replace("\n", "\\n"))
    with refused() as dead:
        if "--queue" in words:
            program.env["XMPPSH_HOST"] = f"127.0.0.1:{dead}"
        process = await program.start_as(("unshare", "-m", "sh", "-c", shell, "sh", *COMMAND), *arguments)
        outcome = await finish(process, b"hello\n")
    assert outcome.code == code, outcome.stderr
    assert outcome.stderr.count("xmppsh: ") == bool(says)
    assert says in outcome.stderr.split("\n")[0]
    assert seen.read_text() == CONFIG


async def test_a_trace_that_fills_the_disk_ends_and_costs_no_acknowledgement(
    server: Server, alice: Account, tmp_path: Path
) -> None:
    (disk := tmp_path / "disk").mkdir()
    program = Program(tmp_path, server, alice)
    mount = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=8k none {disk}; "$@"', "sh", *COMMAND)
    pipe = ("pipe", "--input", "lines", "--to", alice.jid, "--trace", str(disk / "trace"))
    outcome = await finish(await program.start_as(mount, *pipe), b"hello\n" * 300)
    assert outcome.code == 74, outcome.stderr
    first, last = outcome.stderr.splitlines()
    assert first == f"xmppsh: {disk}/trace: {SPACE}"
    assert last.startswith("sent 300, acked 300, failed 0, ")
