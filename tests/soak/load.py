"""Runs under load: ten faults while the machine, the server or the window makes everything late.

What arrives is counted after a long silence and by the number in each message, so a double never hides a loss. With an
archive every run delivers. Without one, a server whose h may be too low leaves what was in flight behind it in doubt:
then the program says 79, and its outbox holds exactly that as uncertain.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.servers import Server

from soak.plan import WEIGHTS, Plan
from soak.result import DELIVERED, HONEST, Result
from soak.stage import Stage, numbers, settle, staged

QUIET_S = 30.0
BUSY_LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    pass"


@dataclass(frozen=True)
class Load:
    """What makes everything late; loops: busy processes beside it; window: of `pipe`."""

    name: str
    loops: int = 0
    window: int | None = None
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)


LOADS = {
    load.name: load
    for load in (
        Load("load"),
        Load("busy", loops=2),
        Load("late", weights={"late": 1}),
        Load("in-flight", window=1_000),
    )
}
SLOW = ("load", "late", "in-flight")  # once more on a server that takes longer for each message


async def loaded(
    server: Server,
    folder: Path,
    load: Load,
    *,
    seed: int,
    messages: int,
    faults: int,
    quiet_s: float = QUIET_S,
    turn: asyncio.Semaphore | None = None,
) -> Result:
    """One run of `pipe` under that load.

    turn: held while it works, not in the silence after it.
    """
    options = server.options
    parts = [load.name, *(["slow"] if options.message_delay_ms else []), *([] if options.archive else ["no archive"])]
    async with staged(server, folder) as stage:
        stanzas = stage.write_input(messages, seed)
        plan = Plan(seed, faults, total_bytes=stanzas.stat().st_size, weights=load.weights)
        window = () if load.window is None else ("--window", str(load.window))
        async with turn or contextlib.nullcontext():
            with busy(load.loops):
                running = asyncio.create_task(plan.run(stage.proxy))
                ending = await stage.pipe(stanzas, *window, deadline_s=deadline_s(server, messages, faults))
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        await settle(server, stage.contact, quiet_s)
        left = await outbox(stage)
        result = stage.result(", ".join(parts), seed, messages, ending)
        arrived = set(numbers(stage.contact, stage.sender.jid))
    result.report = f"{plan}\n{result.report}"
    # Without an archive Prosody's exact h settles a resumption; but 0.12 may refuse valid XML on a resumed stream, and
    # then the session is gone without a count.
    result.judge(DELIVERED if options.archive else HONEST)
    judge_outbox(result, arrived, left)
    result.demand(plan.struck == faults or ending.code != 0, f"harness: only {plan.struck} of {faults} faults struck")
    return result


def deadline_s(server: Server, messages: int, faults: int) -> float:
    """Generous: a busy machine does 20 messages a second, and a fault costs a patience and a settled session."""
    return 60 + messages * (0.05 + server.options.message_delay_ms / 250) + 20 * faults


async def series(
    server: Server, folder: Path, load: Load, seeds: list[int], *, at_once: int = 1, **more: Any
) -> list[Result]:
    """The same under each seed, `at_once` beside each other; the silence after one is the time of the next one."""
    turn = asyncio.Semaphore(at_once)
    runs = [loaded(server, folder / str(seed), load, seed=seed, turn=turn, **more) for seed in seeds]
    return list(await asyncio.gather(*runs))


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that do nothing but compute, as long as the block lasts; they end with us."""
    working = [subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY_LOOP]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in working:
            process.kill()
            process.wait()


async def outbox(stage: Stage) -> dict[int, str]:
    """What the program says it does not know or did not send: the state of each number."""
    stage.program.env["XMPPSH_HOST"] = f"{stage.server.host}:{stage.server.port}"
    listed = await stage.program.run("--format", "json", "outbox", "list")
    assert listed.code == 0, listed.stderr
    return {int(record["xml"].split("<body>")[1].split(" ")[0]): record["state"] for record in listed.records}


def judge_outbox(result: Result, arrived: set[int], left: Mapping[int, str]) -> None:
    """Exit code, outbox and arrivals tell one story.

    0: the outbox is empty. Otherwise what is missing is in the outbox or was never read, what waits there unsent has
    not arrived, and everything else was acknowledged, to the program or to the guard that closed its session.
    """
    if result.code is None:
        return
    if result.code == 0:
        result.demand(not left, f"exit 0, and {len(left)} in the outbox")
        return
    uncertain = {number for number, state in left.items() if state == "uncertain"}
    read = range(max([*arrived, *left], default=-1) + 1)
    settled = set(read) - left.keys()
    result.demand(result.code != 79 or bool(uncertain), "exit 79, and nothing in the outbox is uncertain")
    result.demand(settled <= arrived, f"{len(settled - arrived)} are neither there nor in the outbox")
    result.demand(result.acked <= len(settled), f"{result.acked} acknowledged, {len(settled)} not in the outbox")
    unsent = arrived & (left.keys() - uncertain)
    result.demand(not unsent, f"{len(unsent)} arrived that it says it did not send")
