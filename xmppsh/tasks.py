"""What runs beside something else: tasks that never outlive who began them, and work that blocks, in a thread.

asyncio.TaskGroup waits for all of its tasks and ends them at the first failure. Here one waits for the first that ends,
or for a block; the others are cancelled, and their `finally` blocks have run before anything goes on.
"""

from __future__ import annotations

import asyncio
import time
from _thread import start_new_thread  # `threading` costs milliseconds
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any, TypeVar

    T = TypeVar("T")

POLL_S, TOLD_S = 0.05, 3.0  # of what other processes do


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancel these and wait until they are through with their `finally` blocks; their outcomes are not asked for."""
    for task in tasks:
        task.cancel()  # one that has ended stays as it is
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, T]) -> AsyncIterator[list[asyncio.Task[T]]]:
    """A task for each, for the length of a block."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield tasks
    finally:
        await ended(*tasks)


async def first(*work: Coroutine[Any, Any, object], timeout_s: float | None = None) -> None:
    """Wait until one of these has ended, for at most `timeout_s`; how it ended is not asked for."""
    async with running(*work) as tasks:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


async def unless(watch: asyncio.Task[Any], work: asyncio.Task[T]) -> T:
    """The result of `work`; when `watch` fails before that, `work` is stopped and the failure raised.

    Being cancelled stops `work` too, and waits for it: a prompt has a terminal to give back.
    """
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not work.done():
            await ended(work)
    if watch.done() and work.cancelled():
        watch.result()
    return work.result()


async def others_done(are_at_work: Callable[[], bool], at_most_s: float, tell: Callable[[], object]) -> bool:
    """Wait while other processes are at work, at most `at_most_s`; after TOLD_S the user is told. Were there any?"""
    began, is_told, were_there = time.monotonic(), False, False
    while are_at_work() and (waited_s := time.monotonic() - began) < at_most_s:
        were_there = True
        if not is_told and waited_s > TOLD_S:
            is_told = True
            tell()
        await asyncio.sleep(POLL_S)  # what another process does wakes nobody here
    return were_there


async def apart(work: Callable[[], T]) -> T:
    """What `work` returns or raises, from a daemon thread, while the loop goes on.

    The loop's own threads are waited for at the end of the program, and one that opens a named pipe nobody writes to,
    asks a dead name server or hashes for minutes would hold that end back. A daemon thread is left behind when who
    waits for it is cancelled.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        error: Exception | None = None
        try:
            result = work()
        except Exception as failure:  # whatever it is, it belongs to who asked, on the loop
            error = failure
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    start_new_thread(run, ())
    return await outcome
