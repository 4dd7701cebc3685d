"""Appending text to a file of the user's, which may be a named pipe or a terminal that takes nothing for ever."""

from __future__ import annotations

import atexit
import os
import queue
import stat
import threading
from typing import TYPE_CHECKING

from xmppsh.errors import IoError
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_PIECES = 10_000  # that wait for a reader; what comes then is left out
LAST_S = 0.5  # for what is still to be written at the end of the program


def appending(path: Path) -> Callable[[str], None]:
    """What appends to the file, made with mode 0600. Raises IoError (74), and so does what it returns.

    A regular file is opened and written at once. Anything else may block, so a thread does it, and what it says is
    raised by the next call.
    """
    try:
        is_regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        is_regular = True  # opening makes it, or tells why not
    return _Regular(path).write if is_regular else _Other(path).write


def _failed(path: Path, error: OSError) -> IoError:
    return IoError(f"{path}: {os_reason(error)}")


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


class _Regular:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = open(path, "a", encoding="utf-8", buffering=1, opener=_private)  # noqa: SIM115 - until the end
        except OSError as error:
            raise _failed(path, error) from error

    def write(self, piece: str) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            raise _failed(self._path, error) from error


class _Other:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._pieces: queue.Queue[str | None] = queue.Queue(MAX_PIECES)
        self._error: OSError | None = None
        self._left_out = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        atexit.register(self._finish)

    def write(self, piece: str) -> None:
        if self._error is not None:
            raise _failed(self._path, self._error)
        if self._left_out and not self._pieces.full():
            piece, self._left_out = f"({self._left_out} lines left out: nobody read them)\n{piece}", 0
        try:
            self._pieces.put_nowait(piece)
        except queue.Full:
            self._left_out += 1

    def _run(self) -> None:
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_CLOEXEC)
            while (piece := self._pieces.get()) is not None:
                data = piece.encode("utf-8", "backslashreplace")
                while data:
                    data = data[os.write(fd, data) :]
        except OSError as error:
            self._error = error

    def _finish(self) -> None:
        if not self._pieces.full():
            self._pieces.put_nowait(None)
            self._thread.join(LAST_S)
