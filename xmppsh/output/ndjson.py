"""JSON, one object a line: exact text, safe to print (all that is not ASCII-printable and could harm is escaped)."""

from __future__ import annotations

import json
import re
from typing import Any

_RISKY = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def dumps(record: dict[str, Any]) -> str:
    """One line without its newline. Letters and emoji stand as they are; what a terminal might obey is escaped."""
    text = json.dumps(record, ensure_ascii=False, separators=(", ", ": "))
    return _RISKY.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
