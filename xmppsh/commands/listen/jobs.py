"""`listen --exec`: a program for each record. What it has not taken stays in the inbox, and comes again."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.errors import DataError, ExitCode, NoInputError, UsageError, XmppshError
from xmppsh.output.ndjson import dumps
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from xmppsh.app.console import Console
    from xmppsh.output.records import StanzaRecord

TAKEN, NOT_TAKEN = 0, 75
MAX_VARIABLE_BYTES = 64 * 1024
MAX_REPLY_BYTES = 128 * 1024
LAST_S = 5.0  # for the programs that still run at the end
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0
# What may be secret, or tells where secrets are.
HIDDEN = ("XMPPSH_", "CREDENTIALS_DIRECTORY", "NETRC")


class NotTaken(XmppshError):
    """The end has come before the program has taken every record."""

    exit_code = ExitCode.TEMPFAIL
    layer = "io"
    default_hint = "the next run has them first"


def words_of(command: str) -> list[str]:
    """The words of CMD, split as sh does; raises UsageError."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--exec: {str(error).lower()}", hint="close the quote") from None
    if not words:
        raise UsageError("--exec names no program")
    return words


class Jobs:
    """At most `most` programs at a time. reply: sends what a program prints back to who wrote; None: nobody does."""

    def __init__(self, console: Console, command: list[str], most: int) -> None:
        self.reply: Callable[[StanzaRecord, str], Awaitable[None]] | None = None
        self._console, self._command = console, command
        self._free = asyncio.Semaphore(most)
        self._running: dict[asyncio.Task[None], asyncio.subprocess.Process | None] = {}
        self._resting: set[asyncio.Task[None]] = set()  # until a record that was not taken is tried again
        self._is_ending = False  # the programs are stopped: their ends tell nothing
        self._left = 0  # how many were not taken when `join` was done
        self._error: Exception | None = None

    async def start(self, record: StanzaRecord, done: Callable[[], None]) -> asyncio.Task[None]:
        """Run the program for a record as soon as there is room; `done` is called when it has taken the record.

        The task ends then, or when the program cannot be run, which the next call and `join` raise.
        """
        await self._free.acquire()
        if self._error is not None:
            raise self._error
        task = asyncio.ensure_future(self._deal_with(record, done))
        self._running[task] = None
        task.add_done_callback(self._running.pop)
        return task

    async def _deal_with(self, record: StanzaRecord, done: Callable[[], None]) -> None:
        """Run the program until it takes the record; while it waits to be run again others have its room."""
        retry_s, has_room = FIRST_RETRY_S, True
        task = asyncio.current_task()
        assert task is not None
        try:
            while (code := await self._run(record)) == NOT_TAKEN and not self._is_ending:
                self._console.log(1, f"{self._command[0]} has not taken a record; again in {retry_s:.0f} s")
                self._free.release()
                has_room = False
                self._resting.add(task)
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
                await self._free.acquire()
                has_room = True
                self._resting.discard(task)
            if self._is_ending and code != TAKEN:
                self._tell_stopped()
                return
            if code != TAKEN:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
                self._console.warn(f"{self._command[0]} {how}; its record counts as taken")
            done()
        except NoInputError as error:
            self._error = error
        except asyncio.CancelledError:
            if task not in self._resting:
                self._tell_stopped()
            raise
        finally:
            self._resting.discard(task)
            if has_room:
                self._free.release()

    def _tell_stopped(self) -> None:
        self._console.warn(f"{self._command[0]} was stopped, and has not taken its record: the next run has it")

    async def _run(self, record: StanzaRecord) -> int:
        pipe = asyncio.subprocess.PIPE
        stdout = pipe if self.reply is not None else None
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=pipe,
                stdout=stdout,
                env=environment(self._console.env, record),
                process_group=0,
                umask=self._console.umask,
            )
        except OSError as error:
            raise NoInputError(f"--exec: {self._command[0]}: {os_reason(error)}") from error
        task = asyncio.current_task()
        assert task is not None
        self._running[task] = process
        try:
            printed, _ = await asyncio.gather(
                _printed(process.stdout), _give(process.stdin, (dumps(record.data()) + "\n").encode())
            )
            await process.wait()
        finally:
            self._running[task] = None
        code = process.returncode if process.returncode is not None else NOT_TAKEN
        if len(printed) > MAX_REPLY_BYTES:
            self._console.warn(f"{self._command[0]}: its reply is cut after {MAX_REPLY_BYTES} bytes")
        if self.reply is not None and code == TAKEN and (text := _text(printed)):
            try:
                await self.reply(record, text)
            except DataError as error:  # too long, or with what XML cannot carry
                self._console.warn(f"{self._command[0]}: its reply is not sent: {error}")
        return code

    async def join(self) -> None:
        """Wait for the programs that run; what was not taken is left. Raises why the program cannot be run."""
        while busy := set(self._running) - self._resting:
            await asyncio.wait(busy, timeout=LAST_S)
        self._left = len(self._resting)
        if self._error is not None:
            raise self._error

    def judge(self) -> None:
        """Raise NotTaken for what was left: it must not look as if all had been dealt with."""
        if self._left:
            what = "1 record, which stays" if self._left == 1 else f"{self._left} records, which stay"
            raise NotTaken(f"{self._command[0]} has not taken {what} stored")

    async def end(self) -> None:
        """Give the programs that run a moment, then end them, with their children."""
        self._is_ending = True
        tasks = set(self._running)
        running = {task: process for task, process in self._running.items() if process is not None}
        for process in running.values():
            _kill(process, signal.SIGTERM)
        if running:
            await asyncio.wait(running, timeout=LAST_S)
        for process in running.values():
            _kill(process, signal.SIGKILL)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _give(stdin: asyncio.StreamWriter | None, data: bytes) -> None:
    """Write it all, or what the program reads of it."""
    assert stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(data)
        await stdin.drain()
    stdin.close()


async def _printed(stdout: asyncio.StreamReader | None) -> bytes:
    """What the program prints, up to one byte more than a reply may have: the rest is read, and dropped."""
    kept = b""
    while stdout is not None and (chunk := await stdout.read(MAX_REPLY_BYTES)):
        kept += chunk[: MAX_REPLY_BYTES + 1 - len(kept)]
    return kept


def _kill(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def environment(env: Mapping[str, str], record: StanzaRecord) -> dict[str, str]:
    """What the program finds in its environment: no secrets, and of a text no more than the system takes.

    Linux runs no program with a variable of 128 KiB: whoever may write to us could otherwise end us, and every start
    after it, since what was not taken is read again.
    """
    kept = {name: value for name, value in env.items() if not name.startswith(HIDDEN)}
    data = record.data()
    facts = {name.upper(): str(data.get(name) or "") for name in ("from", "to", "type", "body", "id")}
    cut = {name: value.replace("\0", "").encode()[:MAX_VARIABLE_BYTES] for name, value in facts.items()}
    return kept | {f"XMPPSH_{name}": value.decode("utf-8", "ignore") for name, value in cut.items()}


def _text(output: bytes) -> str:
    return output[:MAX_REPLY_BYTES].decode("utf-8", "replace").strip("\n")
