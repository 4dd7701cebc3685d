"""The words of a line, and the backslashes that belong to an address."""

import pytest

from xmppsh.shell.lines.words import half_typed, split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"d\27artagnan@b x", [r"d\27artagnan@b", "x"]),
        (r"a\ b 'c\20d' e\\f \5C \'", ["a b", r"c\20d", r"e\f", r"\5C", "'"]),
        (r"a\#b", ["a#b"]),
    ],
)
def test_an_address_keeps_its_backslashes(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize("text", ["d\\", r"d\2", r"d\27", r"d\27artagnan@b"])
def test_an_address_that_is_being_typed_keeps_them_too(text: str) -> None:
    assert half_typed(f"x {text}") == ["x", text]


def test_a_word_whose_quote_is_open_is_half_typed() -> None:
    assert half_typed("x 'two wo") == ["x", "two wo"]
