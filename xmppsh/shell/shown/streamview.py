"""`/xml on`: the stream as it goes by, indented and coloured. It stands beside `--trace`, which keeps its own form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh.later import pattern
from xmppsh.output import safe
from xmppsh.output.trace import Trace
from xmppsh.shell.shown.look import hung

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.errors import XmppshError
    from xmppsh.model import Element
    from xmppsh.shell.shown.look import Palette
    from xmppsh.xmlio.reader import Footer, Header

_TOKEN = pattern(r"<!\[CDATA\[.*?\]\]>|<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>|[^<]+", re.DOTALL)
_ATTRIBUTE = pattern(r"([\w:.-]+)(=)(\"[^\"]*\"|'[^']*')")
INDENT = "  "


class StreamView(Trace):
    """Hands the stream to the trace that was there already, and to `show` while that is set."""

    def __init__(self, other: Trace | None) -> None:
        super().__init__(self._show_line)
        self.show: Callable[[str], None] | None = None
        self._other = other

    @property
    def failure(self) -> XmppshError | None:
        """What has ended the trace that was there."""
        return None if self._other is None else self._other.failure

    def _show_line(self, line: str) -> None:
        if self.show is not None:
            self.show(line)

    def sent(self, data: bytes, *, secret: bool) -> None:
        """Our bytes."""
        if self._other is not None:
            self._other.sent(data, secret=secret)
        if self.show is not None:
            super().sent(data, secret=secret)

    def received(self, item: Header | Element | Footer) -> None:
        """One item of the server's stream."""
        if self._other is not None:
            self._other.received(item)
        if self.show is not None:
            super().received(item)


def pretty(xml: str, palette: Palette, columns: int | None = None) -> str:
    """XML for people: an element a line, indented; text stays as it is, beside its tags. Safe for a terminal.

    columns: what is longer goes on below its beginning, indented deeper; None where lines may be of any length.
    """
    rows: list[str] = []
    depth, line, holds_elements = 0, "", False
    for token in _TOKEN().findall(xml):
        if not token.startswith("<") or token.startswith("<![CDATA["):
            if line and (token.strip() or token.startswith("<![")):
                line += safe.xml(token)
        elif token.startswith("</"):
            depth = max(0, depth - 1)
            if holds_elements or not line:
                rows += [line] if line else []
                rows.append(INDENT * depth + _tag(token, palette))
            else:
                rows.append(line + _tag(token, palette))
            line, holds_elements = "", True
        else:
            if line:
                rows.append(line)
            line, holds_elements = INDENT * depth + _tag(token, palette), False
            if token.endswith(("/>", "?>")):
                rows.append(line)
                line, holds_elements = "", True
            else:
                depth += 1
    shown = "\n".join([*rows, *([line] if line else [])])
    return shown if columns is None else hung(shown, columns)


def _tag(token: str, palette: Palette) -> str:
    """A tag with its colours."""
    safe_token = safe.xml(token)
    pieces, at = [], 0
    for match in _ATTRIBUTE().finditer(safe_token):
        pieces.append(palette.kind("tag", safe_token[at : match.start()]))
        pieces.append(palette.kind("name", match[1]) + match[2] + palette.kind("value", match[3]))
        at = match.end()
    return "".join(pieces) + palette.kind("tag", safe_token[at:])
