"""Runs that must deliver: random faults, a session ended by a third party, and kills of the whole process group."""

import asyncio
import itertools
import random
import time
from dataclasses import replace
from pathlib import Path

from support.faults import mark
from support.servers import Server

from soak.plan import FIRST_LOGIN_BYTES, Plan
from soak.result import DELIVERED, HONEST, Result
from soak.stage import Ending, Running, Stage, settle, staged

QUIET_S = 2.0
LONGEST_START_S = 0.6  # within it some kills come by the clock: before there is a connection, too
LONGEST_PAUSE_S = 3.0


async def chaos(
    server: Server,
    folder: Path,
    *,
    seed: int,
    messages: int,
    faults: int,
    kicks: int = 0,
    window: int | None = None,
) -> Result:
    """Pipe through faults; at `kicks` of them a third party ends the session while the link is cut.

    Without an archive a session that was ended leaves messages whose fate nobody can tell: then 79 is honest, and
    duplicates are counted but not forbidden.
    """
    settled = server.options.archive or not kicks
    scenario = f"chaos ×{faults}" + (f", {kicks} kicked" if kicks else "") + ("" if settled else ", no archive")
    async with staged(server, folder) as stage:
        resource = f"{stage.sender.jid}/soak"
        stanzas = stage.write_input(messages, seed)
        plan = Plan(seed, faults, total_bytes=stanzas.stat().st_size, kicks=kicks)
        targets = itertools.cycle([stage.sender.jid, resource])
        if kicks:
            stage.program.env["XMPPSH_JID"] = resource

        async def kick() -> None:
            await asyncio.to_thread(server.kick, next(targets))

        running = asyncio.create_task(plan.run(stage.proxy, kick))
        arguments = () if window is None else ("--window", str(window))
        ending = await stage.pipe(stanzas, *arguments, deadline_s=deadline_s(messages, faults))
        running.cancel()
        (failure,) = await asyncio.gather(running, return_exceptions=True)
        await settle(server, stage.contact, QUIET_S)
        result = stage.result(scenario, seed, messages, ending)
    result.demand(not isinstance(failure, Exception), f"harness: {failure!r}")
    result.report = f"{plan}\n{result.report}"
    result.judge(DELIVERED if settled else HONEST, duplicates=not settled)
    _demand_true_summary(result, ending)
    result.demand(plan.struck == faults or ending.code != 0, f"harness: only {plan.struck} of {faults} faults struck")
    return result


def deadline_s(messages: int, faults: int) -> float:
    """Generous: a slow server does 50 messages a second, a client notices a silent link within 12 s."""
    return 30 + messages / 50 + 12 * faults


def _demand_true_summary(result: Result, ending: Ending) -> None:
    if ending.code == 0:
        summary = ending.summary
        said = [summary.get(key) for key in ("sent", "acked", "failed")]
        result.demand(said == [result.sent, result.sent, 0], f"sent, acked, failed are {said} at exit 0")


async def kills(server: Server, folder: Path, *, seed: int, messages: int, kills: int, pauses: bool) -> Result:
    """`kill -9` of `pipe --checkpoint`, again and again at random moments; the last run goes to its end."""
    source = random.Random(seed)
    print(f"seed {seed}: {kills} kills")
    async with staged(server, folder) as stage:
        stanzas = stage.write_input(messages, seed)
        arguments = ("--checkpoint", str(folder / "checkpoint"))
        longest = FIRST_LOGIN_BYTES + stanzas.stat().st_size // (kills + 1)
        done, begin = 0, time.monotonic()
        running = await stage.start(stanzas, *arguments)
        while done < kills and await _killed(running, stage, source, longest):
            done += 1
            stage.proxy.note(f"kill {done}")
            if pauses:
                await asyncio.sleep(source.uniform(0, LONGEST_PAUSE_S))
            running = await stage.start(stanzas, *arguments)
        ending = await running.end(deadline_s(messages, 1))
        ending = replace(ending, seconds=time.monotonic() - begin)  # of all runs
        await settle(server, stage.contact, QUIET_S)
        scenario = f"kill -9 ×{kills}" + (", pauses" if pauses else "")
        result = stage.result(scenario, seed, messages, ending, f"{done} killed" if done < kills else "")
    result.judge(DELIVERED)
    result.demand(done > 0, "harness: nothing was killed")
    return result


async def _killed(running: Running, stage: Stage, source: random.Random, longest: int) -> bool:
    """Kill it at a random moment, a time after the start or a number of bytes; False: it ended before."""
    by_clock, after_s, after = source.random() < 0.2, source.uniform(0, LONGEST_START_S), source.randint(1, longest)
    injection = stage.proxy.arm(mark(after))
    moment = asyncio.ensure_future(asyncio.sleep(after_s) if by_clock else injection.struck.wait())
    end = asyncio.ensure_future(running.process.wait())
    await asyncio.wait([moment, end], timeout=deadline_s(0, 1), return_when=asyncio.FIRST_COMPLETED)
    killed = moment.done() and not end.done()
    if killed:
        await running.kill()
    injection.release()
    for waiting in (moment, end):
        waiting.cancel()
    await asyncio.gather(moment, end, return_exceptions=True)
    return killed
