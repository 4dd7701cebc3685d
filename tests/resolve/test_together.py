"""Several questions at once: every outcome in order, and no waiting for the slow ones once one is enough."""

import asyncio

import pytest

from xmppsh.resolve.together import together


async def answer(value: int) -> int:
    return value


async def never(stopped: list[str]) -> int:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        stopped.append("stopped")
        raise
    return 0


async def test_outcomes_have_the_order_of_the_questions_and_not_of_the_answers() -> None:
    late = asyncio.Event()

    async def last() -> int:
        await late.wait()
        return 1

    async def first() -> int:
        late.set()
        return 2

    assert await together([last(), first()], lambda _: False, None) == [1, 2]


async def test_when_one_is_enough_the_others_are_stopped_after_their_grace_and_have_no_outcome() -> None:
    stopped: list[str] = []
    assert await together([never(stopped), answer(7)], lambda value: value == 7, 0.0) == [None, 7]
    assert stopped == ["stopped"]


async def test_an_answer_that_is_not_enough_stops_nobody() -> None:
    go = asyncio.Event()

    async def enough() -> int:
        await go.wait()
        return 7

    async def too_little() -> int:
        go.set()
        return 1

    assert await together([enough(), too_little()], lambda value: value == 7, 0.0) == [7, 1]


async def test_the_failure_of_one_ends_all() -> None:
    stopped: list[str] = []

    async def fails() -> int:
        await asyncio.sleep(0)
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await together([never(stopped), fails()], lambda _: False, 0.0)
    assert stopped == ["stopped"]
