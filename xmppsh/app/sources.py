"""What a command reads: stdin, or a file that the user names."""

from __future__ import annotations

import codecs
import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from xmppsh.errors import DataError, NoInputError
from xmppsh.output.streams import InputStream
from xmppsh.tasks import apart
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from xmppsh.app.console import Console


MAX_FILE_BYTES = 64 * 1024 * 1024


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


async def contents(console: Console, path: str | None) -> str:
    """All of the text, without a byte order mark. Raises NoInputError, and DataError for what is no text or endless."""
    source = await opened(console, path)
    name = "the input" if source is console.stdin else str(path)
    try:
        return decoded(await source.read_all(MAX_FILE_BYTES, name), name).removeprefix("\ufeff")
    finally:
        if source is not console.stdin:
            os.close(source.fd)


def decoded(data: bytes, what: str, otherwise: str | None = None) -> str:
    """The text of some bytes; raises DataError. what: how to call them; otherwise: what else to try."""
    refuse_utf_16(data, what)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        hint = "iconv -f ENCODING -t UTF-8 converts it" + (f"; {otherwise}" if otherwise else "")
        raise DataError(f"{what} is not UTF-8 (byte {error.start + 1})", hint=hint) from error


def refuse_utf_16(data: bytes, what: str) -> None:
    """Raise DataError when that is what begins here: editors of Windows have it in their menu as Unicode."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{what} is UTF-16, not UTF-8", hint="iconv -f UTF-16 -t UTF-8")
