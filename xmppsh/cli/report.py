"""What a failure looks like on stderr: one line and what to try, or one JSON object."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.output.failure import error_text

if TYPE_CHECKING:
    from xmppsh.errors import XmppshError


PATIENCE_MS = 500


def report(error: XmppshError, *, as_json: bool) -> int:
    """One error on stderr: a line and what to try, or one JSON object."""
    if not error.reported:
        write_error(error_text(error, as_json=as_json))
    return int(error.exit_code)


def write_error(text: str) -> None:
    """Write to stderr; when it is closed there is nobody left to tell."""
    with suppress(OSError):
        _write(2, text)


def write_output(text: str) -> None:
    """Write to stdout before there is an event loop; raises OSError."""
    _write(1, text)


class LiveErrors:
    """stderr while a session is up: a reader that has stopped reading must not stop the session.

    It is waited for once, for a moment; what it does not take then is left out, and counted when it reads again.
    """

    def __init__(self, fd: int = 2) -> None:
        self._fd, self._left_out, self._is_torn = fd, 0, False

    def write(self, text: str) -> None:
        """Write a text of whole lines, or leave it out."""
        with suppress(OSError):  # when it is closed there is nobody left to tell
            if self._left_out and self._takes(0):
                lines = f"{self._left_out} line{'s'[: self._left_out != 1]} left out here: nobody read them"
                text, self._left_out, self._is_torn = "\n" * self._is_torn + f"xmppsh: {lines}\n{text}", 0, False
            data = text.encode("utf-8", "backslashreplace")
            size = len(data)
            while data:
                if not self._takes(0 if self._left_out else PATIENCE_MS):
                    self._left_out += data.count(b"\n")
                    self._is_torn |= len(data) < size
                    return
                data = data[os.write(self._fd, data[: select.PIPE_BUF]) :]

    def _takes(self, wait_ms: int) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(wait_ms))


def _write(fd: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(fd, data) :]
