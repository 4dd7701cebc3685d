"""A terminal that can only print (TERM=dumb): the row is made to show the line by backspaces alone."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, TextIO, cast

from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.utils import get_cwidth

from xmppsh.shell.shown.screen import size_of

if TYPE_CHECKING:
    from prompt_toolkit.data_structures import Size

    from xmppsh.shell.shown.screen import Screen

NEXT_ROW = "\r\n"  # prompt_toolkit writes this when the line is taken


class PlainDrawing(PlainTextOutput):
    """prompt_toolkit's way to draw there.

    At each change of the line it writes the character before the cursor, also where a key took one away or moved the
    cursor. That says only that something has changed: what is written is the difference from what stands there.
    """

    def __init__(self, screen: Screen) -> None:
        super().__init__(cast("TextIO", screen.terminal))
        self._screen = screen
        self._row = ""  # prompt and line, as they stand there

    def get_size(self) -> Size:
        """Of the terminal."""
        return size_of(self._screen.terminal.fileno())

    def write(self, data: str) -> None:
        """Make the row what prompt and line are; pass on what is written where no line is read, or it has ended."""
        if self._screen.dumb_line is None or data == NEXT_ROW:
            self._row = ""
            super().write(data)
            return
        before, self._row = self._row, self._screen.dumb_line()
        super().write(difference(before, self._row, self.get_size().columns))


def difference(before: str, after: str, columns: int) -> str:
    """What makes a row that shows `before` show `after`. A backspace does not lead back to the row above: what would
    have to change there is written anew below."""
    kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    gone, new = before[kept:], after[kept:]
    last_row = before.rpartition("\n")[2]
    if gone and ("\n" in gone or get_cwidth(last_row) >= columns):
        return f"\n{after}"
    return "\b \b" * get_cwidth(gone) + new
