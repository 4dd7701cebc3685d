"""A client's standard streams inside the agent, which none of them may hold up.

They are shared with other programs, so their flags stay as they are: a pipe or a terminal is opened once more, without
blocking; a socket is asked for each call. What cannot be opened (another user's terminal) is polled before each piece.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
from contextlib import suppress

from xmppsh.errors import ClosedOutput, IoError
from xmppsh.output.streams import CHUNK_BYTES, PIPE_BUF, InputStream, OutputStream, writable
from xmppsh.texts import os_reason

MAX_ERRORS_BYTES = 1024 * 1024  # of a client that does not read its stderr; what comes after them is dropped


class Descriptor:
    """One stream of a client. given: its descriptor, which stays its owner's to close."""

    def __init__(self, given: int, access: int) -> None:
        mode = os.fstat(given).st_mode
        self.fd, self._given = given, given
        self._polls, self._socket = False, None
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(given))
        elif _is_open_for(given, access) and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            try:
                self.fd = os.open(f"/proc/self/fd/{given}", access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                self._polls = True

    def read(self) -> bytes:
        """What is there; raises BlockingIOError when nothing is."""
        if self._socket is not None:
            return self._socket.recv(CHUNK_BYTES, socket.MSG_DONTWAIT)
        self._check(select.POLLIN)
        return os.read(self.fd, CHUNK_BYTES)

    def write(self, data: bytes) -> int:
        """Write what there is room for; raises BlockingIOError when there is none."""
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        self._check(select.POLLOUT)
        return os.write(self.fd, data[:PIPE_BUF] if self._polls else data)

    def _check(self, wanted: int) -> None:
        if not self._polls:
            return
        poll = select.poll()
        poll.register(self.fd, wanted)
        if not poll.poll(0):
            raise BlockingIOError

    async def writable(self) -> None:
        """Wait until there may be room."""
        await writable(self.fd)

    def close(self) -> None:
        """Give up what was opened for it."""
        if self._socket is not None:
            self._socket.close()
        if self.fd != self._given:
            os.close(self.fd)


def _is_open_for(fd: int, access: int) -> bool:
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE in (access, os.O_RDWR)


class ClientInput(InputStream):
    """A client's stdin."""

    def __init__(self, stream: Descriptor) -> None:
        super().__init__(stream.fd)
        self._stream = stream

    def _take(self) -> bytes:
        return self._stream.read()


class ClientOutput(OutputStream):
    """A client's stdout."""

    def __init__(self, stream: Descriptor) -> None:
        super().__init__(stream.fd)
        self._stream = stream

    async def write(self, text: str) -> None:
        """Write one record, newline included."""
        left = data = text.encode("utf-8", "surrogateescape")
        async with self._turn:
            while left:
                try:
                    left = left[self._stream.write(left) :]
                except BlockingIOError:
                    await self._stream.writable()
                except OSError as error:
                    self._take_back(len(data) - len(left))
                    if error.errno in (errno.EPIPE, errno.ECONNRESET):
                        raise ClosedOutput from error
                    raise IoError(f"stdout: {os_reason(error)}") from error


class ClientErrors:
    """A client's stderr: `write` never waits, `flushed` does."""

    def __init__(self, stream: Descriptor) -> None:
        self._stream, self._waiting = stream, b""

    def write(self, text: str) -> None:
        """Write, or keep for later what there is no room for."""
        if len(self._waiting) < MAX_ERRORS_BYTES:
            self._waiting += text.encode("utf-8", "backslashreplace")
        with suppress(BlockingIOError):
            self._push()

    async def flushed(self) -> None:
        """Wait until all of it is written, or nobody reads it any more."""
        while self._waiting:
            try:
                self._push()
            except BlockingIOError:
                await self._stream.writable()

    def _push(self) -> None:
        try:
            while self._waiting:
                self._waiting = self._waiting[self._stream.write(self._waiting) :]
        except BlockingIOError:
            raise
        except OSError:
            self._waiting = b""  # it is closed: there is nobody left to tell
