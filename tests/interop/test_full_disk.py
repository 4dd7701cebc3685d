"""A full or a read-only disk, wherever something is written: 74 and one line, nothing half written, no success claimed.

What is only good to have (answers of the DNS, the roster for completion) is no reason to fail.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
from outbox.disks import needs_mount
from support.places import refused
from support.program import COMMAND, Program, finish
from support.servers import Account, Server

pytestmark = [pytest.mark.either_server, needs_mount]

CONFIG = "timeout = 20\n"
SPACE, READ_ONLY = "no space left on device", "read-only file system"
FULL = "database or disk is full"


class Place(NamedTuple):
    """What is run, and what the only line of its error says (74) where the disk is full, and where it is read-only.

    None: it goes well. Of the words, NEW is a file of that disk, which holds the state folder where no NEW is named.
    """

    words: str
    full: str | None = SPACE
    read_only: str | None = READ_ONLY
    stdin: str = "hello\n"


PLACES = {
    # What is only good to have is no reason to fail.
    "what servers offered": Place("ping", None, None),
    "the roster for completion": Place("roster list", None, None),
    "what is remembered of the archive": Place("history list", None, None),
    "the outbox": Place("send ACCOUNT hello", SPACE, None),  # a one-shot can do without, where nothing may be written
    "the outbox of lines": Place("send --lines ACCOUNT"),
    "the outbox of a script": Place("pipe --input lines --to ACCOUNT"),
    "a message that waits": Place("send --queue --host DEAD ACCOUNT hello"),
    "a look at the outbox": Place("outbox list"),
    "messages that are sent again": Place("outbox flush"),
    "the inbox": Place("listen -W 1"),
    "the session of the shell": Place("connect -e", stdin="/ping\n"),
    "records of the shell": Place("connect -e", stdin="/o NEW\n/ping\n"),
    "an export": Place("history export", stdin=">"),
    "a trace": Place("ping --trace NEW"),
    "a trace of a script": Place("pipe --input lines --to ACCOUNT --trace NEW"),
    "a checkpoint": Place("pipe --checkpoint NEW --input lines --to ACCOUNT", FULL),
    "the checkpoint of an export": Place("history export --checkpoint NEW"),
    "the sign that it listens": Place("listen --drain --ready-file NEW"),
    "the config file": Place("config set timeout 21"),
    "a new profile": Place("login ACCOUNT --as x --password-file SECRET"),
}
DISKS = {
    "full": "head -c 1000000 /dev/zero > {disk}/ballast 2>/dev/null",
    "read-only": "mount -o remount,ro {disk}",
}
RUN = (
    "mount -t tmpfs -o size=64k none {disk} && mkdir -p {disk}/xmppsh && printf '{config}' > {disk}/xmppsh/config.toml"
    ' && {spoil}; "$@" {to}; code=$?;'
    " find {disk} -name 'new.*' > {seen}; cat {disk}/xmppsh/config.toml >> {seen}; exit $code"
)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("kind", DISKS)
async def test_a_disk_that_takes_nothing_is_told_in_one_line_and_nothing_is_half_written(
    server: Server, alice: Account, tmp_path: Path, name: str, kind: str
) -> None:
    place = PLACES[name]
    disk, seen = tmp_path / "disk", tmp_path / "seen"
    disk.mkdir()
    program = Program(tmp_path, server, alice)
    program.env |= {"XDG_CONFIG_HOME": str(disk)}
    is_redirected = place.stdin == ">"
    if "NEW" not in place.words + place.stdin and not is_redirected:
        program.env |= {"XDG_STATE_HOME": str(disk)}
    (secret := tmp_path / "secret").touch(0o600)
    secret.write_text(alice.password)
    if "history" in place.words:
        await Program(tmp_path, server, alice).run("send", alice.jid, "this is kept")
    to = f"> {tmp_path if kind == 'read-only' else disk}/out" if is_redirected else ""
    spoil = DISKS[kind].format(disk=disk)
    shell = RUN.format(disk=disk, seen=seen, spoil=spoil, to=to, config=CONFIG.replace("\n", "\\n"))
    with refused() as dead:
        named = {"ACCOUNT": alice.jid, "SECRET": str(secret), "NEW": str(disk / "new"), "DEAD": f"127.0.0.1:{dead}"}
        arguments = [named.get(word, word) for word in place.words.split()]
        process = await program.start_as(("unshare", "-m", "sh", "-c", shell, "sh", *COMMAND), *arguments)
        outcome = await finish(process, place.stdin.replace("NEW", str(disk / "new")).encode())
    says = place.full if kind == "full" else None if is_redirected else place.read_only
    assert outcome.code == (0 if says is None else 74), outcome.stderr
    told = [line for line in outcome.stderr.splitlines() if line.startswith("xmppsh: ")]
    assert len(told) == (says is not None), outcome.stderr
    assert (says or "") in "".join(told)
    assert "outbox flush" not in outcome.stderr  # nothing could be stored
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
