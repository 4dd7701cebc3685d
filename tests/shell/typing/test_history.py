"""The history of a profile: what it keeps, and what it never keeps."""

import stat
from pathlib import Path

import pytest

from xmppsh.errors import IoError
from xmppsh.shell.typing.history import KEPT_LINES, LineHistory, history_file


def never(error: IoError) -> None:
    raise error


def kept(path: Path) -> list[str]:
    return list(LineHistory(path, never).load_history_strings())


def test_lines_are_kept_newest_first_for_the_next_shell_and_for_nobody_else(tmp_path: Path) -> None:
    path = history_file(tmp_path, "romeo@example.net")
    history = LineHistory(path, never)
    for line in ("/ping", "two\nlines", "two\nlines", "é \x1b"):
        history.append_string(line)
    assert kept(path) == ["é \x1b", "two\nlines", "/ping"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "line",
    [
        "/account passwd",
        "/room join r@x --room-password xyzzy",
        "/ping --password-command 'pass x'",
        "<iq type='set'><query xmlns='jabber:iq:register'><username>x</username></query></iq>",
        "<x:password>secret</x:password>",
        "/room config tea@rooms.example muc#roomconfig_roomsecret=secret",
    ],
)
def test_a_line_with_a_secret_is_kept_nowhere(tmp_path: Path, line: str) -> None:
    path = history_file(tmp_path, "romeo@example.net")
    history = LineHistory(path, never)
    history.append_string(line)
    assert kept(path) == []
    assert history.get_strings() == []


def test_names_make_no_path_that_leads_elsewhere(tmp_path: Path) -> None:
    assert history_file(tmp_path, "../../x").parent == tmp_path / "history"


def test_a_long_history_loses_its_oldest_lines(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f'"{number}"\n' for number in range(2 * KEPT_LINES + 1)))
    assert len(kept(path)) == KEPT_LINES
    assert kept(path)[0] == str(2 * KEPT_LINES)


def test_half_a_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text('"one"\n"tw')
    assert kept(path) == ["one"]


def test_a_line_after_half_a_line_is_kept_whole(tmp_path: Path) -> None:
    (path := tmp_path / "history").touch(0o600)
    path.write_text('"one"\n"tw')
    LineHistory(path, never).append_string("three")
    assert kept(path) == ["three", "one"]


def test_a_history_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told: list[IoError] = []
    history = LineHistory(tmp_path / "file" / "history", told.append)
    history.append_string("one")
    history.append_string("two")
    assert len(told) == 1
    assert history.get_strings() == ["one", "two"]
