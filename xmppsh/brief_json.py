"""JSON of our own small files, by the C part of the json module: the rest of it compiles patterns while it is loaded,
and with `re` that is a sixteenth of a cold `send`."""

from __future__ import annotations

import _json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class _Standard:
    """What `json.loads` tells its scanner. NaN and the infinities are its matter, in `loads`."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = None


_scan = _json.make_scanner(_Standard)  # type: ignore[arg-type] # it asks for these attributes alone
quoted = _json.encode_basestring_ascii  # a string with its quotes


def loads(text: str) -> Any:
    """As `json.loads`, which has the last word on all that is not plain."""
    try:
        value, end = _scan(text, 0)
    except (StopIteration, TypeError):
        end = -1
    if end == len(text):
        return value
    import json

    return json.loads(text)
