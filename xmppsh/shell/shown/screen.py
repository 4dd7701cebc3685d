"""The terminal of the interactive shell, as prompt_toolkit's output.

No cursor position is ever asked for: some terminals answer late or not at all, and the shell must neither wait for
them at its end nor complain about them.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from prompt_toolkit.data_structures import Size
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from xmppsh.shell.shown.look import folded
from xmppsh.shell.shown.printer import WholeRecords
from xmppsh.shell.shown.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prompt_toolkit.application import Application
    from prompt_toolkit.layout.screen import Screen as Drawn

    from xmppsh.config.schema import Color

MAX_HELD = 256 * 1024  # characters
ROW_AGAIN = "\r\x1b[K"
FALLBACK_SIZE = (80, 24)  # columns, rows


def color_depth(color: Color, env: Mapping[str, str]) -> ColorDepth:
    """How many colours prompt and toolbar have: `--color`, and for `auto` NO_COLOR (https://no-color.org)."""
    if color == "never" or (color == "auto" and env.get("NO_COLOR")):
        return ColorDepth.MONOCHROME
    return ColorDepth.DEFAULT


class Drawing(Vt100_Output):
    """prompt_toolkit's way to draw on our terminal."""

    def __init__(self, terminal: Terminal, term: str | None) -> None:
        super().__init__(cast("TextIO", terminal), lambda: size_of(terminal.fileno()), term=term, enable_cpr=False)

    def get_rows_below_cursor_position(self) -> int:
        """One is always there; with that the toolbar stands right below the line."""
        return 1


class Screen:
    """What is printed while a prompt may stand on the terminal.

    While the terminal is lent to another program, what comes is held back, at most MAX_HELD characters of it.
    erases: False for a terminal that can only print.
    """

    def __init__(self, fd: int, *, erases: bool = True) -> None:
        self.terminal, self._erases = Terminal(fd), erases
        self.terminal.on_gap = self._draw_anew
        self.prompt: Application[Any] | None = None
        self.free = asyncio.Event()  # not lent
        self.free.set()
        self._questions: list[str] = []  # those that are answered while no prompt stands there
        self.dumb_line: Callable[[], str] | None = None  # what stands there, on a terminal where nothing can be erased
        self._drawn: Drawn | None = None  # the prompt, with nothing but that drawn since the last text
        self._drawing = ""  # what was written for it
        self._held: deque[str] = deque()
        self._held_characters = 0

    def above(self, text: str) -> None:
        """Print above the prompt; the half-typed line is drawn again below, as it was."""
        if not self.free.is_set():
            self._hold(text)
        elif self.prompt is None or not self.has_prompt:
            self.terminal.write(self._new_row() + self._around(text) + "".join(self._questions[-1:]))
        elif self.prompt.renderer.last_rendered_screen is None or not self._erases:
            self.terminal.write(text)
            self.prompt.invalidate()
        else:
            self._between(text, self.prompt)

    def _between(self, text: str, prompt: Application[Any]) -> None:
        """Print where the prompt stands, and the prompt below at once: it must not flicker in a flood.

        To draw it takes longer than a message does. As long as nothing in it has changed, what was written for it last
        is written once more; what has changed meanwhile (the toolbar) follows as soon as it is drawn.
        """
        renderer = prompt.renderer
        if renderer.last_rendered_screen is self._drawn:
            up = renderer._cursor_pos.y
            top = "\r" + (f"\x1b[{up}A" if up else "")
            self.terminal.write(f"{top}\x1b[J{text}{self._drawing}")
            prompt.invalidate()
            return
        renderer.erase()
        self.terminal.write(text)
        prompt._redraw()
        self._drawn, self._drawing = renderer.last_rendered_screen, self.terminal.last

    def _draw_anew(self) -> None:
        if self.prompt is not None and self.has_prompt and self._erases:
            self.prompt.renderer.erase()
            self.prompt.invalidate()

    def _around(self, text: str) -> str:
        """What is printed begins on a line of its own, and the line that was typed stands below it again."""
        return text if self.dumb_line is None else f"\n{text}{self.dumb_line()}"

    def tell(self, text: str) -> None:
        """Print sentences above the prompt, folded at words."""
        columns = size_of(self.terminal.fileno()).columns
        lines = text.removesuffix("\n").split("\n")
        self.above("".join(f"{row}\n" for line in lines for row in folded(line, 0, columns)))

    def clear_row(self) -> None:
        """Begin the row anew where no prompt stands there."""
        self.terminal.write(self._new_row())

    def _new_row(self) -> str:
        """Begins the next row below a question, or what is typed to somebody who reads. Anything else is cleared: what
        was typed ahead stays to be read, and the next prompt shows it; how far a command is, is told again."""
        if self._questions:
            return "\n"
        return ROW_AGAIN if self._erases else ""

    def end_row(self) -> None:
        """Go on in the next row, whatever stands in this one."""
        self.terminal.write("\n")

    def piece(self, text: str) -> None:
        """Write what need not be a whole row, where no prompt stands: a question, or how far the command is.

        That begins with a carriage return and takes the row anew; whatever is printed next takes its place.
        """
        if self.free.is_set() and not self.has_prompt:
            self.terminal.write(text.replace("\r", ROW_AGAIN) if self._erases else text)

    @contextmanager
    def reads(self, question: str = "") -> Iterator[None]:
        """Somebody reads from the terminal. question: what stands there, again below whatever is printed meanwhile."""
        self._questions.append(question)
        try:
            yield
        finally:
            self._questions.pop()

    def lend(self, work: asyncio.Future[Any]) -> None:
        """Another program has the terminal until `work` is done."""
        self.terminal.push()
        self.free.clear()
        work.add_done_callback(lambda _: self._give_back())

    def _give_back(self) -> None:
        self.free.set()
        if self._erases and not self.has_prompt:
            # The program may have ended in the middle of a line. Where the cursor is nobody tells: as many spaces as
            # the terminal has columns end in the next line then, and otherwise in this one.
            self.terminal.write(" " * size_of(self.terminal.fileno()).columns + "\r\x1b[K")
        held, self._held_characters = "".join(self._held), 0
        self._held.clear()
        if held:
            self.above(held)

    def _hold(self, text: str) -> None:
        self._held.append(text)
        self._held_characters += len(text)
        while self._held_characters > MAX_HELD:
            self._held_characters -= len(self._held.popleft())

    @property
    def has_prompt(self) -> bool:
        """Is a prompt drawn?"""
        return self.prompt is not None and self.prompt.is_running


class ScreenOutput(WholeRecords):
    """stdout when it is the terminal that has the prompt."""

    def __init__(self, fd: int, screen: Screen) -> None:
        super().__init__(fd)
        self._screen = screen

    async def write(self, text: str) -> None:
        """Print one record above the prompt; a terminal that is slow, or stopped by Ctrl-S, is waited for."""
        await self._screen.free.wait()
        async with self.lock:
            await self._screen.terminal.ready()
            self._screen.above(text)


def size_of(fd: int) -> Size:
    """Of a terminal, in columns and rows."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        columns, rows = 0, 0
    # A pty that nobody gave a size has 0 by 0.
    return Size(rows=rows or FALLBACK_SIZE[1], columns=columns or FALLBACK_SIZE[0])
