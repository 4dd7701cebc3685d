"""JSON, one object a line: exact text, safe to print (what a terminal might obey is escaped)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from xmppsh.output import safe

if TYPE_CHECKING:
    from json import JSONEncoder
    from typing import Any


def dumps(record: dict[str, Any]) -> str:
    """One line without its newline."""
    return safe.escaped_for_json(_encoder().encode(record))


@cache
def _encoder() -> JSONEncoder:
    from json import JSONEncoder

    return JSONEncoder(ensure_ascii=False)  # letters and emoji stand as they are
