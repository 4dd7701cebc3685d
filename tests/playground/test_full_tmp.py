"""A folder for temporary files that takes none is told, and left empty."""

from pathlib import Path

from outbox.disks import needs_mount
from playground.clients import visitor
from support.program import COMMAND, finish

pytestmark = needs_mount

ONE_FILE = "nr_inodes=2"  # of a disk, with its root: a folder is made there, and nothing in it


async def test_a_playground_without_room_for_its_files_says_so_and_leaves_none(tmp_path: Path) -> None:
    program = visitor(tmp_path)
    (disk := tmp_path / "disk").mkdir()
    program.env["TMPDIR"] = str(disk)
    mount = f'mount -t tmpfs -o {ONE_FILE} none {disk}; "$@"; code=$?; ls {disk}; exit $code'
    command = ("unshare", "-m", "sh", "-c", mount, "sh", *COMMAND)
    outcome = await finish(await program.start_as(command, "playground", "--", "true"))
    assert (outcome.code, outcome.stdout) == (74, "")
    first, hint = outcome.stderr.splitlines()
    assert first == "xmppsh: the playground's files: no space left on device"
    assert hint == "  try: is the disk full? TMPDIR names another folder for them"
