"""Turns work that hands on its results one by one into an iterator of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

T = TypeVar("T")


async def produced(work: Callable[[Callable[[T], Awaitable[None]]], Awaitable[None]]) -> AsyncGenerator[T, None]:
    """What `work` hands to the function that it is given, as it comes; at its end raises what it raised.

    It is held back until its result has been taken, and cancelled when nobody wants more.
    """
    results: asyncio.Queue[T] = asyncio.Queue(1)
    working = asyncio.ensure_future(work(results.put))
    try:
        while True:
            getting = asyncio.ensure_future(results.get())
            try:
                await asyncio.wait({working, getting}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    await working
                    return
                yield getting.result()
            finally:
                getting.cancel()
    finally:
        working.cancel()
        # What it raises while it is cleared away is not told: why it was cancelled is on its way already.
        await asyncio.gather(working, return_exceptions=True)
