"""A stage: an account, a roster contact of it that watches, and the programs that are online for the account."""

import asyncio
import contextlib
import math
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from support.contact import Contact
from support.namespaces import Machine, Network
from support.program import COMMAND, Outcome, Program, as_a_shell_sees_it
from support.servers import Account, Server
from support.terminal import Terminal

from ghosts.processes import MARK, kill_all, until_none
from ghosts.result import FILES, INBOUND, PROCESSES, Goal, Round

ONLINE_WITHIN_S = 20.0
ENDED_WITHIN_S = 10.0  # the guard waits for acks, then for the server's close
INBOUND_MESSAGES = 5
REPORTED_CHARACTERS = 2_000


class Stage:
    """What one round has to itself; made by `staged`."""

    def __init__(
        self, server: Server, folder: Path, account: Account, contact: Contact, network: Network | None
    ) -> None:
        self.server, self.folder, self.account, self.contact, self.network = server, folder, account, contact, network
        self.mark = secrets.token_hex(8)
        self.rounds: list[Round] = []
        self.resources = AsyncExitStack()
        self.screens: list[Terminal] = []

    @property
    def jid(self) -> str:
        """The account's bare JID."""
        return self.account.jid

    @property
    def friend(self) -> str:
        """The contact's bare JID."""
        return str(self.contact.client.boundjid.bare)

    def program(self, machine: Machine = "client") -> Program:
        """xmppsh on a machine: each has a home of its own."""
        home = self.folder / machine
        home.mkdir(parents=True, exist_ok=True)
        program = Program(home, self.server, self.account)
        program.env[MARK] = self.mark
        return program

    def on(self, machine: Machine, *command: str) -> list[str]:
        """A command line that runs there; without a network every machine is this one."""
        return list(command) if self.network is None else self.network.command(machine, *command)

    async def run(self, *arguments: str) -> Outcome:
        """Run xmppsh on the client to its end."""
        process = await asyncio.create_subprocess_exec(
            *self.on("client", *COMMAND, *arguments), env=self.program().env, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        stdout, stderr = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return Outcome(as_a_shell_sees_it(process.returncode), stdout.decode(), stderr.decode())

    async def online(self, since: float = 0.0, within_s: float = ONLINE_WITHIN_S) -> str:
        """Wait until the contact sees the account; the full JID."""
        return (await self.contact.wait_for_presence(self.jid, "available", within_s, since)).sender

    async def gone(self, full_jid: str, since: float, within_s: float) -> float:
        """Seconds from `since` (monotonic) until the contact has `unavailable`; math.inf: it never came."""
        left_s = since + within_s - time.monotonic()
        try:
            seen = await self.contact.wait_for_presence(
                self.jid, "unavailable", max(0.0, left_s), since, sender=full_jid
            )
        except TimeoutError:
            return math.inf
        return seen.at - since

    def went(self, full_jid: str) -> bool:
        """Has the contact ever seen `unavailable` from there?"""
        return any(one.sender == full_jid and one.type == "unavailable" for one in self.contact.presence)

    async def send_inbound(self, full_jid: str) -> list[str]:
        """Send messages to a program that cannot acknowledge them; returns their bodies."""
        bodies = [f"inbound {number} {secrets.token_hex(4)}" for number in range(INBOUND_MESSAGES)]
        for number, body in enumerate(bodies):
            await self.contact.send(self.jid if number % 2 else full_jid, body)
        await self.contact.settle()
        return bodies

    async def check_inbound(self, shown: Round, bodies: list[str]) -> None:
        """An independent client logs in: it gets each of these messages once."""
        async with Contact(self.server, self.account) as next_client:
            with contextlib.suppress(TimeoutError):
                await next_client.wait_for_messages(len(bodies))
            await next_client.settle()
            got = [message.body for message in next_client.messages if message.body.startswith("inbound")]
        shown.count(INBOUND, sum(got.count(body) == 1 for body in bodies), len(bodies), f"it got {got}")

    async def check_nothing_left(self, shown: Round, *machines: Machine) -> None:
        """No process, lock file, socket or session row stays behind."""
        processes = await until_none(self.mark, ENDED_WITHIN_S)
        shown.count(PROCESSES, len(processes), 0, ", ".join(f"{one.name} {one.pid}" for one in processes))
        files = [file for machine in machines or ("client",) for file in self.left_files(machine)]
        shown.count(FILES, len(files), 0, ", ".join(files))

    def left_files(self, machine: Machine) -> list[str]:
        """Lock files, sockets and FIFOs in the home, and the session rows of its outboxes."""
        home = self.folder / machine
        found = [str(path.relative_to(home)) for path in home.rglob("*") if _is_leftover(path)]
        for path in (home / "xmppsh" / "outbox").glob("*.sqlite"):
            with contextlib.closing(sqlite3.connect(path)) as database:
                found += [f"session {row}" for row in database.execute("SELECT full_jid, sm_id FROM session")]
        return found

    def words(self) -> str:
        """What the programs and the server wrote last, for whoever has to find out why."""
        texts = {path.name: path.read_text(errors="replace") for path in sorted(self.folder.glob("*.std*"))}
        texts |= {f"screen {number}": "\n".join(screen.history) for number, screen in enumerate(self.screens)}
        texts |= {self.server.name: self.server.log()}
        return "\n".join(f"--- {name}\n{text[-REPORTED_CHARACTERS:]}" for name, text in texts.items() if text)

    def shows(self, fault: str, program: str, goal: Goal | None = None, watch_s: float = 0.0) -> Round:
        """A round of this stage."""
        kept_s = self.server.options.resume_timeout_s
        self.rounds.append(Round(self.server.name, fault, program, kept_s, watch_s=watch_s, goal=goal))
        return self.rounds[-1]


@asynccontextmanager
async def staged(server: Server, folder: Path, network: Network | None = None) -> AsyncIterator[Stage]:
    """A fresh account and its contact; at the end every process of the stage is killed."""
    folder.mkdir(parents=True)
    account, friend = await asyncio.to_thread(server.account), await asyncio.to_thread(server.account)
    await asyncio.to_thread(server.befriend, account, friend)
    async with Contact(server, friend) as contact:
        stage = Stage(server, folder, account, contact, network)
        try:
            yield stage
        except Exception as error:
            error.add_note(stage.words())
            raise
        finally:
            for shown in stage.rounds:
                shown.report = stage.words()
            await stage.resources.aclose()
            kill_all(stage.mark)


def _is_leftover(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        mode = os.lstat(path).st_mode
        return path.suffix == ".lock" or stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)
    return False
