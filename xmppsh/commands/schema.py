"""`schema`: what the JSON of each record looks like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from xmppsh.output.schema import DIALECT
from xmppsh.output.schema import schema as schema_of
from xmppsh.output.verbatim import Verbatim
from xmppsh.registry.base import command
from xmppsh.registry.params import RECORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App


@command("schema")
@click.argument("record", type=RECORD, required=False)
async def schema(app: App, record: str | None) -> AsyncIterator[Verbatim]:
    """Print the JSON schema of RECORD, or of all records by name.

    It describes --format json: every field is always present, and a version that adds one changes no other.

    Example:  xmppsh schema message
    """
    from xmppsh.registry.record_types import all_types

    types = all_types()
    document: dict[str, Any] = {"$schema": DIALECT}
    if record is not None:
        document |= schema_of(types[record])
    else:
        document["$defs"] = {name: schema_of(one) for name, one in sorted(types.items())}
    yield Verbatim(json.dumps(document, ensure_ascii=False, indent=2))
