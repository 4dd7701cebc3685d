"""What a command prints as JSON, held against the schemas that `xmppsh schema` prints."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from xmppsh.output.schema import schema
from xmppsh.registry.record_types import all_types


def named(document: Any) -> str:
    """The name of the record that this is; fails where no schema fits."""
    found = [name for name, schema in _validators().items() if schema.is_valid(document)]
    assert found, f"no schema of `xmppsh schema` fits {document}"
    return found[0]


@cache
def _validators() -> dict[str, Draft202012Validator]:
    return {name: Draft202012Validator(schema(kind)) for name, kind in all_types().items()}
