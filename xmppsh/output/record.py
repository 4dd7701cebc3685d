"""`Record`: one thing that a command prints, in every format."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Record:
    """The base of all records: frozen dataclasses whose fields are those of their JSON object.

    A field whose name is a keyword ends in an underscore, which JSON leaves out (`from_` is `from`). A field with the
    metadata NOT_JSON is for the other formats alone. Each field has a docstring: `xmppsh schema` prints it.
    is_stanza: the templates of the config file are meant for it. is_verbatim: every format prints its text as it is.
    """

    __slots__ = ()
    is_stanza = is_verbatim = False

    def text(self) -> str:
        """For people: one line or more, safe for a terminal, without the last newline."""
        raise NotImplementedError

    def document(self) -> str | None:
        """As XML; None for a record that has no such form."""
        return None

    def data(self) -> dict[str, Any]:
        """As a JSON object."""
        names, values = _names_and_values(type(self))
        found = dict(zip(names, values(self), strict=True))
        for key, value in found.items():
            if type(value) not in PLAIN:
                found[key] = _plain(value)
        return found


NOT_JSON = {"json": False}
PLAIN = frozenset({str, int, float, bool, type(None)})


_KEYS: dict[Any, tuple[tuple[str, str], ...]] = {}
_READERS: dict[Any, tuple[tuple[str, ...], Callable[[Any], Any]]] = {}


def keys(record: type[Record]) -> tuple[tuple[str, str], ...]:
    """The fields of a type of records with their names in JSON."""
    kind: Any = record
    if kind not in _KEYS:
        listed = (one for one in fields(kind) if one.metadata.get("json", True))
        _KEYS[kind] = tuple((one.name, one.name.rstrip("_")) for one in listed)
    return _KEYS[kind]


def _names_and_values(record: type[Record]) -> tuple[tuple[str, ...], Callable[[Any], Any]]:
    """The names in JSON, and what reads all their values at once."""
    kind: Any = record
    if kind not in _READERS:
        names, shown = zip(*keys(record), strict=True)
        get = attrgetter(*names)
        _READERS[kind] = shown, get if len(names) > 1 else lambda one: (get(one),)
    return _READERS[kind]


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.data()
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
