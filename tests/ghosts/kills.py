"""Ends that no program sees coming: SIGKILL of the program, or of the program and its guard."""

import random
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from support.servers import Server

from ghosts import processes
from ghosts.outbound import Feed, check_outbound
from ghosts.result import Goal, Round
from ghosts.stage import Stage, staged
from ghosts.subjects import Listen, Pipe, Subject

GUARDED = Goal(0.5, 2.0)
REAPED = Goal(2.0, 2.0)
WATCH_S = 20.0
GUARD_BYTES = 25_000_000
MESSAGES = 600
KILLED_WITHIN = 3  # the kill comes in the first third of them


async def killed(
    server: Server, folder: Path, kind: type[Subject], *, seed: int, stopped: bool = True, messages: int = MESSAGES
) -> Round:
    """SIGKILL; stopped: it stands still before, so that it cannot acknowledge what is sent to it.

    messages: a pipe sends so many.
    """
    fault = "SIGKILL" if stopped else "SIGKILL while it writes"
    async with staged(server, folder) as stage:
        shown = stage.shows(fault, kind.name, GUARDED, WATCH_S)
        subject = await kind.online(stage)
        feed = Feed(stage, subject, messages) if isinstance(subject, Pipe) else None
        _check_memory(stage, shown)
        if feed is not None:
            await feed.arrived(random.Random(seed).randrange(messages // KILLED_WITHIN))
        bodies = await _unacknowledged(stage, subject) if stopped else []
        begin = time.monotonic()
        subject.signal(signal.SIGKILL)
        shown.seconds = await stage.gone(subject.full_jid, begin, WATCH_S)
        await subject.ended()
        await stage.check_nothing_left(shown)
        if feed is not None:
            await feed.done()
            await check_outbound(stage, shown)
        if stopped:
            await stage.check_inbound(shown, bodies)
    return shown


def _check_memory(stage: Stage, shown: Round) -> None:
    guards = processes.guards(stage.mark)
    shown.demand(len(guards) == 1, f"{len(guards)} guards")
    for guard in guards:
        shown.guard_bytes = guard.private_bytes
        shown.demand(shown.guard_bytes <= GUARD_BYTES, f"the guard has {shown.guard_bytes / 1e6:.1f} MB to itself")


async def _unacknowledged(stage: Stage, subject: Subject) -> list[str]:
    await processes.stop(subject.pid)
    return await stage.send_inbound(subject.full_jid)


COMMANDS: dict[str, Callable[[Stage], tuple[str, ...]]] = {
    "sessions reap": lambda stage: ("sessions", "reap"),
    "ping": lambda stage: ("ping",),
    "send": lambda stage: ("send", stage.friend, "the next command"),
}


async def both_killed(server: Server, folder: Path, command: str) -> Round:
    """SIGKILL of the program and its guard: nobody is left; the next command closes the session."""
    async with staged(server, folder) as stage:
        shown = stage.shows("SIGKILL of the guard too", f"then xmppsh {command}", REAPED, WATCH_S)
        subject = await Listen.online(stage)
        bodies = await _unacknowledged(stage, subject)
        killed = processes.kill_all(stage.mark)
        await subject.ended()
        shown.demand(len(killed) == 2, f"harness: {len(killed)} processes were killed, not 2")
        await stage.contact.settle()
        shown.demand(not stage.went(subject.full_jid), "harness: the session ended with its processes")
        shown.demand(subject.full_jid in server.sessions(stage.jid), "harness: the server has forgotten the session")
        begin = time.monotonic()
        outcome = await stage.run(*COMMANDS[command](stage))
        shown.seconds = await stage.gone(subject.full_jid, begin, WATCH_S)
        shown.demand(outcome.code == 0, f"xmppsh {command}: exit {outcome.code}, {outcome.stderr.strip()}")
        await stage.check_nothing_left(shown)
        await stage.check_inbound(shown, bodies)
    return shown


def memory_line(rounds: list[Round]) -> str:
    """What the guards cost, in one line."""
    sizes = [one.guard_bytes / 1e6 for one in rounds if one.guard_bytes]
    if not sizes:
        return "no guard was seen"
    figures = f"median {statistics.median(sizes):.1f} MB, maximum {max(sizes):.1f} MB"
    return f"Memory that a guard shares with nobody: {figures} ({len(sizes)})."
