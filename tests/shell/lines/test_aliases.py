"""`/alias`: names for lines, which the next shell knows too."""

from pathlib import Path

import pytest

from xmppsh.config.kept import KeptFile
from xmppsh.errors import UsageError
from xmppsh.shell.lines.aliases import Aliases, is_line
from xmppsh.shell.lines.names import exists


@pytest.fixture
def trouble() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "aliases.json"


def aliases_in(path: Path, trouble: list[str]) -> Aliases:
    return Aliases(KeptFile(path, is_line, lambda _, sentence: trouble.append(sentence)), exists)


def test_a_name_is_kept_for_the_next_shell_and_one_side_by_side(path: Path, trouble: list[str]) -> None:
    first, second = (aliases_in(path, trouble) for _ in range(2))
    first.give("p", "/ping -c 3")
    second.give("hi", "good morning")
    assert dict(aliases_in(path, trouble).items()) == {"p": "/ping -c 3", "hi": "good morning"}
    second.drop("hi")
    assert aliases_in(path, trouble).line("hi") is None
    assert (path.stat().st_mode & 0o777, trouble) == (0o600, [])


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("ping", "/ping"),
        ("ping -c 3", "/ping -c 3"),
        ("/ping", "/ping"),
        ("pong", "pong"),
        ("<presence/>", "<presence/>"),
    ],
)
def test_a_line_that_begins_with_a_command_is_one(line: str, meant: str) -> None:
    aliases = Aliases(None, exists)
    aliases.give("p", line)
    assert aliases.line("p") == meant


def test_a_command_is_not_taken_for_a_name_and_a_name_must_be_there_to_be_dropped(path: Path) -> None:
    aliases = aliases_in(path, [])
    with pytest.raises(UsageError, match=r"^/ping is a command already$"):
        aliases.give("ping", "/version")
    with pytest.raises(UsageError, match=r"^/q is not an alias$"):
        aliases.drop("q")


def test_a_line_with_a_password_is_never_written(path: Path) -> None:
    aliases = aliases_in(path, [])
    aliases.give("j", "/join team@rooms.example.org --room-password canary")
    assert "canary" in (aliases.line("j") or "")
    assert "canary" not in path.read_text()


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff", b'{"p": 1}'])
def test_a_file_that_is_no_aliases_counts_as_empty(path: Path, trouble: list[str], content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    aliases = aliases_in(path, trouble)
    assert dict(aliases.items()) == {}
    aliases.give("p", "/ping")
    assert dict(aliases_in(path, trouble).items()) == {"p": "/ping"}


def test_a_folder_that_cannot_be_made_is_told_and_the_names_stay_in_memory(path: Path, trouble: list[str]) -> None:
    path.parent.write_text("a file")
    aliases = aliases_in(path, trouble)
    aliases.give("p", "/ping")
    assert aliases.line("p") == "/ping"
    assert trouble
