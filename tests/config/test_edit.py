"""A line of the config file is changed, and nothing else of it."""

import os
import stat
from pathlib import Path

import pytest

from xmppsh.config.document import parsed
from xmppsh.config.edit import changed, write
from xmppsh.errors import ConfigError, IoError

FILE = '# mine\njid = "a@b"  # me\ntimeout = 3\n\n[profile.work]\n# work\nhost = ["a", "b:1"]\n[profile.default]\n'
CHANGES = {
    "another value": ("timeout", "5m", None, FILE.replace("timeout = 3", 'timeout = "5m"')),
    "the comment stays": ("jid", "c#d@e", None, FILE.replace("a@b", "c#d@e")),
    "a flag": ("insecure", True, None, FILE.replace("\n[profile.work]", "\ninsecure = true\n[profile.work]")),
    "several": ("host", ["c", "d"], "work", FILE.replace('["a", "b:1"]', '["c", "d"]')),
    "a new key of a profile": ("tls", "direct", "work", FILE.replace("# work", 'tls = "direct"\n# work')),
    "a new key of the last profile": ("tls", "direct", "default", FILE + 'tls = "direct"\n'),
    "a new profile": ("jid", "c@d", "a b", FILE + '\n[profile."a b"]\njid = "c@d"\n'),
    "quotes and backslashes": ("trace", 'a"\\é', None, None),
    "away": ("timeout", None, None, FILE.replace("timeout = 3\n", "")),
    "what is not there goes away": ("ca", None, None, FILE),
    "a profile that is not there": ("ca", None, "none", FILE),
}


@pytest.mark.parametrize(("key", "value", "profile", "expected"), CHANGES.values(), ids=CHANGES)
def test_one_line_changes(key: str, value: bool | str | list[str] | None, profile: str | None, expected: str) -> None:
    new = changed(parsed(Path("c.toml"), FILE.encode()), key, value, profile)
    assert expected is None or new.text == expected
    if value is not None:
        table = new.tables if profile is None else new.tables["profile"][profile]
        assert table[key] == value


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ca = 'a#b'\t# c\r\ntls = 'auto'\r\n", "ca = \"x\"\t# c\r\ntls = 'auto'\r\n"),
        ('ca = "\\"#"#c', 'ca = "x"#c\n'),
        ('ca = """5""" # c\n', 'ca = "x" # c\n'),
        ("ca = 'none'\n", 'ca = "x"\n'),
    ],
)
def test_what_stands_behind_the_value_and_ends_the_line_stays(before: str, after: str) -> None:
    assert changed(parsed(Path("c.toml"), before.encode()), "ca", "x", None).text == after


@pytest.mark.parametrize(
    "text", ["host = [\n 'a',\n]\n", "profile = {work = {host = 'a'}}\n", "profile.work.host = 'a'\n"]
)
def test_what_stands_in_more_than_one_line_is_left_to_an_editor(text: str) -> None:
    profile = None if text.startswith("host") else "work"
    with pytest.raises(ConfigError, match="cannot be changed in one line") as caught:
        changed(parsed(Path("c.toml"), text.encode()), "host", "b", profile)
    assert caught.value.hint == "edit c.toml"


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("timeout = 3\n")
    (tmp_path / "real.toml").chmod(0o644)
    (tmp_path / "config.toml").symlink_to("real.toml")
    write(changed(parsed(tmp_path / "config.toml", b"timeout = 3\n"), "timeout", "4", None))
    assert (tmp_path / "real.toml").read_text() == 'timeout = "4"\n'
    assert stat.S_IMODE((tmp_path / "real.toml").stat().st_mode) == 0o644
    assert sorted(os.listdir(tmp_path)) == ["config.toml", "real.toml"]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with pytest.raises(IoError, match=r"not a directory|file exists"):
        write(parsed(tmp_path / "folder" / "config.toml", b""))
