"""`/alias`: names that a user gives to lines, kept in a file of mode 0600 for the shells to come."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from xmppsh.config.ours import open_private, replace_private
from xmppsh.errors import IoError, UsageError
from xmppsh.shell.builtins import BUILTINS
from xmppsh.shell.secret_lines import is_secret
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MAX_BYTES = 256 * 1024


class Aliases:
    """The lines by their names, without the slash.

    is_command: is this word the name of a command? on_trouble: is told why nothing can be kept; then it is in memory.
    The file is read again before each change, so that shells side by side keep each other's.
    """

    def __init__(
        self, path: Path | None, is_command: Callable[[str], bool], on_trouble: Callable[[IoError], None]
    ) -> None:
        self._path, self._is_command, self._on_trouble = path, is_command, on_trouble
        self._lines: dict[str, str] = {}
        self._lines.update(self._read())

    def items(self) -> Mapping[str, str]:
        """All of them."""
        return self._lines

    def line(self, name: str) -> str | None:
        """What a name means."""
        return self._lines.get(name)

    def give(self, name: str, line: str) -> None:
        """Give a line this name. A line whose first word is a command is one, with a slash or without."""
        if self._is_command(name):
            raise UsageError(f"/{name} is a command already", hint="another name")
        if not line.startswith("/") and self._is_command(line.split(maxsplit=1)[0]):
            line = f"/{line}"
        self._change(name, line)

    def drop(self, name: str) -> None:
        """Take a name back; raises UsageError where it is none."""
        if name not in self._lines:
            raise UsageError(f"/{name} is no alias", hint=BUILTINS["alias"].example)
        self._change(name, None)

    def _change(self, name: str, line: str | None) -> None:
        for lines in (self._lines, kept := self._read()):
            lines.pop(name, None)
            if line is not None and (lines is self._lines or not is_secret(line)):
                lines[name] = line
        if self._path is None:
            return
        try:
            replace_private(self._path, json.dumps(kept, ensure_ascii=False, indent=1).encode())
        except OSError as error:
            self._on_trouble(IoError(f"{self._path}: {os_reason(error)}"))

    def _read(self) -> dict[str, str]:
        if self._path is None:
            return {}
        try:
            with open(open_private(self._path, os.O_RDONLY), "rb") as file:
                found = json.loads(file.read(MAX_BYTES))
            return {name: line for name, line in found.items() if isinstance(line, str)}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            self._on_trouble(IoError(f"{self._path}: {os_reason(error)}"))
            return {}
