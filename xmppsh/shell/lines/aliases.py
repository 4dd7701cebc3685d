"""`/alias`: names that a user gives to lines, kept in a file of mode 0600 for the shells to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.errors import UsageError
from xmppsh.shell.lines.builtins import BUILTINS
from xmppsh.shell.lines.secret_lines import is_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xmppsh.config.kept import KeptFile


class Aliases:
    """The lines by their names, without the slash.

    file: where they are kept; None keeps them in memory. is_command: is this word the name of a command? The file is
    read again before each change, so that shells side by side keep each other's.
    """

    def __init__(self, file: KeptFile | None, is_command: Callable[[str], bool]) -> None:
        self._file, self._is_command = file, is_command
        self._lines: dict[str, str] = {} if file is None else file.read()

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
        self._lines[name] = line
        self._keep(name, None if is_secret(line) else line)

    def drop(self, name: str) -> None:
        """Take a name back; raises UsageError where it is none."""
        if self._lines.pop(name, None) is None:
            raise UsageError(f"/{name} is not an alias", hint=BUILTINS["alias"].example)
        self._keep(name, None)

    def _keep(self, name: str, line: str | None) -> None:
        if self._file is None:
            return
        kept = self._file.read()
        kept.pop(name, None)
        self._file.write(kept if line is None else {**kept, name: line})


def is_line(entry: object) -> bool:
    """Is this the value of an entry of the file?"""
    return isinstance(entry, str)
