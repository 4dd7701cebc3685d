"""The same ends for programs without a guard, all rounds at once; their server forgets a dead session early."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from support.namespaces import Network
from support.servers import Server

from ghosts.result import Round
from ghosts.stage import staged
from ghosts.subjects import Child

FAULTS: dict[str, Callable[[Child], None]] = {
    "SIGTERM": lambda subject: subject.signal(signal.SIGTERM),
    "SIGKILL": lambda subject: subject.signal(signal.SIGKILL),
}


async def ended(
    server: Server, folder: Path, kind: type[Child], fault: str, *, rounds: int, watch_s: float
) -> list[Round]:
    """So many of one kind, each ended by a signal."""
    async with _online(server, folder, [kind] * rounds) as subjects:
        return await _watched(subjects, fault, FAULTS[fault], watch_s)


async def pulled(
    server: Server, folder: Path, network: Network, kinds: Sequence[type[Child]], *, rounds: int, watch_s: float
) -> list[Round]:
    """So many of each kind, all cut off by one cable; nothing is sent to them."""

    def pull(_: Child) -> None:
        network.pull()  # again and again: for the first one alone it makes a difference

    async with _online(server, folder, [kind for kind in kinds for _ in range(rounds)], network) as subjects:
        try:
            return await _watched(subjects, "cable pulled", pull, watch_s)
        finally:
            network.plug()


@contextlib.asynccontextmanager
async def _online(
    server: Server, folder: Path, kinds: Sequence[type[Child]], network: Network | None = None
) -> AsyncIterator[list[Child]]:
    """One program of each kind, every one with an account and a contact of its own."""
    async with contextlib.AsyncExitStack() as stack:
        staging = partial(staged, server, network=network)
        stages = [await stack.enter_async_context(staging(folder / str(number))) for number in range(len(kinds))]
        yield [await kind.online(stage) for kind, stage in zip(kinds, stages, strict=True)]


async def _watched(subjects: list[Child], fault: str, act: Callable[[Child], None], watch_s: float) -> list[Round]:
    shown = [one.stage.shows(fault, one.name, watch_s=watch_s) for one in subjects]
    times = []
    for one in subjects:
        begin = time.monotonic()
        act(one)
        times.append(one.stage.gone(one.full_jid, begin, watch_s))
    for watched, seconds in zip(shown, await asyncio.gather(*times), strict=True):
        watched.seconds = seconds
    return shown
