"""The types of the records that commands print, found by the registry."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from xmppsh.output.record import Record, keys
from xmppsh.output.schema import name_of
from xmppsh.registry import COMMANDS

if TYPE_CHECKING:
    from xmppsh.registry import Spec


def types_of(spec: Spec) -> list[type[Record]]:
    """The types of a command's records."""
    found = []
    for place in spec.records:
        module, _, name = place.partition(":")
        found.append(getattr(importlib.import_module(module), name))
    return found


def all_types() -> dict[str, type[Record]]:
    """Every type of records, by its name."""
    return {name_of(one): one for spec in COMMANDS.values() for one in types_of(spec)}


def all_fields(types: list[type[Record]]) -> set[str]:
    """The fields of any of them in JSON; `xml` for the form in XML."""
    return {key for one in types for _, key in keys(one)} | ({"xml"} if any(map(has_xml, types)) else set())


def has_xml(record: type[Record]) -> bool:
    """Has it a form in XML?"""
    return record.document is not Record.document
