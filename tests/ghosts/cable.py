"""A pulled cable: client, server and witness on three machines, of which the client's is cut off."""

import asyncio
import contextlib
import random
import signal
import time
from pathlib import Path

from support.namespaces import Network
from support.servers import Server

from ghosts.outbound import Feed, check_delivered
from ghosts.result import Goal, Round
from ghosts.stage import Stage, staged
from ghosts.subjects import Child, Listen, Pipe, Witness

WITNESSED = Goal(10.0, 10.0)
WATCH_S = 40.0
HEALED_WITHIN_S = 30.0
LOST_S = 3.0
LONGEST_CALM_S = 3.0  # two of the witness's checks: the cut falls anywhere between them
FALSE_ALARM_S = 12.0  # longer than the witness takes for a session that is silent
MESSAGES = 40


async def pulled(
    server: Server, folder: Path, network: Network, kind: type[Child], *, seed: int, witness_first: bool
) -> Round:
    """Pull the cable at some moment, see the session end, plug it in again, see the program heal."""
    async with staged(server, folder, network) as stage:
        shown = stage.shows("cable pulled", f"{kind.name}, with a witness", WITNESSED, WATCH_S)
        try:
            witness, subject = await _both(stage, kind, witness_first=witness_first)
            feed = None
            if isinstance(subject, Pipe):
                feed = Feed(stage, subject, MESSAGES)
                await feed.arrived(MESSAGES // 4)
            await asyncio.sleep(random.Random(seed).uniform(0, LONGEST_CALM_S))
            begin = time.monotonic()
            network.pull()
            shown.seconds = await stage.gone(subject.full_jid, begin, WATCH_S)
            network.plug()
            plugged = time.monotonic()
            if feed is not None:
                await _healed_pipe(stage, shown, feed, subject)
            else:
                await _healed_listen(stage, subject, plugged)
            shown.note = f"healed {time.monotonic() - plugged:.1f} s after the cable was back"
            shown.demand(
                witness.told("closed", subject.full_jid), "the witness does not tell that it closed the session"
            )
            await _end(stage, shown, witness, subject)
        finally:
            network.plug()
    return shown


async def lossy(server: Server, folder: Path, network: Network, *, rounds: int) -> list[Round]:
    """Every packet is lost for some seconds: no witness takes that for an end. All rounds share one loss."""
    async with contextlib.AsyncExitStack() as stack:
        stages = [
            await stack.enter_async_context(staged(server, folder / str(number), network)) for number in range(rounds)
        ]
        pairs = [await _both(stage, Listen, witness_first=True) for stage in stages]
        shown = [stage.shows(f"{LOST_S:g} s without packets", Listen.name) for stage in stages]
        network.lose()
        try:
            await asyncio.sleep(LOST_S)
        finally:
            network.restore()
        begin = time.monotonic()
        for stage, (_, subject) in zip(stages, pairs, strict=True):
            await stage.contact.send(subject.full_jid, "still there?")
            await subject.printed("still there?", HEALED_WITHIN_S)
        await asyncio.sleep(begin + FALSE_ALARM_S - time.monotonic())
        for stage, one, (witness, subject) in zip(stages, shown, pairs, strict=True):
            one.count("times that the contact saw `unavailable`", int(stage.went(subject.full_jid)), 0)
            held = await asyncio.to_thread(server.sessions, stage.jid)
            one.demand(subject.full_jid in held, f"the server holds {held}, not {subject.full_jid}")
            await _end(stage, one, witness, subject)
    return shown


async def _both(stage: Stage, kind: type[Child], *, witness_first: bool) -> tuple[Witness, Child]:
    """A program and its witness, once they know of each other."""
    witness = Witness(stage, machine="witness")
    if witness_first:
        await witness.start()
        await witness.tells("ready")
    subject = await kind.online(stage)
    if not witness_first:
        await witness.start()
    await witness.tells("watching", subject.full_jid)
    return witness, subject


async def _healed_pipe(stage: Stage, shown: Round, feed: Feed, pipe: Child) -> None:
    """All that was written before and during the cut, and all that follows, arrives once."""
    await feed.done()
    await feed.write(MESSAGES)
    await feed.arrived(feed.written - 1, HEALED_WITHIN_S)
    pipe.end_input()
    code = await pipe.ended()
    shown.demand(code == 0, f"exit {code}")
    await check_delivered(stage, shown, feed.written)


async def _healed_listen(stage: Stage, listen: Child, since: float) -> None:
    """It is online again, and gets what is sent to the account."""
    await stage.online(since, HEALED_WITHIN_S)
    await stage.contact.send(stage.jid, "welcome back")
    await listen.printed("welcome back", HEALED_WITHIN_S)


async def _end(stage: Stage, shown: Round, witness: Child, subject: Child) -> None:
    """Both end by SIGTERM, and nothing is left of either."""
    for one in (subject, witness):
        if one.process.returncode is None:
            one.signal(signal.SIGTERM)
            code = await one.ended()
            shown.demand(code == 128 + signal.SIGTERM, f"{one.name}: exit {code} after SIGTERM")
    await stage.check_nothing_left(shown, "client", "witness")
