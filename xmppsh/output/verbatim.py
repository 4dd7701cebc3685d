"""What is printed as it stands: help, a schema, the stanzas of `--dry-run`."""

from __future__ import annotations

from xmppsh.output.record import Record
from xmppsh.plain import dataclass


@dataclass(frozen=True, slots=True)
class Verbatim(Record):
    """Text that every format prints as it is."""

    is_verbatim = True
    content: str
    """The text, without its last newline."""

    def text(self) -> str:
        """The same."""
        return self.content
