"""An account's outbox that is damaged for good is moved aside once; a checkpoint file is the user's, and is not."""

from pathlib import Path

import pytest

from xmppsh.errors import IoError
from xmppsh.outbox.damage import DamagedStore
from xmppsh.outbox.journal import Journal
from xmppsh.outbox.owner import Owner
from xmppsh.outbox.queue import Entry, Fate
from xmppsh.xmlio.build import Xml

DAMAGED = {
    "text": b"junk" * 1000,
    "a beginning alone": b"SQLite format 3\0" + b"\x10\x00",
    "zeros after the header": b"SQLite format 3\0\x10\x00" + b"\x00" * 4078,
    "less than a page": b"x",
    "another kind of file": b"\x7fELF" + bytes(range(256)) * 40,
}


def entry(number: int) -> Entry:
    return Entry(number, Xml("<message/>"), "message", f"x{number}", "romeo@example.net", Fate.QUEUED)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_outbox_is_moved_aside_with_one_warning(tmp_path: Path, content: bytes) -> None:
    path, warnings = tmp_path / "outbox.sqlite", []
    path.write_bytes(content)
    for number in (1, 2):
        journal = Journal(path, Owner(tmp_path / "locks"), "juliet@example.org", on_moved=warnings.append)
        journal.write([entry(number)], [], 1)
        journal.close()
    (warning,) = warnings
    (kept,) = tmp_path.glob("outbox.sqlite.damaged-*")
    assert kept.read_bytes() == content
    assert str(kept) in warning


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_is_an_error_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    journal = Journal(path, Owner(tmp_path / "locks"), "juliet@example.org", everything=True)
    with pytest.raises(DamagedStore):
        journal.write([entry(1)], [], 1)
    assert path.read_bytes() == content


def test_what_is_not_damage_is_not_moved(tmp_path: Path) -> None:
    path, warnings = tmp_path / "outbox.sqlite", []
    path.mkdir()
    journal = Journal(path, Owner(tmp_path / "locks"), "juliet@example.org", on_moved=warnings.append)
    with pytest.raises(IoError):
        journal.write([entry(1)], [], 1)
    assert (warnings, path.is_dir()) == ([], True)
