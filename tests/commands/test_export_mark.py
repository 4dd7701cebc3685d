"""How far an export is: what a killed run has printed and not noted is cut off, and nothing else goes on from it."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from xmppsh.commands.export_mark import ExportMark
from xmppsh.config.ours import ForeignFile
from xmppsh.errors import DataError, IoError
from xmppsh.xep.history import Archived

QUERY = {"archive": "juliet@example.org", "with": None}
LAST = Archived("id-7", "<message/>", datetime(2026, 11, 22, 16, 30, tzinfo=UTC))
OTHERS = {"archive": "nurse@example.org", "with": None}, QUERY | {"with": "romeo@example.net"}


@pytest.fixture
def output(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"what was there\n")
    yield fd
    os.close(fd)


def test_a_run_that_is_killed_before_its_first_page_is_noted_leaves_nothing(tmp_path: Path, output: int) -> None:
    assert ExportMark(tmp_path / "mark", output, QUERY).restore() is None
    os.write(output, b"a page\n")  # and the end
    assert ExportMark(tmp_path / "mark", output, QUERY).restore() is None
    assert (tmp_path / "out").read_bytes() == b"what was there\n"


def test_a_run_goes_on_after_the_last_page_that_was_noted(tmp_path: Path, output: int) -> None:
    mark = ExportMark(tmp_path / "mark", output, QUERY)
    mark.restore()
    os.write(output, b"a page\n")
    mark.note(LAST, 7)
    os.write(output, b"half a pa")
    again = ExportMark(tmp_path / "mark", output, QUERY)
    assert (again.restore(), again.count) == ("id-7", 7)
    assert (tmp_path / "out").read_bytes() == b"what was there\na page\n"


@pytest.mark.parametrize("other", OTHERS)
def test_a_mark_of_another_archive_or_choice_is_refused_and_cuts_nothing_off(
    tmp_path: Path, output: int, other: dict[str, str | None]
) -> None:
    mark = ExportMark(tmp_path / "mark", output, QUERY)
    mark.restore()
    os.write(output, b"a page\n")
    with pytest.raises(DataError, match="is the checkpoint of another export: archive juliet"):
        ExportMark(tmp_path / "mark", output, other).restore()
    assert (tmp_path / "out").read_bytes() == b"what was there\na page\n"


def test_a_mark_of_the_version_before_is_understood(tmp_path: Path, output: int) -> None:
    (tmp_path / "mark").write_text('{"after": "id-7", "file": null, "count": 7}')
    assert ExportMark(tmp_path / "mark", output, QUERY).restore() == "id-7"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", "[" * 100_000, "\xff", '{"after": 5, "file": null}', '{"after": "x", "file": [1]}',
     '{"after": "x", "file": null, "count": "x"}', '{"after": "x", "file": null, "query": []}'],
    ids=lambda text: ascii(text[:20]),
)  # fmt: skip
def test_a_damaged_mark_is_refused_in_a_sentence(tmp_path: Path, output: int, text: str) -> None:
    (tmp_path / "mark").write_bytes(text.encode("latin-1"))
    with pytest.raises(IoError, match="is damaged, or not the checkpoint of an export"):
        ExportMark(tmp_path / "mark", output, QUERY).restore()


def test_a_checkpoint_that_others_may_write_is_refused(tmp_path: Path, output: int) -> None:
    ExportMark(tmp_path / "mark", output, QUERY).restore()
    (tmp_path / "mark").chmod(0o666)
    with pytest.raises(ForeignFile, match="is a checkpoint and can be written by other users"):
        ExportMark(tmp_path / "mark", output, QUERY).restore()


def test_a_run_beside_another_one_into_the_same_output_is_refused_and_cuts_nothing_off(
    tmp_path: Path, output: int
) -> None:
    first = ExportMark(tmp_path / "mark", output, QUERY)
    first.restore()
    os.write(output, b"half a pa")
    beside = os.open(tmp_path / "out", os.O_RDWR | os.O_APPEND)
    with pytest.raises(IoError, match="stdout is a file that another process has locked, such as an export into it"):
        ExportMark(tmp_path / "mark", beside, QUERY).restore()
    os.close(beside)
    assert (tmp_path / "out").read_bytes() == b"what was there\nhalf a pa"


def test_a_checkpoint_that_is_a_link_stays_one(tmp_path: Path, output: int) -> None:
    link, kept = tmp_path / "mark", tmp_path / "kept"
    link.symlink_to(kept)
    mark = ExportMark(link, output, QUERY)
    mark.restore()
    mark.note(LAST, 7)
    assert link.is_symlink()
    assert json.loads(kept.read_text())["after"] == "id-7"


def test_a_server_that_goes_on_with_what_was_printed_before_is_another_one(tmp_path: Path, output: int) -> None:
    mark = ExportMark(tmp_path / "mark", output, QUERY)
    mark.restore()
    mark.note(LAST, 7)
    older = LAST._replace(moment=datetime(2026, 11, 22, 16, 29, tzinfo=UTC))
    same = ExportMark(tmp_path / "mark", output, QUERY)
    same.restore()
    same.refuse_older(LAST)  # some count in seconds
    same.refuse_older(older)  # a clock that was set back meanwhile
    other = ExportMark(tmp_path / "mark", output, QUERY)
    other.restore()
    with pytest.raises(DataError, match="is the checkpoint of another server: after its last message, of 2026-11-22"):
        other.refuse_older(older)
