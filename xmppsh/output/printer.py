"""The one printer: records as text, JSON or XML, or by a template."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from xmppsh.output import safe
from xmppsh.output.ndjson import dumps

if TYPE_CHECKING:
    from xmppsh.output.record import Record
    from xmppsh.output.streams import OutputStream
    from xmppsh.output.template import Template


class Printer:
    """How records are shown.

    format: text, json or xml. template: a `-F` template, which comes before the format; for_all: it was given for this
    command, and not in the config or the environment, where it speaks of stanzas alone.
    """

    def __init__(self, format: str, template: str | None, *, for_all: bool) -> None:  # noqa: A002 - the option's name
        self.format, self._template, self._for_all = format, template, for_all

    @property
    def is_for_programs(self) -> bool:
        """Was another form asked for than text?"""
        return self.format != "text" or self._template is not None

    @property
    def is_json(self) -> bool:
        """Are stanzas shown as JSON?"""
        return self.format == "json" and self._template is None

    @property
    def shows_all(self) -> bool:
        """Has every record the form that was asked for? XML is one of stanzas alone, as are some templates."""
        return self.format == "json" or (self._template is not None and self._for_all)

    def check(self) -> None:
        """Raise UsageError for a template that cannot be read."""
        _ = self._render

    @cached_property
    def _render(self) -> Template | None:
        if self._template is None:
            return None
        from xmppsh.output.template import compiled

        return compiled(self._template)

    async def print(self, record: Record, stdout: OutputStream) -> None:
        """Write one record, whole and at once."""
        await stdout.write(self.line(record, for_terminal=stdout.is_terminal) + "\n")

    def line(self, record: Record, *, for_terminal: bool) -> str:
        """The record in the form that was asked for, without the last newline."""
        if record.is_verbatim:
            return record.text()
        if self._render is not None and (self._for_all or record.is_stanza):
            return self._render(record.data(), record.document() or "", for_terminal=for_terminal)
        match self.format:
            case "json":
                return dumps(record.data())
            case "xml" if (document := record.document()) is not None:
                return safe.xml(document) if for_terminal else document
            case _:
                return record.text()
