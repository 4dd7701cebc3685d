"""JSON, one object a line: exact text, safe to print (what a terminal might obey is escaped)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from xmppsh.output import safe

if TYPE_CHECKING:
    from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False)  # letters and emoji stand as they are


def dumps(record: dict[str, Any]) -> str:
    """One line without its newline."""
    return safe.escaped_for_json(_ENCODER.encode(record))
