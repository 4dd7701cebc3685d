"""What a reader has printed last is known to its next run, and no more than that is kept."""

import os
from pathlib import Path

import pytest

from xmppsh.outbox.lately import Lately

KEPT = 100  # in place of 5,000


def lately(folder: Path, reader: str = "listen romeo@example.net", troubles: list[str] | None = None) -> Lately:
    return Lately(folder / "inbox", reader, [].append if troubles is None else troubles.append)


def test_the_last_ones_are_there_whatever_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xmppsh.outbox.lately.KEPT", KEPT)
    killed = lately(tmp_path)
    for first in range(0, 5 * KEPT, 7):
        killed.note([f"<message id='{number}'>\u00e4\n</message>" for number in range(first, first + 7)])
        known = lately(tmp_path).recall()
        expected = range(max(0, first + 7 - KEPT), first + 7)
        assert {f"<message id='{number}'>\u00e4\n</message>" for number in expected} <= set(known)
        assert len(known) <= 2 * KEPT + 14


def test_what_is_cut_within_a_stanza_is_not_there(tmp_path: Path) -> None:
    killed = lately(tmp_path)
    killed.note(["<message id='1'/>", "<message id='2'/>"])
    (written,) = (path for path in (tmp_path / "inbox").iterdir() if path.stat().st_size)
    os.truncate(written, written.stat().st_size - 1)
    assert lately(tmp_path).recall() == ["<message id='1'/>"]


def test_another_reader_has_its_own(tmp_path: Path) -> None:
    lately(tmp_path).note(["<message id='1'/>"])
    assert lately(tmp_path, "connect romeo@example.net").recall() == []


def test_a_process_that_was_replaced_takes_nothing_away_from_the_one_that_replaced_it(tmp_path: Path) -> None:
    replaced = lately(tmp_path)
    replaced.note(["<message id='1'/>"])
    living = lately(tmp_path)
    living.note(["<message id='2'/>"])
    replaced.note(["<message id='3'/>"])
    replaced.close(forget=True)
    assert lately(tmp_path).recall() == ["<message id='1'/>", "<message id='2'/>"]
    living.close(forget=True)
    assert list((tmp_path / "inbox").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_of_once(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("no folder")
    troubles: list[str] = []
    reader = lately(tmp_path, troubles=troubles)
    for _ in range(2):
        reader.note(["<message id='1'/>"])
    assert len(troubles) == 1
