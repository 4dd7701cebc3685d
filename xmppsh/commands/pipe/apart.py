"""Long input is checked in a process of its own, while this one stores and sends what has been checked.

The process is xmlio/apart.py. It gets the input by chunks, through a pipe that holds some of them, and gives back what
`PlainReader` would give, in the same order: neither waits for the other, and what is under way is bounded by the two
pipes. It ends with this one, whatever ends it, since its stdin does.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import xmppsh
from xmppsh.errors import IoError, XmppshError
from xmppsh.output.streams import InputStream, writable
from xmppsh.tasks import running
from xmppsh.xmlio.apart import ANSWER, FEED, LAST, RELEASE, answered, made_of, request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from xmppsh.xmlio.apart import Read
    from xmppsh.xmlio.reader import Place
    from xmppsh.xmlio.splitter import Limits

PIPE_BYTES = 1024 * 1024  # as much as Linux gives to a user's pipe; some chunks of the input
# What a Python may need to find its libraries; nothing else of our environment is its business.
INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from xmppsh.xmlio.apart import main; main()"


class Apart:
    """The process; `close` ends it. answers: becomes ready when it is up."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._child = child
        self._requests = child.stdin.fileno()
        os.set_blocking(self._requests, False)
        os.set_blocking(child.stdout.fileno(), False)
        self.answers = InputStream(child.stdout.fileno())
        self._data = bytearray()  # of answers
        self._asked: asyncio.Queue[bytes | XmppshError] = asyncio.Queue()

    @classmethod
    def start(cls) -> Apart | None:
        """Start it; None where the system has no room for another process."""
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(Path(xmppsh.__file__).parent.parent)]
        env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        both = subprocess.PIPE
        try:
            child = subprocess.Popen(
                command, env=env, stdin=both, stdout=both, bufsize=0, pipesize=PIPE_BYTES, process_group=0
            )
        except OSError:
            return None
        return cls(child)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.pid

    async def is_up(self) -> bool:
        """Has it begun to work?"""
        return self.answers.is_ready and await self._answer() is not None

    def close(self) -> None:
        """End it. It holds nothing that would have to be saved."""
        self._child.kill()
        with self._child:  # waits for it, and closes the pipes
            pass

    async def read(
        self, source: InputStream, limits: Limits, root: str | None, head: bytes, place: Place
    ) -> AsyncGenerator[Read]:
        """All that is left of the input: `head`, which begins at `place`, and what comes after it."""
        await self._ask(b"S", made_of(limits, root, place))
        async with running(self._feed(source, head)):
            asked: bytes | XmppshError = FEED
            while asked != LAST:
                asked = await self._asked.get()
                if isinstance(asked, XmppshError):
                    raise asked
                found = await self._answer()
                if found is None:
                    raise IoError(
                        "the process that checks the input has ended", hint="was it killed, or out of memory?"
                    )
                yield found

    async def _feed(self, source: InputStream, chunk: bytes) -> None:
        kind = FEED
        try:
            while kind != LAST:
                if not chunk:
                    if not source.is_ready:
                        await self._ask(RELEASE)
                    chunk = await source.read()
                kind = FEED if chunk else LAST
                await self._ask(kind, chunk)
                chunk = b""
        except XmppshError as error:  # told after the answers to what came before it
            self._asked.put_nowait(error)

    async def _ask(self, kind: bytes, data: bytes = b"") -> None:
        for piece in request(kind, data):
            await self._write(piece)
        if kind in (FEED, LAST, RELEASE):
            self._asked.put_nowait(kind)

    async def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._requests, left) :]
            except BlockingIOError:
                await writable(self._requests)
            except BrokenPipeError:
                return  # the end of its answers tells it

    async def _answer(self) -> Read | None:
        """The next answer; None at the end."""
        size = ANSWER.size
        while len(self._data) < size or len(self._data) < size + ANSWER.unpack_from(self._data)[0]:
            data = await self.answers.read()
            if not data:
                return None
            self._data += data
        end = size + ANSWER.unpack_from(self._data)[0]
        found = answered(bytes(self._data[size:end]))
        del self._data[:end]
        return found
