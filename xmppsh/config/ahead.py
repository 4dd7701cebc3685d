"""Files that give their content once, or only after a while: they are read before the event loop runs.

A named pipe, a terminal or `<(…)` may block on open and on read, and gives nothing the second time, when the next
address is tried or a cut link is opened again.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from xmppsh.errors import NoInputError
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from xmppsh.config.schema import Settings

MAX_BYTES = 16 * 1024 * 1024  # all authorities of a system have less than one


def read_ahead(settings: Settings, env: Mapping[str, str]) -> dict[Path, bytes]:
    """The content of each file of the TLS settings that is no regular one; raises NoInputError."""
    paths = [settings.path(name, env) for name in ("ca", "cert", "key")]
    return {path: _content(path) for path in paths if path is not None and not _is_regular(path)}


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True  # who opens it tells why that is impossible


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NoInputError(f"{path}: {os_reason(error)}") from error
    if len(data) > MAX_BYTES:
        raise NoInputError(f"{path}: more than {MAX_BYTES} bytes")
    return data
