"""What is written to a terminal that can only print, for its row to show the line as it is."""

import random

import pyte
import pytest

from xmppsh.shell.shown.plain_drawing import difference

COLUMNS = 30


@pytest.mark.parametrize("seed", range(20))
def test_the_row_shows_the_line_whatever_has_changed_in_it(seed: int) -> None:
    chance, screen = random.Random(seed), pyte.Screen(COLUMNS, 200)
    screen.set_mode(pyte.modes.LNM)
    stream, before = pyte.Stream(screen), ""
    for _ in range(40):
        at, end = sorted((chance.randrange(len(before) + 1), chance.randrange(len(before) + 1)))
        after = before[:at] + "".join(chance.choices("ab日é ", k=chance.randrange(12))) + before[end:]
        stream.feed(difference(before, after, COLUMNS))
        rows = [row for row in screen.display if row.strip()]
        shown = "".join(rows).replace(" ", "")
        assert shown.endswith(after.replace(" ", "")), (seed, before, after)
        before = after
