"""Long lines with colours: folded as the same lines without them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmppsh.shell.shown.look import Palette, folded, plain

PALETTE = Palette(colors=True)
WORDS = st.lists(st.text("ab-é日", min_size=1, max_size=90), max_size=60)


@given(WORDS, st.integers(20, 100))
def test_colours_change_nothing_of_what_is_folded(words: list[str], columns: int) -> None:
    text = " ".join(words)
    painted = " ".join(
        PALETTE.kind(kind, word) for word, kind in zip(words, ("tag", "name", "value") * 20, strict=False)
    )
    rows = folded(painted, 4, columns)
    assert [plain(row) for row in rows] == folded(text, 4, columns)
    assert all(row.count("\x1b") % 2 == 0 for row in rows), "a colour goes on over the end of a row"


def test_a_word_with_a_hyphen_stays_whole() -> None:
    assert folded("write to nurse-capulet@example.net today", 0, 30) == [
        "write to",
        "nurse-capulet@example.net",
        "today",
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "KiB", "%"])
def test_a_number_stays_with_its_unit(unit: str) -> None:
    text = PALETTE.kind("dim", f"once more after 0.25 {unit}; or stop")
    assert [plain(row) for row in folded(text, 0, 20)] == ["once more after", f"0.25 {unit}; or stop"]


def test_spaces_that_hold_by_themselves_are_shown_as_they_came() -> None:
    assert folded("a\xa0tea, after 20 s, or so", 0, 16) == ["a\xa0tea, after 20", "s, or so"]


def test_a_control_sequence_that_is_no_colour_is_text() -> None:
    assert folded("\x1b[?25lon and on", 0, 40) == ["\x1b[?25lon and on"]
