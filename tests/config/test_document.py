"""On which line of the config file a key stands, however TOML lets it be written."""

from pathlib import Path

import pytest

from xmppsh.config.document import parsed


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("jid = 1", "jid"),
        ("'a key' = 1", "a key"),
        ('"jürgen\'s" = 1', "jürgen's"),
        ('"" = 1', ""),
        ("jid.x = 1", "jid"),
        ("[jid]", "jid"),
        ("[[profile]]", "profile"),
        (" [[ profile ]]", "profile"),
    ],
)
def test_the_line_of_a_key_is_found(line: str, key: str) -> None:
    document = parsed(Path("c.toml"), f"# a comment\ntimeout = 1\n{line}\n".encode())
    assert document.line(key) == 3
