"""Records for people: one line each, and the `-F` templates (cli.md, section 5.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from xmppsh.errors import UsageError
from xmppsh.output import safe
from xmppsh.output.ndjson import dumps

if TYPE_CHECKING:
    from collections.abc import Callable

_VERB = re.compile(r"%(.)|\\(.)", re.DOTALL)


def shown(record: dict[str, Any]) -> str:
    """A record as text for a terminal, without the last newline."""
    clock = str(record.get("stamp") or "")[11:19]
    sender = safe.line(record["from"] or "")
    match record["kind"]:
        case "message":
            return f"{clock} {sender}: {_message_text(record)}"
        case "presence":
            words = [record["type"], record["show"] or "", safe.line(record["status"] or "")]
            return f"{clock} {sender} is {' '.join(word for word in map(safe.line, words) if word)}"
        case _:
            payloads = ", ".join(map(safe.line, record["payloads"])) or "empty"
            return f"{sender} iq {safe.line(record['type'] or '')} {payloads}"


def _message_text(record: dict[str, Any]) -> str:
    subject = f"[{safe.line(record['subject'])}] " if record["subject"] else ""
    if record["type"] == "error":
        return subject + "(error) " + safe.block(record["body"] or "")
    if record["body"] is None:
        return subject + f"({', '.join(map(safe.line, record['payloads'])) or 'empty'})"
    return subject + safe.block(record["body"])


class Template(Protocol):
    """A compiled `-F` template. for_terminal: what came from the network is made visible."""

    def __call__(self, record: dict[str, Any], xml: str, *, for_terminal: bool = False) -> str: ...


def template(text: str) -> Template:
    """Compile a `-F` template; the function takes a record and its XML. Raises UsageError for an unknown verb."""
    verbs: dict[str, Callable[[dict[str, Any], str], str]] = {
        "f": lambda record, _: record["from"] or "",
        "F": lambda record, _: (record["from"] or "").partition("/")[0],
        "t": lambda record, _: record["to"] or "",
        "T": lambda record, _: record["type"] or "",
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
