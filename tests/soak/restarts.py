"""`listen` is ended again and again, by one signal or another, while a peer writes to it; then it is run once more.

Nothing is lost: each message was printed by one of the runs, came back to its sender, or was another client's. A signal
that ends it cleanly makes no doubles; kill -9 may, of the last ones that the killed run had printed. What is out of
order is counted and not forbidden: a server that delivers its store mixes what arrives meanwhile into it.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

from support.contact import Contact
from support.program import Program, as_a_shell_sees_it
from support.servers import Account, Server

from soak.fire import SETTLE_S, Fire, numbers
from soak.result import Count, Result, count

RESTARTS = 20
LONGEST_RUN_S = 1.5
QUIET_S, MAX_LAST_RUNS = 10, 20
READY_S, END_S = 90.0, 60.0
BODY_ONLY = ("-F", "%b")
MAX_AGAIN = 100  # of what a killed run had printed last: docs/sessions.md


@dataclass(frozen=True)
class Way:
    """How the runs end, and to whom the peer writes.

    signals: of which each run gets one; guard: it is killed, too. bare: the peer writes to the account and not to the
    very client; beside: another client of the account is online.
    """

    name: str
    signals: tuple[Signals, ...]
    guard: bool = False
    bare: bool = False
    beside: bool = False

    @property
    def codes(self) -> set[int]:
        """How the runs may end; the last one ends by itself."""
        return {0, *(128 + one for one in self.signals)}

    @property
    def is_clean(self) -> bool:
        """Is every end a clean one?"""
        return SIGKILL not in self.signals


CLEAN = Way("TERM", (SIGTERM,))
WAYS = (
    CLEAN,
    Way("TERM INT KILL", (SIGTERM, SIGINT, SIGKILL)),
    Way("TERM INT, account", (SIGTERM, SIGINT), bare=True),
    Way("TERM, beside", (SIGTERM,), beside=True),
    Way("KILL, beside", (SIGKILL,), beside=True),
    Way("KILL, account", (SIGKILL,), bare=True),
    Way("KILL, account, beside", (SIGKILL,), bare=True, beside=True),
    Way("KILL guard, beside", (SIGKILL,), guard=True, beside=True),
    Way("KILL guard, account", (SIGKILL,), guard=True, bare=True),
)


async def restarts(server: Server, folder: Path, *, seed: int, way: Way = CLEAN, runs: int = RESTARTS) -> Result:
    """`listen -j USER/bot` so many times, and again when all is quiet, until nothing comes."""
    folder.mkdir(parents=True)
    source, began = random.Random(seed), time.monotonic()
    account = server.account()
    listener = _Listener(Program(folder, server, account), account, folder)
    async with contextlib.AsyncExitStack() as stack:
        others = [await stack.enter_async_context(Contact(server, account, "phone"))] if way.beside else []
        contact = await stack.enter_async_context(Contact(server, server.account()))
        fire = Fire(contact, account.jid if way.bare else f"{account.jid}/bot")
        firing = asyncio.create_task(fire.run())
        for _ in range(runs):
            await listener.run(source.choice(way.signals), source.uniform(0, LONGEST_RUN_S), guard=way.guard)
        firing.cancel()
        await asyncio.gather(firing, return_exceptions=True)
        await contact.settle(SETTLE_S)
        await listener.run_to_the_end()
        await contact.settle(SETTLE_S)
        bounced, elsewhere = fire.bounced(), [number for one in others for number in numbers(_bodies(one))]
    outcome = _Outcome(listener.printed(), bounced, elsewhere, listener.codes, listener.longest_start_s)
    return outcome.judged(server, seed, way, fire.sent, time.monotonic() - began)


class _Listener:
    """The runs, each with a file of its own that it prints to."""

    def __init__(self, program: Program, account: Account, folder: Path) -> None:
        self.codes: list[int] = []
        self.longest_start_s = 0.0
        self._program, self._jid, self._folder = program, f"{account.jid}/bot", folder

    async def run(self, end: Signals, for_s: float, *, guard: bool) -> None:
        """From its start, for so long behind the moment when it is ready, to its end by this signal."""
        began, ready = time.monotonic(), self._folder / f"ready-{len(self.codes)}"
        process = await self._start("--ready-file", str(ready))
        async with asyncio.timeout(READY_S):
            while not ready.exists() and process.returncode is None:  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
        self.longest_start_s = max(self.longest_start_s, time.monotonic() - began)
        await asyncio.sleep(for_s)
        if process.returncode is None:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split() if guard else []
            process.send_signal(end)
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
        self.codes.append(as_a_shell_sees_it(await asyncio.wait_for(process.wait(), END_S)))

    async def run_to_the_end(self) -> None:
        """Once more, and again until nothing comes: a server that is slow needs longer than one run."""
        for _ in range(MAX_LAST_RUNS):
            out = self._out
            process = await self._start("-W", str(QUIET_S))
            self.codes.append(as_a_shell_sees_it(await asyncio.wait_for(process.wait(), QUIET_S + END_S + READY_S)))
            if not out.stat().st_size:
                return

    @property
    def _out(self) -> Path:
        return self._folder / f"printed-{len(self.codes)}"

    async def _start(self, *options: str) -> asyncio.subprocess.Process:
        with self._out.open("ab") as stdout, (self._folder / "stderr").open("ab") as stderr:
            return await self._program.start(
                "-j", self._jid, "listen", *options, *BODY_ONLY,
                stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            )  # fmt: skip

    def printed(self) -> list[list[int]]:
        """The whole lines of each run."""
        texts = [(self._folder / f"printed-{number}").read_text() for number in range(len(self.codes))]
        return [numbers(line for line in text.splitlines(keepends=True) if line.endswith("\n")) for text in texts]


@dataclass(frozen=True)
class _Outcome:
    """Where the messages are: printed by each run, back at their sender, at another client."""

    printed: list[list[int]]
    bounced: list[int]
    elsewhere: list[int]
    codes: list[int]
    longest_start_s: float

    def judged(self, server: Server, seed: int, way: Way, sent: int, took_s: float) -> Result:
        """By the promises."""
        lines = [number for run in self.printed for number in run]
        times = Counter(lines)
        lost = set(range(sent)) - {*lines, *self.bounced, *self.elsewhere}
        again = [number for number, often in times.items() for _ in range(often - 1)]
        both = set(self.bounced) & set(lines)
        reordered = count(lines, sent).reordered
        note = (
            f"{len(times)} printed, {len(self.bounced)} bounced, {len(both)} of them printed, "
            f"started within {self.longest_start_s:.1f} s"
        )
        counted = Count(sorted(lost), again, reordered)
        result = Result(server.name, f"listen: {way.name}", seed, sent, counted, took_s, len(self.codes), 0, note)
        result.demand(not lost, "lost")
        result.demand(set(self.codes) <= way.codes, f"exit codes {sorted(set(self.codes))}")
        if way.is_clean:
            result.demand(not again, "printed twice")
            result.demand(not both, "printed and bounced")
        result.demand(not set(again) - self._last_of_killed(), f"printed twice beyond the last {MAX_AGAIN}")
        return result

    def _last_of_killed(self) -> set[int]:
        """What may come again: what the killed runs had printed last."""
        runs = zip(self.printed, self.codes, strict=True)
        return {number for run, code in runs if code == 128 + SIGKILL for number in run[-MAX_AGAIN:]}


def _bodies(contact: Contact) -> Iterable[str]:
    return (one.body for one in contact.messages if one.type != "error" and one.body)
