"""`/x on`: a record with one field a line, as psql's \\x."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from xmppsh.output import safe
from xmppsh.output.printer import Printer
from xmppsh.output.verbatim import Verbatim

if TYPE_CHECKING:
    from xmppsh.output.record import Record
    from xmppsh.shell.look import Palette


class Expanded(Printer):
    """Prints as `printer` would check it, and shows each field by its name in JSON."""

    def __init__(self, printer: Printer, palette: Palette) -> None:
        super().__init__(printer.format, None, for_all=False)
        self._palette = palette

    def line(self, record: Record, *, for_terminal: bool) -> str:
        """The fields below each other."""
        if isinstance(record, Verbatim):
            return record.text()
        data = record.data()
        width = max(map(len, data), default=0)
        rows = []
        for name, value in data.items():
            text = value if isinstance(value, str) else safe.escaped_for_json(json.dumps(value, ensure_ascii=False))
            rows.append(f"{self._palette.kind('name', name.ljust(width))}  {safe.block(text, ' ' * (width + 2))}")
        return "\n".join([self._palette.kind("dim", "─" * (width + 2)), *rows])
