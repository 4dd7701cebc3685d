"""Records in the shell, as text: XML indented at a terminal, and with `/x on` one field a line, as psql's \\x."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from xmppsh.output import safe
from xmppsh.output.printer import Printer
from xmppsh.output.verbatim import Verbatim
from xmppsh.shell.shown.streamview import pretty

if TYPE_CHECKING:
    from xmppsh.output.record import Record
    from xmppsh.shell.lines.desk import Desk


class ShellPrinter(Printer):
    """For the text format; the desk tells how."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("text", None, for_all=False)
        self._desk = desk

    def line(self, record: Record, *, for_terminal: bool) -> str:
        """The record without its last newline."""
        if self.format != "text":  # an export is JSON wherever it runs
            return super().line(record, for_terminal=for_terminal)
        if self._desk.expanded and not isinstance(record, Verbatim):
            return self._fields(record)
        text = record.text()
        document = record.document() if for_terminal else None
        if document is None or text != safe.xml(document):
            return text
        return pretty(document, self._desk.palette, self._desk.columns and self._desk.columns())

    def _fields(self, record: Record) -> str:
        palette, data = self._desk.palette, record.data()
        width = max(map(len, data), default=0)
        rows = []
        for name, value in data.items():
            text = value if isinstance(value, str) else safe.escaped_for_json(json.dumps(value, ensure_ascii=False))
            rows.append(f"{palette.kind('name', name.ljust(width))}  {safe.block(text, ' ' * (width + 2))}")
        return "\n".join([palette.kind("dim", "─" * (width + 2)), *rows])
