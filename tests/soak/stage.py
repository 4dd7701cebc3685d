"""A stage: the real program behind a chaos proxy, and an independent receiver that is connected directly."""

import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.chaos import ChaosProxy
from support.contact import Contact
from support.program import Program, as_a_shell_sees_it
from support.servers import Server

from soak.result import Count, Result, count

REPORTED_CHARACTERS = 4_000
MARKER_TIMEOUT_S = 60.0  # behind a long backlog
LONGEST_PADDING = 150


@dataclass(frozen=True)
class Ending:
    """How one run of the program ended; code None: killed at its deadline."""

    code: int | None
    seconds: float
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The counts that `pipe --format json` prints last; empty when it did not."""
        for line in reversed(self.stdout.splitlines()):
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and "acked" in record:
                    return record
        return {}


@dataclass
class Running:
    """A program on its way; its outputs go to files, so that no child of it can hold a pipe open."""

    process: asyncio.subprocess.Process
    folder: Path
    started: float = field(default_factory=time.monotonic)

    async def end(self, deadline_s: float) -> Ending:
        """Wait for the end; at the deadline the whole process group is killed."""
        code: int | None
        try:
            code = as_a_shell_sees_it(await asyncio.wait_for(self.process.wait(), deadline_s))
        except TimeoutError:
            await self.kill()
            code = None
        seconds = time.monotonic() - self.started
        stdout, stderr = ((self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        return Ending(code, seconds, stdout, stderr)

    async def kill(self) -> None:
        """SIGKILL to the process group, as a crash of all of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()


class Stage:
    """One sender's way to a receiver; made by `staged`."""

    def __init__(self, server: Server, folder: Path, proxy: ChaosProxy, contact: Contact) -> None:
        self.server, self.folder, self.proxy, self.contact = server, folder, proxy, contact
        folder.mkdir(parents=True, exist_ok=True)
        self.sender = server.account()
        self.program = Program(folder, server, self.sender)
        self.program.env["XMPPSH_HOST"] = f"127.0.0.1:{proxy.port}"

    def write_input(self, messages: int, seed: int) -> Path:
        """The stanzas to pipe: bodies begin with their number, lengths are drawn from the seed."""
        source = random.Random(seed)
        path = self.folder / "stanzas.xml"
        with path.open("w") as file:
            for number in range(messages):
                file.write(message(self.contact.client.boundjid.bare, number, source.randrange(LONGEST_PADDING)))
        return path

    async def start(self, stanzas: Path, *arguments: str) -> Running:
        """Start `pipe` on that input."""
        with (
            stanzas.open("rb") as stdin,
            (self.folder / "stdout").open("wb") as stdout,
            (self.folder / "stderr").open("ab") as stderr,
        ):
            process = await self.program.start(
                "-v", "--format", "json", "pipe", *arguments, stdin=stdin, stdout=stdout, stderr=stderr
            )
        return Running(process, self.folder)

    async def pipe(self, stanzas: Path, *arguments: str, deadline_s: float) -> Ending:
        """Run `pipe` on that input to its end."""
        return await (await self.start(stanzas, *arguments)).end(deadline_s)

    def count(self, messages: int) -> Count:
        """What the receiver got from this sender so far."""
        return count(numbers(self.contact, self.sender.jid), messages)

    def result(self, scenario: str, seed: int, messages: int, ending: Ending, note: str = "") -> Result:
        """What this run showed; ask for it when everything has settled."""
        if ending.code != 0 and ending.summary:
            said = "it says " + ", ".join(f"{key} {ending.summary.get(key)}" for key in ("sent", "acked", "failed"))
            note = f"{note}; {said}" if note else said
        counted = self.count(messages)
        report = f"{self.proxy.report()}\nprogram: {ending.summary}\n{ending.stderr[-REPORTED_CHARACTERS:]}"
        name, links = self.server.name, self.proxy.connections
        made = Result(name, scenario, seed, messages, counted, ending.seconds, links, ending.code, note, report=report)
        made.acked = ending.summary.get("acked", 0)
        return made


@asynccontextmanager
async def staged(server: Server, folder: Path, contact: Contact | None = None) -> AsyncIterator[Stage]:
    """A sender of its own behind a proxy of its own; and a receiver, unless one is there."""
    async with AsyncExitStack() as stack:
        if contact is None:
            contact = await stack.enter_async_context(Contact(server, server.account()))
        proxy = await stack.enter_async_context(ChaosProxy(server.host, server.port))
        yield Stage(server, folder, proxy, contact)


def message(to: str, number: int, padding: int) -> str:
    """One numbered message, on a line of its own."""
    return f"<message to='{to}' type='chat'><body>{number} {'x' * padding}</body></message>\n"


def numbers(contact: Contact, sender_bare: str) -> list[int]:
    """The numbers that came from this sender, in the order of arrival."""
    return [int(one.body.split(" ")[0]) for one in contact.messages if one.sender.partition("/")[0] == sender_bare]


async def settle(server: Server, contact: Contact, quiet_s: float) -> None:
    """Wait until nothing more will come: a third account's message is there, and then nothing for `quiet_s`.

    The silence is for what the marker does not follow: a session without a client that still routes its backlog.
    """
    marker = f"end {secrets.token_hex(8)}"
    async with Contact(server, server.account()) as postman:
        await postman.send(contact.jid, marker)
        await contact.wait_for_message(lambda one: one.body == marker, MARKER_TIMEOUT_S)
    with contextlib.suppress(TimeoutError):
        while True:
            await contact.wait_for_messages(len(contact.messages) + 1, quiet_s)
