"""Starts and SIGKILLs in a row, at random moments: nothing of them stays anywhere."""

import asyncio
import random
import signal
import time
from pathlib import Path

from support.servers import Server

from ghosts.processes import until_none
from ghosts.result import SESSIONS, Round
from ghosts.stage import ENDED_WITHIN_S, Stage, staged
from ghosts.subjects import Listen
from ghosts.waiting import until

LONGEST_LIFE_S = 0.6  # about twice what a login takes on an idle machine; on a busy one it is measured


async def storm(server: Server, folder: Path, *, seed: int, starts: int) -> Round:
    """Each is started as soon as the one before is dead, on the same account and with the same files."""
    source = random.Random(seed)
    async with staged(server, folder) as stage:
        shown = stage.shows(f"{starts} starts and SIGKILLs", Listen.name)
        longest_s = max(LONGEST_LIFE_S, 2 * await _login_s(stage))
        for place in source.sample(range(starts), starts):
            listen, begun = Listen(stage), time.monotonic()
            await listen.start()
            # At random, and yet some of them early and some of them late; the latest is online for certain.
            await asyncio.sleep((place + source.random()) / starts * longest_s)
            if place == starts - 1:
                await stage.online(since=begun)
            if listen.process.returncode is None:
                listen.signal(signal.SIGKILL)
            code = await listen.ended()
            shown.demand(code == 128 + signal.SIGKILL, f"one ended by itself with {code}")
        begin = time.monotonic()
        await until_none(stage.mark, ENDED_WITHIN_S)
        left = await _sessions_left(stage)
        after_s = time.monotonic() - begin
        shown.count(SESSIONS, len(left), 0, ", ".join(left))
        seen = {one.sender for one in stage.contact.presence if one.sender.startswith(f"{stage.jid}/")}
        ghosts = [full_jid for full_jid in seen if not _is_gone(stage, full_jid)]
        shown.count("left behind: sessions that the contact sees", len(ghosts), 0, ", ".join(ghosts))
        shown.note = f"seed {seed}; {len(seen) - 1} were online; all was over {after_s:.1f} s after the last kill"
        shown.demand(len(seen) > 1, "harness: none of them ever was online")
        await stage.check_nothing_left(shown)
    return shown


async def _login_s(stage: Stage) -> float:
    """How long one takes to come online; it ends as it should."""
    begin = time.monotonic()
    listen = await Listen.online(stage)
    seconds = time.monotonic() - begin
    listen.signal(signal.SIGTERM)
    await listen.ended()
    return seconds


async def _sessions_left(stage: Stage) -> list[str]:
    """What the server itself still holds for the account, some seconds after the last process ended at most."""
    await until(lambda: not stage.server.sessions(stage.jid), ENDED_WITHIN_S)
    await stage.contact.settle()
    return stage.server.sessions(stage.jid)


def _is_gone(stage: Stage, full_jid: str) -> bool:
    """Is the last that the contact saw of it `unavailable`?"""
    return [one.type for one in stage.contact.presence if one.sender == full_jid][-1] == "unavailable"
