"""Long lines with colours: folded as the same lines without them."""

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
