"""The JSON schema of a record, from its fields: their types, and the docstrings that stand below them."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from xmppsh.output.record import Record, keys

if TYPE_CHECKING:
    from collections.abc import Mapping

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMES: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", types.NoneType: "null"}


def schema(record: type[Record]) -> dict[str, Any]:
    """The schema of one record: every field is always there, and there are no others."""
    # The records of a command that must be quick name these for the type checker alone.
    hints, described = get_type_hints(record, localns={"Any": Any, "Literal": Literal}), _docstrings(record)
    fields = {key: {**_type(hints[name]), "description": described[name]} for name, key in keys(record)}
    return {
        "type": "object",
        "description": inspect.getdoc(record),
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def name_of(record: type[Record]) -> str:
    """What it is called: `PingSummary` is ping-summary, `MessageRecord` is message."""
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in record.__name__)
    return words.removeprefix("-").removesuffix("-record")


def _docstrings(record: type[Record]) -> Mapping[str, str]:
    """The string that stands below each field."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    assert isinstance(definition, ast.ClassDef)
    found, name = {}, ""
    for statement in definition.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=field)):
                name = field
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                found[name], name = " ".join(text.split()), ""
            case _:
                name = ""
    return found


def _type(hint: Any) -> dict[str, Any]:
    if hint in NAMES:
        return {"type": NAMES[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(one) for one in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0])}
    if origin is dict:
        return {"type": "object"}
    return schema(hint)
