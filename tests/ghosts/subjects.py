"""The programs that are measured: each comes online for a stage's account, and can be ended in several ways."""

import asyncio
import json
import os
import signal
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from support.namespaces import Machine
from support.program import COMMAND, as_a_shell_sees_it
from support.terminal import CTRL_D, Terminal

from ghosts.stage import Stage
from ghosts.waiting import until

NAIVE = Path(__file__).with_name("naive.py")
ENDED_WITHIN_S = 20.0
TOLD_WITHIN_S = 45.0  # a session looks for a witness every 30 s


class Subject(ABC):
    """A program; `online` starts it."""

    name: ClassVar[str]

    def __init__(self, stage: Stage, *, machine: Machine = "client", env: dict[str, str] | None = None) -> None:
        self.stage, self.machine = stage, machine
        self.env = stage.program(machine).env | (env or {})
        self.full_jid = ""

    @classmethod
    async def online(
        cls, stage: Stage, *, machine: Machine = "client", env: dict[str, str] | None = None, since: float = 0.0
    ) -> Self:
        """Start one and wait until the contact sees it."""
        subject = cls(stage, machine=machine, env=env)
        await subject.start()
        seen, end = asyncio.ensure_future(stage.online(since)), asyncio.ensure_future(subject.ended(None))
        try:
            await asyncio.wait([seen, end], return_when=asyncio.FIRST_COMPLETED)
            if not seen.done():
                raise AssertionError(f"{cls.name} ended with {end.result()} before it was online")
            subject.full_jid = seen.result()
            await subject.is_up()
        finally:
            seen.cancel()
            end.cancel()
            await asyncio.gather(seen, end, return_exceptions=True)
        return subject

    @abstractmethod
    async def start(self) -> None:
        """Start the process."""

    async def is_up(self) -> None:  # noqa: B027 - most have nothing to wait for
        """Wait until it says that it is online, too."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """Its process id."""

    @abstractmethod
    def end_input(self) -> None:
        """End its standard input."""

    @abstractmethod
    async def ended(self, within_s: float | None = ENDED_WITHIN_S) -> int:
        """Wait for its end; the exit code. Raises TimeoutError."""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)


class Child(Subject):
    """A program on pipes and files; its outputs go to files, so that no child of it can hold a pipe open."""

    file: ClassVar[str]

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """Its command line."""

    async def start(self) -> None:
        with self.path("stdout").open("ab") as stdout, self.path("stderr").open("ab") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *self.stage.on(self.machine, *self.command), env=self.env, start_new_session=True,
                stdin=asyncio.subprocess.PIPE, stdout=stdout, stderr=stderr,
            )  # fmt: skip

    def path(self, stream: str) -> Path:
        """Where that output goes."""
        return self.stage.folder / f"{self.file}.{stream}"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def input(self) -> asyncio.StreamWriter:
        """Its standard input."""
        assert self.process.stdin is not None
        return self.process.stdin

    def end_input(self) -> None:
        self.input.close()

    async def ended(self, within_s: float | None = ENDED_WITHIN_S) -> int:
        return as_a_shell_sees_it(await asyncio.wait_for(self.process.wait(), within_s))

    async def printed(self, text: str, within_s: float, stream: str = "stdout") -> None:
        """Wait until the text is in its output. Raises AssertionError."""
        if not await until(lambda: text in self.path(stream).read_text(errors="replace"), within_s):
            raise AssertionError(f"{self.name} did not print {text!r} within {within_s:g} s")


class Listen(Child):
    """`xmppsh listen`."""

    name, file = "xmppsh listen", "listen"

    @property
    def command(self) -> list[str]:
        return [*COMMAND, "-v", "--format", "json", "listen"]

    async def is_up(self) -> None:
        await self.printed("listening as", TOLD_WITHIN_S, "stderr")


class Unguarded(Listen):
    """`xmppsh listen` without its guard: what the guard is for."""

    name, file = "xmppsh listen --no-guard", "unguarded"

    @property
    def command(self) -> list[str]:
        return [*super().command, "--no-guard"]


class Pipe(Child):
    """`xmppsh pipe`, online by the first stanza of its input."""

    name, file = "xmppsh pipe", "pipe"

    @property
    def command(self) -> list[str]:
        return [*COMMAND, "-v", "--format", "json", "pipe"]

    async def start(self) -> None:
        await super().start()
        self.input.write(b"<presence/>\n")
        await self.input.drain()


class Witness(Child):
    """`xmppsh witness` at its default settings."""

    name, file = "xmppsh witness", "witness"

    @property
    def command(self) -> list[str]:
        return [*COMMAND, "-v", "--format", "json", "witness"]

    async def tells(self, event: str, full_jid: str | None = None) -> None:
        """Wait until its log has this event, of this session. Raises AssertionError."""
        if not await until(lambda: self.told(event, full_jid), TOLD_WITHIN_S):
            raise AssertionError(f"the witness does not tell of {event}, {full_jid}")

    def told(self, event: str, full_jid: str | None = None) -> bool:
        """Does its log have this event, of this session?"""
        records = [json.loads(line) for line in self.path("stdout").read_text().splitlines()]
        return any(one["event"] == event and full_jid in (None, one["jid"]) for one in records)


class Naive(Child):
    """slixmpp with XEP-0198 as one would write it."""

    name, file, resume = "slixmpp script, SM with resume", "naive", True

    @property
    def command(self) -> list[str]:
        server, account = self.stage.server, self.stage.account
        self.env["NAIVE_PASSWORD"] = account.password
        address = [server.host, str(server.port), str(server.ca)]
        return [sys.executable, str(NAIVE), account.jid, *address, "yes" if self.resume else "no"]


class NaiveUnresumable(Naive):
    """The same, which asks for acknowledgements alone."""

    name, file, resume = "slixmpp script, SM without resume", "unresumable", False


class GoSendxmpp(Child):
    """go-sendxmpp listening."""

    name, file = "go-sendxmpp --listen", "go-sendxmpp"

    @property
    def command(self) -> list[str]:
        server, account = self.stage.server, self.stage.account
        self.env["SSL_CERT_FILE"] = str(server.ca)
        address = f"{server.host}:{server.port}"
        return ["go-sendxmpp", "--listen", "-u", account.jid, "-p", account.password, "-j", address]


class Connect(Subject):
    """`xmppsh connect` in a terminal."""

    name = "xmppsh connect"

    async def start(self) -> None:
        program = self.stage.program(self.machine)
        program.env = self.env
        self.terminal = await self.stage.resources.enter_async_context(Terminal(program, "connect"))
        self.stage.screens.append(self.terminal)

    @property
    def pid(self) -> int:
        return self.terminal.pid

    def end_input(self) -> None:
        self.terminal.type(CTRL_D)

    def hang_up(self) -> None:
        """Take the terminal away."""
        self.terminal.hang_up()

    async def ended(self, within_s: float | None = ENDED_WITHIN_S) -> int:
        return await asyncio.wait_for(self.terminal.ended(), within_s)


PROGRAMS: tuple[type[Subject], ...] = (Listen, Connect, Pipe)
PEERS: tuple[type[Child], ...] = (Unguarded, Naive, NaiveUnresumable, GoSendxmpp)
