"""A disk that takes nothing: 74, nothing accepted, nothing half written, and all is well once it takes again."""

from pathlib import Path

import pytest
from outbox.disks import needs_mount, run

from xmppsh.outbox.store import Store

COMMON = """
import os, sys
from pathlib import Path
from xmppsh.errors import IoError
from xmppsh.outbox.queue import Queue
from xmppsh.outbox.store import Store
from xmppsh.xmlio.build import Xml
folder, account = Path(sys.argv[1]), "juliet@example.org"
def entry(queue, size):
    return queue.add(Xml("<message>" + "x" * size + "</message>"), "message", "m", "romeo@example.net")
def refused(work):
    try:
        work()
    except IoError as error:
        assert error.exit_code == 74 and error.hint, error.hint
        return str(error)
    raise AssertionError("it was taken")
"""
FILLING = (
    COMMON
    + """
store, queue, taken = Store(folder / "o.sqlite", "me"), Queue(), 0
session = store.open_session(account, account + "/x")
try:
    while True:
        new = entry(queue, 20_000)
        store.write(account, [new], session, queue.take(1), taken + 1)
        taken += 1
except IoError as error:
    assert error.exit_code == 74
    print(error, "|", error.hint, "|", taken)
assert [one.wire for one in store.entries(account)] == list(range(1, taken + 1))
RELIEVE
more = entry(queue, 10)
store.write(account, [more], session, [], 0)
assert len(store.entries(account)) == taken + 1
store.close()
again = Store(folder / "o.sqlite", "me")
assert [one.wire for one in again.entries(account)] == [*range(1, taken + 1), None]
"""
)


@needs_mount
def test_a_full_disk_refuses_and_keeps_what_it_had_taken(tmp_path: Path) -> None:
    program = FILLING.replace("RELIEVE", "(folder / 'ballast').unlink()")
    before = f"mount -t tmpfs -o size=1m none {tmp_path}; head -c 400000 /dev/zero > {tmp_path}/ballast"
    text, hint, taken = run(program, str(tmp_path), before=before).strip().split(" | ")
    assert int(taken) > 3
    assert text == f"{tmp_path}/o.sqlite: database or disk is full"
    assert hint == "is the disk full?"


def test_a_file_that_may_not_grow_refuses_and_keeps_what_it_had_taken(tmp_path: Path) -> None:
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, -1))\n"
    )
    program = limit + FILLING.replace("RELIEVE", "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))")
    assert run(program, str(tmp_path)).split(" | ")[1] == "is the disk full?"


@pytest.mark.parametrize("size", range(1, 7))
@needs_mount
def test_a_disk_too_full_for_a_new_file_refuses_to_begin(tmp_path: Path, size: int) -> None:
    # `size` pages for the file, its journal and the index of that; nothing in between may look like an outbox.
    program = COMMON + "print(refused(lambda: Store(folder / 'o.sqlite', 'me').begin(account)))"
    before = f"mount -t tmpfs -o size={size * 4096} none {tmp_path}"
    assert run(program, str(tmp_path), before=before).startswith(f"{tmp_path}/o.sqlite: ")


@pytest.mark.parametrize("how", ["a read-only disk", "a file that is immutable", "a folder that is immutable"])
@needs_mount
def test_what_is_read_only_is_refused_at_once_or_at_the_first_write(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "outbox"
    Store(folder / "o.sqlite", "me").close()
    before = {
        "a read-only disk": f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}",
        "a file that is immutable": f"mount --bind {folder}/o.sqlite {folder}/o.sqlite;"
        f" mount -o remount,ro,bind {folder}/o.sqlite",
        "a folder that is immutable": f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder};"
        " mkdir -p /tmp/none",
    }[how]
    program = COMMON + (
        "def work():\n"
        "    store, queue = Store(folder / 'o.sqlite', 'me'), Queue()\n"
        "    store.write(account, [entry(queue, 10)], None, [], 0)\n"
        "try: work()\n"
        "except IoError as error: print(int(error.exit_code), error)\n"
    )
    assert run(program, str(folder), before=before).startswith(f"74 {folder}/o.sqlite: read-only file system")
    store = Store(folder / "o.sqlite", "me")
    assert store.entries("juliet@example.org") == []
    store.close()


@needs_mount
def test_a_folder_that_nobody_may_write_to_is_refused(tmp_path: Path) -> None:
    program = COMMON + (
        "os.setgid(65534); os.setuid(65534)\n"
        "try: Store(folder / 'outbox' / 'o.sqlite', 'me')\n"
        "except IoError as error: print(int(error.exit_code), error)\n"
    )
    above = " ".join(str(folder) for folder in tmp_path.parents[:3])
    before = f"mount -t tmpfs -o mode=755 none {tmp_path}; chmod 755 {above}"
    assert run(program, str(tmp_path), before=before) == f"74 {tmp_path}/outbox: permission denied\n"
