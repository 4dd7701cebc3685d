"""A small JSON file of things worth remembering; nothing depends on it.

One that cannot be read counts as empty; one that cannot be written costs time the next time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from xmppsh.brief_json import loads
from xmppsh.config.ours import open_private, replace_private
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from xmppsh.texts import Log

MAX_BYTES = 256 * 1024


class KeptFile:
    """Entries by name. is_entry: is this value one of ours? log(level, text): is told when the file is of no use."""

    def __init__(self, path: Path, is_entry: Callable[[Any], bool], log: Log) -> None:
        self._path, self._is_entry, self._log = path, is_entry, log
        self._complained = False

    def read(self) -> dict[str, Any]:
        """All entries."""
        try:
            with open(open_private(self._path, os.O_RDONLY), "rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ValueError(f"it is larger than {MAX_BYTES} bytes")
            document = loads(data.decode())
            if not isinstance(document, dict) or not all(map(self._is_entry, document.values())):
                raise ValueError("its content is not what it should be")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            self._complain(f"{self._path} is ignored: {os_reason(error)}")
            return {}
        return document

    def write(self, entries: dict[str, Any]) -> None:
        """Replace them all; the file is readable for its owner alone."""
        try:
            import json

            replace_private(self._path, json.dumps(entries, ensure_ascii=False).encode())
        except OSError as error:
            self._complain(f"{self._path} cannot be written: {os_reason(error)}")

    def _complain(self, sentence: str) -> None:
        if not self._complained:
            self._log(1, sentence)
        self._complained = True
