"""Several questions at the same time, without waiting for the slowest longer than it is worth."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from xmppsh.tasks import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

T = TypeVar("T")


async def together(
    work: Sequence[Coroutine[Any, Any, T]], is_enough: Callable[[T], bool], grace_s: float | None
) -> list[T | None]:
    """Each outcome in the order of `work`; when one is enough the others get `grace_s` seconds more, then None.

    grace_s: None waits for all of them. An exception of one ends all.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    loop = asyncio.get_running_loop()
    until: float | None = None
    waiting = set(tasks)
    try:
        while waiting:
            left_s = None if until is None else max(0.0, until - loop.time())
            done, waiting = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            if grace_s is not None and until is None and any(is_enough(task.result()) for task in done):
                until = loop.time() + grace_s
    finally:
        await ended(*tasks)
    return [None if task.cancelled() else task.result() for task in tasks]
