"""The `-F` templates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh.errors import UsageError
from xmppsh.output import safe
from xmppsh.output.ndjson import dumps

if TYPE_CHECKING:
    from typing import Any, Protocol

    class Template(Protocol):
        """A compiled `-F` template. for_terminal: what came from the network is made visible."""

        def __call__(self, record: dict[str, Any], xml: str, *, for_terminal: bool = False) -> str: ...


_VERB = r"(?s)%(.)|\\(.)"


# What each verb stands for: a field of the record's JSON object. %F is the bare JID of `from`, %j the whole object.
FIELDS = {
    "f": "from",
    "F": "from",
    "t": "to",
    "T": "type",
    "i": "id",
    "b": "body",
    "s": "subject",
    "x": "xml",
    "I": "stamp",
}
PLAIN = {"n": "\n", "t": "\t", "\\": "\\"}


def fields_of(text: str) -> dict[str, str]:
    """The fields that a template asks for, by their verbs. Raises UsageError for an unknown verb."""
    verbs = [match.group(1) for match in re.finditer(_VERB, text) if match.group(1)]
    for verb in verbs:
        if verb not in {*FIELDS, "j", "%"}:
            raise UsageError(f"-F: %{verb} is not a verb", hint="one of %f %F %t %T %i %b %s %x %I %j %%")
    return {f"%{verb}": FIELDS[verb] for verb in verbs if verb in FIELDS}


def compiled(text: str) -> Template:
    """Compile a `-F` template; the function takes a record's JSON object and its XML. Raises UsageError."""
    fields_of(text)

    def value(verb: str, record: dict[str, Any], xml: str) -> str:
        match verb:
            case "j":
                return dumps(record)
            case "x":
                return xml
            case "F":
                return str(record.get("from") or "").partition("/")[0]
            case _:
                return str(record.get(FIELDS[verb]) or "")

    def render(record: dict[str, Any], xml: str, *, for_terminal: bool = False) -> str:
        def one(match: re.Match[str]) -> str:
            if match.group(2):
                return PLAIN.get(match.group(2), match.group())
            verb = match.group(1)
            if verb == "%":
                return "%"
            text = value(verb, record, xml)
            if not for_terminal or verb == "j":
                return text
            return safe.xml(text) if verb == "x" else safe.block(text)

        return re.sub(_VERB, one, text)

    return render
