"""Work that hands on its results becomes an iterator of them: none is lost, and it runs no further than is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from xmppsh.app.produced import produced

Emit = Callable[[int], Awaitable[None]]


async def test_every_result_comes_in_order_and_the_last_one_too() -> None:
    async def work(emit: Emit) -> None:
        for number in range(5):
            await emit(number)

    assert [one async for one in produced(work)] == [0, 1, 2, 3, 4]


async def test_what_the_work_raises_comes_after_its_results() -> None:
    async def work(emit: Emit) -> None:
        await emit(1)
        raise ValueError("the end")

    results = produced(work)
    assert await anext(results) == 1
    with pytest.raises(ValueError, match="the end"):
        await anext(results)


async def test_the_work_is_held_back_until_its_results_are_taken() -> None:
    begun: list[int] = []

    async def work(emit: Emit) -> None:
        for number in range(10):
            begun.append(number)
            await emit(number)

    async with aclosing(produced(work)) as results:
        assert await anext(results) == 0
        for _ in range(20):
            await asyncio.sleep(0)
        assert begun[-1] <= 2


async def test_who_wants_no_more_ends_the_work_and_its_failure_on_the_way_out_is_nobodys_bug() -> None:
    ended, told = asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def work(emit: Emit) -> None:
        try:
            await emit(1)
            await asyncio.Event().wait()
        finally:
            ended.set()
            raise ValueError("while it is cleared away")

    async with aclosing(produced(work)) as results:
        assert await anext(results) == 1
        await asyncio.sleep(0)
    assert ended.is_set()
    del results
    assert told == []
