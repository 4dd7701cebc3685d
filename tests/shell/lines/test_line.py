"""What a line of the shell is."""

import pytest

from xmppsh.shell.lines.line import Blank, Command, Line, Text, Xml, classify, pasted


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
        ("<", Text("<")),
        ("<3 you", Text("<3 you")),
        ("<?xml version='1.0'?><presence/>", Xml("<?xml version='1.0'?><presence/>")),
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


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one message\nof two lines\n", ["one message\nof two lines"]),
        ("a message\n/quit", ["a message\n/quit"]),
        ("<message>\n</message>", ["<message>\n</message>"]),
        ("/to a@b\n\nhello\n", ["/to a@b", "hello"]),
        ("/ping", ["/ping"]),
    ],
)
def test_what_is_pasted_is_one_line_or_several(text: str, lines: list[str]) -> None:
    assert pasted(text, keeps_lines=False) == lines


def test_the_text_of_a_command_keeps_its_lines_unless_one_of_them_is_a_command() -> None:
    assert pasted("/send a@b one\ntwo", keeps_lines=True) == ["/send a@b one\ntwo"]
    assert pasted("/send a@b one\n/send c@d two", keeps_lines=True) == ["/send a@b one", "/send c@d two"]
