"""Runs that cannot deliver, or not at the first try: each ends inside its deadline, and 0 is never untrue."""

import asyncio
import math
from collections.abc import Iterable
from pathlib import Path

from support.contact import Contact
from support.faults import Fault, cut_between_writes, mark, refuse, reset_both, silent_hole
from support.servers import Server

from soak.delivery import QUIET_S
from soak.plan import FIRST_LOGIN_BYTES
from soak.result import DELIVERED, GAVE_UP, Result
from soak.stage import Ending, Stage, settle, staged

CONNECT_S, ANSWER_S = 10, 4  # the first is for a login as well, on a machine that stands still for seconds at times
PATIENCE = ("--connect-timeout", str(CONNECT_S), "--timeout", str(ANSWER_S))
# An ack that does not come, a reconnect that does not work, a close that is not answered; and Python, twice, on a busy
# machine. The two options are all that a user has to say about time.
WITHIN_S = 2.0 * (CONNECT_S + ANSWER_S) + 8.0
MESSAGES = 2_000
HANDSHAKE_MESSAGES = 3
AT_ONCE = 3
# sessions.md: the first connection gives up at its deadline, so not at its first cut.
AFTER_ONE_CUT = DELIVERED
# Nobody can send within two chunks: the stream header and <starttls/>, or a ClientHello.
NO_SESSION_CHUNKS = 2


async def black_hole(server: Server, folder: Path, *, seed: int) -> Result:
    """From the first stanzas on nothing passes any more, on new connections neither."""
    return await _dead_link(server, folder, "black hole", seed, silent_hole(FIRST_LOGIN_BYTES, every=True))


async def gone(server: Server, folder: Path, *, seed: int) -> Result:
    """The link is cut, and new connections are refused."""
    return await _dead_link(server, folder, "cut, then refused", seed, reset_both(FIRST_LOGIN_BYTES, refuse_s=math.inf))


async def _dead_link(server: Server, folder: Path, scenario: str, seed: int, fault: Fault) -> Result:
    async with staged(server, folder) as stage:
        stanzas = stage.write_input(MESSAGES, seed)
        injection = stage.proxy.arm(fault)
        ending = await stage.pipe(stanzas, *PATIENCE, deadline_s=WITHIN_S)
        await settle(server, stage.contact, QUIET_S)
        result = stage.result(scenario, seed, MESSAGES, ending)
    result.judge(GAVE_UP)
    result.demand(injection.struck.is_set(), "harness: the fault never struck")
    return result


async def server_killed(server: Server, folder: Path, *, seed: int) -> Result:
    """The server crashes in mid-send and does not come back; the caller starts it again or throws it away."""
    async with staged(server, folder) as stage:
        stanzas = stage.write_input(MESSAGES, seed)

        async def crash() -> None:
            await stage.proxy.inject(mark(FIRST_LOGIN_BYTES + stanzas.stat().st_size // 10))
            stage.proxy.arm(refuse())  # as its port does
            server.kill()

        crashing = asyncio.create_task(crash())
        ending = await stage.pipe(stanzas, *PATIENCE, deadline_s=WITHIN_S)
        crashed = crashing.done()
        crashing.cancel()
        await asyncio.gather(crashing, return_exceptions=True)
        result = stage.result("server killed", seed, MESSAGES, ending, "arrivals end with the server")
        result.acked = 0  # what was in the server's hands died with it
    result.judge(GAVE_UP)
    result.demand(crashed, "harness: the server was never killed")
    return result


async def handshake(server: Server, folder: Path, chunks: Iterable[int], *, every: bool, seed: int = 0) -> list[Result]:
    """Cut behind the k-th chunk that the client writes, for each k: on its first connection, or on every one.

    On the first alone: `pipe` tries again and delivers. On every one: it gives up, unless its next connection learns
    by resuming that all has arrived, or k is more than it takes to be done.
    """
    async with Contact(server, server.account()) as contact:
        turn = asyncio.Semaphore(AT_ONCE)
        stages: list[tuple[int, Stage, Ending, bool]] = []

        async def one(k: int) -> None:
            async with turn, staged(server, folder / f"chunk-{k}", contact) as stage:
                injection = stage.proxy.arm(cut_between_writes(k, every=every))
                stanzas = stage.write_input(HANDSHAKE_MESSAGES, k)
                ending = await stage.pipe(stanzas, *PATIENCE, deadline_s=WITHIN_S)
                stages.append((k, stage, ending, injection.struck.is_set()))

        await asyncio.gather(*map(one, chunks))
        await settle(server, contact, QUIET_S)
        results = []
        for k, stage, ending, struck in sorted(stages, key=lambda entry: entry[0]):
            which = "every" if every else "first"
            note = f"chunk {k}" + ("" if struck else ", never written")
            result = stage.result(f"handshake cut, {which}", seed, HANDSHAKE_MESSAGES, ending, note)
            result.judge(GAVE_UP | DELIVERED if every else AFTER_ONE_CUT)
            result.demand(not every or k > NO_SESSION_CHUNKS or ending.code != 0, "exit 0 without a session")
            results.append(result)
    return results
