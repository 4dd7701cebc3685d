"""Our three standard streams, as the event loop needs them: stdout by whole records, stdin by chunks."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import select
import stat
import sys
import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from xmppsh.errors import ClosedOutput, DataError, IoError, NoInputError
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK_BYTES = 512 * 1024
TTY_PIECE_BYTES = 128  # mostly taken whole: Linux hands a terminal's space out by 256 bytes, and a newline takes two
TTY_LOOK_S = 0.02  # between two looks at a terminal that polls writable and takes nothing
_PIPE_SIZE = getattr(fcntl, "F_GETPIPE_SZ", None)  # Linux
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PIPE_BUF = select.PIPE_BUF  # a pipe that polls writable takes this much without blocking (POSIX)


def unblocked(terminal: int) -> int | None:
    """The same terminal, opened once more to be written to without blocking, which would hold the loop and its signals;
    None where it cannot be opened, as after `su`.

    One that polls writable may have room for a part only (Linux, with newlines that become two characters). O_NONBLOCK
    on the descriptor that we were given would be there for every program on the terminal, and stay.
    """
    try:
        return os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


class OutputStream:
    """stdout, or what is called `name`: each record is written whole and at once.

    Raises ClosedOutput when the reader has gone (EPIPE).
    """

    def __init__(self, fd: int, name: str = "stdout") -> None:
        self.fd, self._name = fd, name
        self.is_terminal = os.isatty(fd)
        self._own = unblocked(fd) if self.is_terminal else None
        self._piece_bytes = TTY_PIECE_BYTES if self.is_terminal and self._own is None else PIPE_BUF
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        mode = os.fstat(fd).st_mode
        self._is_pipe, self._is_file = stat.S_ISFIFO(mode), stat.S_ISREG(mode)

    def __del__(self) -> None:
        if self._own is not None:
            os.close(self._own)  # an agent has one for each command

    @cached_property
    def _turn(self) -> asyncio.Lock:
        return asyncio.Lock()  # records of several writers do not mix

    @property
    def columns(self) -> int:
        """How wide the terminal is; 0 when it is none, or does not tell."""
        try:
            return os.get_terminal_size(self.fd).columns
        except OSError:
            return 0

    def check(self) -> None:
        """Raise IoError when nothing can be written to it: before something is taken that would be lost."""
        if fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise IoError("stdout is closed or not open for writing", hint="send it somewhere: >FILE, or >/dev/null")

    async def write(self, text: str) -> None:
        """Write one record, newline included; a slow reader holds this coroutine back, not the loop."""
        left = data = text.encode("utf-8", "surrogateescape")
        async with self._turn:
            try:
                while left:
                    if self._takes_now() and (size := self._write(left[: self._piece_bytes])):
                        left = left[size:]
                    else:
                        loop = asyncio.get_running_loop()
                        left = left[await loop.run_in_executor(None, self._write_when_ready, left) :]
            except IoError:
                self._take_back(len(data) - len(left))
                raise

    def write_some(self, records: list[str]) -> int:
        """Write as many records as the reader takes at once, each with its newline, in few pieces that are taken whole.

        Returns how many were written; what is left is for `write`, which waits, and tells what is wrong.
        """
        written = 0
        if self._turn.locked() or not (self._is_pipe or self._is_file):
            return 0
        text = "".join(records)
        data = text.encode("utf-8", "surrogateescape")
        if len(data) <= self._room() and self._write_piece(data):
            return len(records)
        # Of ASCII the sizes are known already.
        coded = records if len(data) == len(text) else [one.encode("utf-8", "surrogateescape") for one in records]
        sizes, begin = list(map(len, coded)), 0
        while written < len(sizes):
            count, end, room = written, begin, self._room()
            while count < len(sizes) and end + sizes[count] - begin <= room:
                end += sizes[count]
                count += 1
            if count == written or (end > begin and not self._write_piece(data[begin:end])):
                break
            written, begin = count, end
        return written

    def _room(self) -> int:
        """How many bytes are taken at once, without waiting."""
        if not self._takes_now():
            return 0
        if self._is_file:
            return sys.maxsize
        if _PIPE_SIZE is None:
            return PIPE_BUF
        from termios import FIONREAD

        # A pipe is a row of pages, and what is written shares a page with what came before only where it fits: two
        # neighbours hold more than one page, but for those at the ends.
        held = int.from_bytes(fcntl.ioctl(self.fd, FIONREAD, b"\0" * 4), sys.byteorder)
        pages = fcntl.fcntl(self.fd, _PIPE_SIZE) // PAGE_BYTES - 2 * -(-held // PAGE_BYTES)
        return max(PIPE_BUF, (pages - 2 if held else pages) * PAGE_BYTES)

    def _write_piece(self, piece: bytes) -> bool:
        try:
            size = os.write(self.fd, piece)
        except OSError:
            return False  # nothing of it is written: `write` meets the same
        try:
            while size < len(piece):  # a file, and the disk is full
                size += self._write(piece[size:])
        except IoError:
            self._take_back(size)
            raise
        return True

    def _take_back(self, size: int) -> None:
        """A file keeps no half record, which would spoil the one that the next run appends to it."""
        if not self._is_file or not size:
            return
        with suppress(OSError):
            end = os.lseek(self.fd, 0, os.SEEK_CUR)
            if os.fstat(self.fd).st_size == end:  # nobody else has written there
                os.ftruncate(self.fd, end - size)
                os.lseek(self.fd, end - size, os.SEEK_SET)

    def _takes_now(self) -> bool:
        return bool(self._poll.poll(0))

    def _write_when_ready(self, data: bytes) -> int:
        # In a thread: wait a while, then come back, so that a cancelled command is not held for ever.
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        if not poll.poll(200):
            return 0
        if not (size := self._write(data[: self._piece_bytes])):
            time.sleep(TTY_LOOK_S)
        return size

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self.fd if self._own is None else self._own, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                raise ClosedOutput from error
            raise IoError(f"{self._name}: {os_reason(error)}") from error

    def on_closed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back once when the reader of a pipe or socket goes away; returns how to stop watching."""
        loop = asyncio.get_running_loop()
        mode = os.fstat(self.fd).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            return lambda: None
        # Nothing can be read from the writing end: an event there is the hang-up (POLLERR). A duplicate keeps the
        # loop's books apart when stdin and stdout are the same socket.
        watched = os.dup(self.fd)

        def stop() -> None:
            nonlocal watched
            if watched >= 0:
                loop.remove_reader(watched)
                os.close(watched)
                watched = -1

        def on_event() -> None:
            poll = select.poll()
            poll.register(self.fd, 0)
            gone = any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
            stop()
            if gone:
                callback()

        loop.add_reader(watched, on_event)
        return stop


class InputStream:
    """stdin or a file, by chunks, without a thread that nobody could stop."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_terminal = os.isatty(fd)

    async def read(self) -> bytes:
        """The next chunk, at most 256 KiB; empty at the end. Raises NoInputError for a closed stdin, IoError."""
        while True:
            await self._readable()
            try:
                return self._take()
            except BlockingIOError:
                continue  # another program has read it
            except OSError as error:
                if error.errno == errno.EIO:
                    return b""  # the terminal has gone
                if error.errno == errno.EBADF:
                    raise NoInputError(
                        "stdin is closed or not open for reading", hint="give it something: <FILE, or </dev/null"
                    ) from error
                raise IoError(f"input: {os_reason(error)}") from error

    def _take(self) -> bytes:
        return os.read(self.fd, CHUNK_BYTES)

    @property
    def is_ready(self) -> bool:
        """Is there something to read at once?"""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self.fd, ready.set)
        except PermissionError:
            return  # a regular file: never has to be waited for
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self.fd)

    async def read_all(self, limit_bytes: int, what: str = "the input") -> bytes:
        """Everything up to the end; raises DataError past `limit_bytes`."""
        data = bytearray()
        while chunk := await self.read():
            data += chunk
            if len(data) > limit_bytes:
                raise DataError(f"{what} is longer than {limit_bytes} bytes")
        return bytes(data)


async def writable(fd: int) -> None:
    """Wait until a descriptor that does not block may have room."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(fd)
