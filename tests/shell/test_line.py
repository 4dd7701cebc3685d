"""What a line of the shell is."""

import pytest

from xmppsh.shell.line import Blank, Command, Line, Text, Xml, classify


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("", Blank()),
        ("  \t", Blank()),
        ("hello", Text("hello")),
        (" /to nobody", Text(" /to nobody")),
        ("1 < 2", Text("1 < 2")),
        ("//slash", Text("/slash")),
        ("//", Text("/")),
        ("///x", Text("//x")),
        ("<presence/>", Xml("<presence/>")),
        ("<", Xml("<")),
        ("/quit", Command("quit", "")),
        ("/to a@b", Command("to", "a@b")),
        ("/send a@b  two spaces ", Command("send", "a@b  two spaces ")),
        ("/send\ta@b", Command("send", "a@b")),
        ("/send a@b\nnext line", Command("send", "a@b\nnext line")),
        ("/", Command("", "")),
        ("/ x", Command("", "x")),
    ],
)
def test_the_first_character_tells_what_a_line_is(line: str, meaning: Line) -> None:
    assert classify(line) == meaning
