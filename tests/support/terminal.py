"""The shell in a real terminal: a pty, a screen to look at, keys to type, and a contact that watches."""

import asyncio
import fcntl
import os
import select
import signal
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

from support.contact import Contact
from support.program import COMMAND, Program, as_a_shell_sees_it
from support.servers import Account, Server
from support.until import DEADLINE_S

GONE_WITHIN_S = 5.0  # on a busy machine; a server alone takes more than a minute. `make ghosts` measures the promise
COLUMNS, ROWS = 150, 30
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """xmppsh, or another program, on a pty, and what its screen shows."""

    def __init__(
        self,
        program: Program,
        *arguments: str,
        ignore_sighup: bool = False,
        history: int = 1000,
        size: tuple[int, int] = (COLUMNS, ROWS),
        term: str = "xterm-256color",
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self._size, self._command = size, command
        self._arguments, self._ignore_sighup = arguments, ignore_sighup
        self._env = {**program.env, "TERM": term}
        self.screen = pyte.HistoryScreen(*size, history=history)
        self._stream = pyte.ByteStream(self.screen)
        self._changed = asyncio.Event()
        self.written = b""

    async def __aenter__(self) -> Self:
        self._master, self._slave = os.openpty()
        termios.tcsetwinsize(self._slave, self._size[::-1])
        self._modes = self._line_modes()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            *self._arguments,
            env=self._env,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=self._in_child,
        )
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self._waiter = asyncio.ensure_future(self._process.wait())
        self._waiter.add_done_callback(lambda _: self._changed.set())
        return self

    def _in_child(self) -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal's Ctrl-C and hang-up are ours
        if self._ignore_sighup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._waiter.done():
            self._process.kill()
        await self._waiter
        self.hang_up()
        os.close(self._slave)

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    @property
    def lines(self) -> list[str]:
        """The screen's lines that are not empty."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def history(self) -> list[str]:
        """Every line that is or was on the screen."""
        above = ["".join(row[x].data for x in range(self._size[0])).rstrip() for row in self.screen.history.top]
        return above + self.lines

    @property
    def line(self) -> str:
        """The line with the cursor, up to it: what is suggested stands behind it."""
        row, end = self.screen.buffer[self.screen.cursor.y], self.screen.cursor.x
        return "".join(row[x].data for x in range(end)).rstrip()

    def line_above(self, line: str) -> str:
        """The one above a line of the screen, without what is empty."""
        return self.lines[self.lines.index(line) - 1]

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    async def enter(self, text: str) -> None:
        """Type a line when the prompt is there."""
        self.type(text)
        await self.until(lambda: self.line.endswith(text[-10:].rstrip()), f"the line {text!r}")
        self.type("\r")

    async def prompt(self, jid: str = "(nobody)") -> None:
        """Wait for an empty prompt with this target, by its short name."""
        name = jid.partition("@")[0]
        await self.until(lambda: self.line == f"{name}>", f"the prompt {name}>")

    async def shows(self, text: str) -> str:
        """Wait for a line that holds this text."""
        await self.until(lambda: any(text in line for line in self.lines), repr(text))
        return next(line for line in self.lines if text in line)

    async def changed(self) -> None:
        """Wait until the program has written something."""
        self._changed.clear()
        await self._changed.wait()

    async def until(self, happened: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until the screen is as wanted."""
        try:
            async with asyncio.timeout(deadline_s):
                while not happened():
                    assert not self._waiter.done(), f"the program ended before {what}:\n" + "\n".join(self.lines)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"the screen never had {what}:\n" + "\n".join(self.lines)) from None

    async def exit_code(self) -> int:
        """Wait for the end; no traceback may ever show, and the terminal is as it was."""
        async with asyncio.timeout(DEADLINE_S):
            code = as_a_shell_sees_it(await asyncio.shield(self._waiter))
        while select.select([self._master], [], [], 0)[0]:
            self._read()
        assert not any(fault in self.written for fault in (b"Traceback", b"internal error"))
        assert self._line_modes() == self._modes
        return code

    async def ended(self) -> int:
        """Wait for the end of a program that has no terminal any more."""
        async with asyncio.timeout(DEADLINE_S):
            return as_a_shell_sees_it(await asyncio.shield(self._waiter))

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._size = (columns, rows)
        self.screen.resize(rows, columns)
        termios.tcsetwinsize(self._master, (rows, columns))

    def stop_reading(self) -> None:
        """Look at the screen no more: the terminal fills up."""
        asyncio.get_running_loop().remove_reader(self._master)

    def hang_up(self) -> None:
        """Take the terminal away."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1

    def _line_modes(self) -> int:
        flags: int = termios.tcgetattr(self._slave)[3]
        return flags & (termios.ECHO | termios.ICANON | termios.ISIG)

    def _read(self) -> None:
        data = os.read(self._master, 65536)
        self.written += data
        self._stream.feed(data)
        self._changed.set()


class Stage:
    """A shell at its prompt, and a contact of its account that watches."""

    def __init__(self, shell: Terminal, contact: Contact, account: Account, friend: Account) -> None:
        self.shell, self.contact, self.jid, self.friend = shell, contact, account.jid, friend.jid

    async def target(self) -> None:
        """Choose the contact as whom to write to."""
        await self.shell.enter(f"/to {self.friend}")
        await self.shell.prompt(self.friend)

    async def is_alive(self) -> None:
        """The shell answers."""
        await self.shell.enter("/ping")
        await self.shell.shows("pong from")

    async def gone_since(self, moment: float) -> None:
        """The contact sees `unavailable` right after `moment` (monotonic)."""
        presence = await self.contact.wait_for_presence(self.jid, "unavailable", since=moment)
        assert presence.at - moment < GONE_WITHIN_S


@asynccontextmanager
async def people(server: Server, tmp_path: Path) -> AsyncIterator[tuple[Program, Contact, Account, Account]]:
    account, friend = server.account(), server.account()
    server.befriend(account, friend)
    async with Contact(server, friend) as contact:
        yield Program(tmp_path, server, account), contact, account, friend


@asynccontextmanager
async def at_prompt(server: Server, tmp_path: Path, *, ignore_sighup: bool = False) -> AsyncIterator[Stage]:
    async with (
        people(server, tmp_path) as (program, contact, account, friend),
        Terminal(program, "connect", ignore_sighup=ignore_sighup) as shell,
    ):
        await shell.prompt()
        await contact.wait_for_presence(account.jid, "available")
        yield Stage(shell, contact, account, friend)
