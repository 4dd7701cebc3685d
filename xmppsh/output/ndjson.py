"""JSON, one object a line: exact text, safe to print (what a terminal might obey is escaped)."""

from __future__ import annotations

import json
from typing import Any

from xmppsh.output import safe


def dumps(record: dict[str, Any]) -> str:
    """One line without its newline. Letters and emoji stand as they are."""
    return safe.escaped_for_json(json.dumps(record, ensure_ascii=False, separators=(", ", ": ")))
