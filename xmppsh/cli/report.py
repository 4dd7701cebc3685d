"""What a failure looks like on stderr: one line and what to try, or one JSON object."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.output.failure import error_text

if TYPE_CHECKING:
    from xmppsh.errors import XmppshError


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


def _write(fd: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(fd, data) :]
