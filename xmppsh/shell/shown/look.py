"""Colours by kind and by person, and long lines folded at words, for what the shell prints. Pure."""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

from xmppsh.later import pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.config.schema import Color

_URL = pattern(r"\b[a-z][a-z0-9+.-]{0,30}://\S+", re.IGNORECASE)
_PAINT = pattern(r"\x1b\[[\d;]*m")
_HALF_PAINT = pattern(r"\x1b[^m]*$")
_BEFORE_UNIT = pattern(r"(?<=\d) (?=(?:[a-zµ]{1,3}|[kKMG]i?B|B|%)(?!\w))")
_HOLDS = "\xa0"
PIECE = 1000  # characters that are wrapped at once
RESET = "\x1b[0m"
KINDS = {
    "dim": "\x1b[90m",
    "bold": "\x1b[1m",
    "good": "\x1b[32m",
    "bad": "\x1b[31m",
    "mark": "\x1b[33m",
    "link": "\x1b[4;36m",
    "tag": "\x1b[34m",
    "name": "\x1b[36m",
    "value": "\x1b[33m",
}
LEAST_COLUMNS = 20  # for the text; where less is left, it begins on a line of its own


def wants_color(color: Color, env: Mapping[str, str]) -> bool:
    """May what is printed at this terminal have colours? `--color`; for `auto` NO_COLOR and a terminal without any."""
    if color == "auto":
        return not env.get("NO_COLOR") and env.get("TERM", "dumb") not in ("dumb", "unknown")
    return color == "always"


def plain(text: str) -> str:
    """A text without its colours."""
    return _PAINT().sub("", text)


def cut(text: str, most: int) -> str:
    """At most so many characters of a text; where it is longer, `…` tells so, and its colours end there."""
    if len(text) <= most:
        return text
    begun = _HALF_PAINT().sub("", text[:most])
    return begun + (RESET if "\x1b" in begun else "") + "…"


class Palette:
    """Puts colours around text that is safe already, or leaves it as it is."""

    def __init__(self, *, colors: bool) -> None:
        self._colors = colors

    def kind(self, kind: str, text: str) -> str:
        """Text of one of the KINDS."""
        return f"{KINDS[kind]}{text}{RESET}" if self._colors and text else text

    def person(self, address: str, text: str) -> str:
        """Text in the colour of a person, the same everywhere (XEP-0392 §5.1)."""
        if not self._colors:
            return text
        return f"\x1b[38;5;{_color_of(address)}m{text}{RESET}"


@lru_cache(maxsize=256)
def _color_of(address: str) -> int:
    """One of the 256 colours of a terminal."""
    digest = hashlib.sha1(address.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
    hue = int.from_bytes(digest[:2], "little") / 65536
    red, green, blue = (round(5 * part) for part in colorsys.hsv_to_rgb(hue, 0.7, 0.85))
    return 16 + 36 * red + 6 * green + blue


def width(text: str) -> int:
    """How many columns a text takes; its colours take none."""
    if text.isascii() and text.isprintable():
        return len(text)
    import wcwidth  # see typing/lean.py

    return wcwidth.width(text)


def folded(text: str, first: int, columns: int) -> list[str]:
    """The rows of a text that begins in column `first` (from 0); rows that follow begin there, too.

    The line ends of the text stay. Words stay whole where they fit into a row, as a number does with its unit
    (`0.2 s`), and so does white space inside it. A URL stays whole always: the terminal goes on with it by itself, so
    that it can still be opened and copied. No colour goes on over the end of a row.
    """
    rows = _folded(bare := plain(text), columns - first)
    return rows if text == bare else _painted(text, rows)


def _folded(text: str, room: int) -> list[str]:
    rows: list[str] = []
    for line in text.split("\n"):
        if width(line) <= room:
            rows.append(line)
            continue
        at = 0
        for url in _URL().finditer(line):
            if width(url.group()) > room:
                rows += _wrapped(line[at : url.start()], room)
                rows.append(url.group())
                at = url.end()
        rows += _wrapped(line[at:].lstrip() if at else line, room)
    return rows


def hung(rows: str, columns: int) -> str:
    """Rows that are indented by their depth, and what does not fit into the columns below its beginning, deeper."""
    shown = []
    for row in rows.split("\n"):
        text = row.lstrip(" ")
        depth = len(row) - len(text)
        below = min(depth + 4, columns // 2)
        first, *others = folded(text, below, columns) or [""]
        shown += [" " * min(depth, below) + first, *(" " * below + other for other in others)]
    return "\n".join(shown)


def _painted(text: str, rows: list[str]) -> list[str]:
    """The rows of a text without its colours, with them again."""
    source, paints, hidden = plain(text), [], 0
    for match in _PAINT().finditer(text):
        paints.append((match.start() - hidden, match.group()))
        hidden += len(match.group())
    at, now, painted, coming = 0, "", [], deque(paints)
    for row in rows:
        at = source.index(row, at)
        end = at + len(row)
        while coming and coming[0][0] <= at:
            now = _over(now, coming.popleft()[1])
        shown = now
        while coming and coming[0][0] < end:
            place, paint = coming.popleft()
            shown, at, now = shown + source[at:place] + paint, place, _over(now, paint)
        painted.append(shown + source[at:end] + (RESET if now else ""))
        at = end
    return painted


def _over(now: str, paint: str) -> str:
    """The colours that hold after another one."""
    return "" if paint == RESET else now + paint


def _wrapped(text: str, room: int) -> list[str]:
    """Wrap piece by piece: all at once takes the square of the length of a word, and a contact may send long ones."""
    rows: list[str] = []
    begin, end = 0, PIECE
    while begin < len(text):
        found = _wrap(text[begin:end], room)
        if end >= len(text):
            return rows + found
        if len(found) > 2:
            # The last word may go on after the piece, so that it would not stand in a row of its own.
            *whole, second, last = found
            rows += whole
            before = text[begin:end].rstrip()[: -len(last)].rstrip()
            begin += len(before) - len(second)
            end = begin + PIECE
        else:
            end += end - begin
    return rows


def _wrap(text: str, room: int) -> list[str]:
    if not text.strip():
        return []
    import wcwidth

    # Such a space holds; where a text has some of its own, it could not be told afterwards which ones are ours.
    held = text if _HOLDS in text else _BEFORE_UNIT().sub(_HOLDS, text)
    rows = wcwidth.wrap(
        held, room, replace_whitespace=False, drop_whitespace=True, expand_tabs=False, break_on_hyphens=False
    )
    return rows if held == text else [row.replace(_HOLDS, " ") for row in rows]
