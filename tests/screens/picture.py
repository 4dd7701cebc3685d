"""A terminal's screen as an SVG picture: its text, its colours, and nothing that could run."""

from html import escape
from itertools import groupby

import pyte
from pyte.screens import Char

CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 18, 12
BACKGROUND, FOREGROUND = "#1e1e2e", "#cdd6f4"
COLORS = {
    "default": FOREGROUND,
    "black": "#45475a",
    "red": "#f38ba8",
    "green": "#a6e3a1",
    "brown": "#f9e2af",
    "blue": "#89b4fa",
    "magenta": "#f5c2e7",
    "cyan": "#94e2d5",
    "white": "#bac2de",
    "brightblack": "#7f849c",
}


def svg(screen: pyte.Screen, title: str) -> str:
    """The picture of a screen as it stands, the cursor as a block."""
    used = [y for y in range(screen.lines) if screen.display[y].strip()]
    rows = max(used, default=0) + 1
    width, height = screen.columns * CELL_WIDTH + 2 * MARGIN, rows * CELL_HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">',
    ]
    for y in range(rows):
        parts += _row([screen.buffer[y][x] for x in range(screen.columns)], y)
    x, y = MARGIN + screen.cursor.x * CELL_WIDTH, MARGIN + screen.cursor.y * CELL_HEIGHT
    block = f'width="{CELL_WIDTH}" height="{CELL_HEIGHT}" fill="{FOREGROUND}" fill-opacity="0.6"'
    parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {block}/>')
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def _row(cells: list[Char], y: int) -> list[str]:
    parts = []
    for style, group in groupby(enumerate(cells), key=lambda cell: cell[1]._replace(data="")):
        run = list(group)
        text = "".join(cell.data for _, cell in run)
        x = MARGIN + run[0][0] * CELL_WIDTH
        ink, paper = _color(style.fg), None if style.bg == "default" else _color(style.bg)
        if style.reverse:
            ink, paper = BACKGROUND, ink
        if paper is not None:
            size = f'width="{len(run) * CELL_WIDTH:.1f}" height="{CELL_HEIGHT}"'
            parts.append(f'<rect x="{x:.1f}" y="{MARGIN + y * CELL_HEIGHT}" {size} fill="{paper}"/>')
        if text.strip():
            look = ' font-weight="bold"' * style.bold + ' text-decoration="underline"' * style.underscore
            baseline = MARGIN + y * CELL_HEIGHT + 14
            lead = len(text) - len(text.lstrip())
            parts.append(
                f'<text x="{x + lead * CELL_WIDTH:.1f}" y="{baseline}" fill="{ink}"{look}>{escape(text.strip())}</text>'
            )
    return parts


def _color(name: str) -> str:
    return COLORS.get(name) or (f"#{name}" if len(name) == 6 else FOREGROUND)
