"""Where the prompt begins once the window has changed its width.

Many terminals fold what stands on them when they get narrower, so that a long line has more rows above the cursor than
were drawn; who goes up by those leaves a copy of the line. Others cut the rows off; there, going up further would erase
what stands above. No terminal says what it does without being asked, so it is known of those that can be told by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prompt_toolkit.data_structures import Point

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prompt_toolkit.application import Application

FOLDING = ("TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WEZTERM_PANE", "WT_SESSION", "ALACRITTY_LOG")
FOLDING_TERMS = ("tmux", "foot", "alacritty", "xterm-kitty")


def folds(env: Mapping[str, str]) -> bool:
    """Does this terminal fold its rows when it gets narrower?"""
    if "TMUX" not in env and (env.get("TERM", "").startswith("screen") or "XTERM_VERSION" in env):
        return False  # the other names are those of the terminal that it was started in
    return any(name in env for name in FOLDING) or env.get("TERM", "").startswith(FOLDING_TERMS)


def find_prompt_after_resize(app: Application[Any]) -> None:
    """On a terminal that folds: have the prompt erased from where it begins now, before it is drawn anew."""
    draw_anew = app._on_resize

    def resized() -> None:
        renderer, drawn = app.renderer, app.renderer.last_rendered_screen
        if drawn is not None:
            at, columns = renderer._cursor_pos, app.output.get_size().columns
            rows = [[cell.width for _, cell in sorted(drawn.data_buffer[y].items()) if cell.char] for y in range(at.y)]
            up = sum(_last_row(row, columns) + 1 for row in rows)
            cells = sorted(drawn.data_buffer[at.y].items())
            up += _last_row((cell.width for x, cell in cells if x < at.x and cell.char), columns)
            renderer._cursor_pos = Point(at.x, up)
        draw_anew()

    app._on_resize = resized  # type: ignore[method-assign]


def _last_row(widths: Iterable[int], columns: int) -> int:
    """In which row, from 0, cells of these widths end."""
    row = taken = 0
    for width in widths:
        if taken + width > columns:
            row, taken = row + 1, 0
        taken += width
    return row
