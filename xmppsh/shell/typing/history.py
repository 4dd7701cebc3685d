"""The lines of former shells: a file of mode 0600 for each account, without what is secret."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from prompt_toolkit.history import History

from xmppsh.config.ours import make_folder, open_private, replace_private, write_all
from xmppsh.config.paths import file_name
from xmppsh.errors import IoError
from xmppsh.shell.lines.secret_lines import is_secret
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

KEPT_LINES = 10_000
KEPT_BYTES = 4 * 1024 * 1024


def history_file(state: Path, name: str) -> Path:
    """Where the lines of a profile or an account are."""
    return state / "history" / file_name(name)


class LineHistory(History):
    """One JSON text a line, the newest last. Several shells may append to it at once.

    on_trouble: is told once why nothing can be kept.
    """

    def __init__(self, path: Path | None, on_trouble: Callable[[IoError], None]) -> None:
        super().__init__()
        self._path, self._on_trouble = path, on_trouble
        if path is not None:
            self._shorten(path)

    def append_string(self, string: str) -> None:
        """Keep a line, unless it is secret or the same as the last one."""
        if not is_secret(string) and string not in self._loaded_strings[:1]:
            super().append_string(string)

    def load_history_strings(self) -> Iterable[str]:
        """The lines, newest first."""
        lines = [] if self._path is None else _read(self._path)
        return reversed([line for line in map(_parsed, lines) if line is not None])

    def store_string(self, string: str) -> None:
        """Append a line to the file."""
        if self._path is None:
            return
        try:
            make_folder(self._path.parent)
            fd = open_private(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                write_all(fd, _end_of_half_a_line(fd) + json.dumps(string).encode() + b"\n")
            finally:
                os.close(fd)
        except OSError as error:
            self._give_up(error)

    def _shorten(self, path: Path) -> None:
        """Drop the oldest lines of a file that has grown; another shell that appends meanwhile may lose a line."""
        lines = _read(path)
        if len(lines) <= 2 * KEPT_LINES and sum(map(len, lines)) <= 2 * KEPT_BYTES:
            return
        kept, size = [], 0
        for line in reversed(lines[-KEPT_LINES:]):
            size += len(line)
            if size > KEPT_BYTES:
                break
            kept.append(line)
        try:
            replace_private(path, b"".join(line + b"\n" for line in reversed(kept)))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        path, self._path = self._path, None
        self._on_trouble(IoError(f"{error.filename or path}: {os_reason(error)}"))


def _read(path: Path) -> list[bytes]:
    try:
        with open(open_private(path, os.O_RDONLY), "rb") as file:
            return file.read().splitlines()
    except OSError:
        return []  # there is none yet, or it may not be read: then writing it tells why


def _end_of_half_a_line(fd: int) -> bytes:
    """What ends the last line, which would take the next one with it where a full disk has cut it."""
    size = os.fstat(fd).st_size
    return b"\n" if size and os.pread(fd, 1, size - 1) != b"\n" else b""


def _parsed(line: bytes) -> str | None:
    try:
        text = json.loads(line)
    except ValueError:
        return None  # the half of a line: a disk was full
    return text if isinstance(text, str) else None
