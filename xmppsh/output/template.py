"""The `-F` templates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from xmppsh.errors import UsageError
from xmppsh.output import safe
from xmppsh.output.ndjson import dumps

if TYPE_CHECKING:
    from collections.abc import Callable

_VERB = re.compile(r"%(.)|\\(.)", re.DOTALL)


class Template(Protocol):
    """A compiled `-F` template. for_terminal: what came from the network is made visible."""

    def __call__(self, record: dict[str, Any], xml: str, *, for_terminal: bool = False) -> str: ...


def compiled(text: str) -> Template:
    """Compile a `-F` template; the function takes a record and its XML. Raises UsageError for an unknown verb."""
    verbs: dict[str, Callable[[dict[str, Any], str], str]] = {
        "f": lambda record, _: record.get("from") or "",
        "F": lambda record, _: (record.get("from") or "").partition("/")[0],
        "t": lambda record, _: record.get("to") or "",
        "T": lambda record, _: record.get("type") or "",
        "i": lambda record, _: record.get("id") or "",
        "b": lambda record, _: record.get("body") or "",
        "s": lambda record, _: record.get("subject") or "",
        "x": lambda _, xml: xml,
        "I": lambda record, _: record.get("stamp") or "",
        "j": lambda record, _: dumps(record),
    }
    plain = {"n": "\n", "t": "\t", "\\": "\\"}
    for match in _VERB.finditer(text):
        if match.group(1) and match.group(1) not in {*verbs, "%"}:
            raise UsageError(f"-F: %{match.group(1)} is not a verb", hint="one of %f %F %t %T %i %b %s %x %I %j %%")

    def render(record: dict[str, Any], xml: str, *, for_terminal: bool = False) -> str:
        def one(match: re.Match[str]) -> str:
            if match.group(2):
                return plain.get(match.group(2), match.group())
            verb = match.group(1)
            if verb == "%":
                return "%"
            value = verbs[verb](record, xml)
            if not for_terminal or verb == "j":
                return value
            return safe.xml(value) if verb == "x" else safe.block(value)

        return _VERB.sub(one, text)

    return render
