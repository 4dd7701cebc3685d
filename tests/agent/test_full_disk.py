"""A runtime folder that takes nothing: the agent says at which of its files, and does not start."""

from pathlib import Path

import pytest
from outbox.disks import needs_mount
from support.program import COMMAND, Program, finish

pytestmark = needs_mount

SPACE, READ_ONLY = "no space left on device", "read-only file system"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("nr_inodes=1", f"xmppsh: {SPACE}"),
        ("nr_inodes=2", f"xmppsh/agent.lock: {SPACE}"),
        ("nr_inodes=3", f"xmppsh/agent.sock: {SPACE}"),
        ("ro", f"xmppsh: {READ_ONLY}"),
    ],
)
async def test_an_agent_that_cannot_make_its_files_says_which(tmp_path: Path, options: str, says: str) -> None:
    program = Program(tmp_path)
    (disk := tmp_path / "disk").mkdir()
    program.env["XDG_RUNTIME_DIR"] = str(disk)
    mount = f'mount -t tmpfs -o mode=700,{options} none {disk}; exec "$@"'
    outcome = await finish(
        await program.start_as(("unshare", "-m", "sh", "-c", mount, "sh", *COMMAND), "agent", "start")
    )
    assert (outcome.code, outcome.stdout) == (74, "")
    first, *_ = outcome.stderr.splitlines()
    assert first == f"xmppsh: the agent does not start: {disk}/{says}"
