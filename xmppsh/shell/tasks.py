"""What runs beside the line that is read or carried out."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

T = TypeVar("T")


@asynccontextmanager
async def running(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """A task for the length of a block."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await ended(task)


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is through with its `finally` blocks; its outcome is not asked for."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


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
