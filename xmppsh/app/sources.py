"""What a command reads: stdin, or a file that the user names."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from xmppsh.errors import NoInputError
from xmppsh.output.streams import InputStream
from xmppsh.tasks import apart
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from xmppsh.app.console import Console


async def opened(console: Console, path: str | None) -> InputStream:
    """The file, to be read; stdin for None and `-`. Raises NoInputError."""
    if path in (None, "-"):
        return console.stdin
    try:
        # Of a named pipe: as soon as somebody writes.
        fd = await apart(partial(os.open, console.path(str(path)), os.O_RDONLY | os.O_CLOEXEC))
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise NoInputError(f"{path}: is a directory")
        return InputStream(fd)
    except OSError as error:
        raise NoInputError(f"{path}: {os_reason(error)}") from error
