"""The fan-out: nothing counts as taken before its readers are done, and slow readers hold the link back."""

import asyncio
from collections.abc import Callable

import pytest

from xmppsh.errors import ConnectionLost
from xmppsh.model import Element
from xmppsh.session.bus import MAX_WAITING_BYTES, Bus, Subscription
from xmppsh.xmlio.reader import read_element

QUARTER = Element("{jabber:client}message", {}, "x" * (MAX_WAITING_BYTES // 4))


def message(number: int) -> Element:
    return read_element(f"<message id='{number}'/>")


class Watch:
    """A bus, and everything it called back."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.pressure: list[str] = []
        self.bus = Bus(
            lambda token, _: self.taken.append(token[1]),
            lambda: self.pressure.append("full"),
            lambda: self.pressure.append("room"),
        )

    def publish(self, element: Element, number: int) -> None:
        self.bus.publish(element, (0, number))

    def subscribe(self, wanted: Callable[[Element], bool] = lambda _: True) -> Subscription:
        return self.bus.subscribe(wanted)


async def test_a_stanza_is_taken_when_its_reader_asks_for_the_next() -> None:
    watch = Watch()
    reader = watch.subscribe()
    watch.publish(message(1), 1)
    watch.publish(message(2), 2)
    assert (await anext(reader)).id == "1"
    assert watch.taken == []
    assert (await anext(reader)).id == "2"
    assert watch.taken == [1]
    reader.done()
    reader.done()
    assert watch.taken == [1, 2]


async def test_a_stanza_of_two_readers_is_taken_when_both_are_done() -> None:
    watch = Watch()
    first, second = watch.subscribe(), watch.subscribe()
    watch.publish(message(1), 1)
    await anext(first)
    first.done()
    assert watch.taken == []
    await anext(second)
    second.done()
    assert watch.taken == [1]


async def test_a_message_that_nobody_reads_is_not_taken_and_all_else_is() -> None:
    watch = Watch()
    reader = watch.subscribe(lambda element: element.id == "1")
    watch.publish(message(2), 1)
    watch.publish(read_element("<presence/>"), 2)
    watch.publish(read_element("<iq type='result' id='9'/>"), 3)
    assert watch.taken == [2, 3]
    watch.publish(message(1), 4)
    assert (await anext(reader)).id == "1"


async def test_what_waits_when_a_reader_leaves_is_not_taken() -> None:
    watch = Watch()
    reader = watch.subscribe()
    for number in (1, 2, 3):
        watch.publish(message(number), number)
    await anext(reader)
    reader.cancel()
    assert watch.taken == [1]
    watch.publish(message(4), 4)
    assert watch.taken == [1]


async def test_what_a_reader_leaves_unread_is_for_the_others_and_else_treated_as_read_by_nobody() -> None:
    watch = Watch()
    leaving, staying = watch.subscribe(), watch.subscribe(lambda element: element.id in ("1", "2"))
    for number in (1, 2, 3):
        watch.publish(message(number), number)
    watch.publish(read_element("<presence/>"), 4)
    await anext(staying)
    staying.done()
    leaving.cancel()  # the first was read before it left
    assert watch.taken == [1, 4]
    await anext(staying)
    staying.done()
    assert watch.taken == [1, 4, 2]


async def test_what_a_reader_that_stops_has_in_its_hands_is_taken_when_it_is_done_with_it() -> None:
    watch = Watch()
    reader = watch.subscribe()
    watch.publish(message(1), 1)
    watch.publish(message(2), 2)
    await anext(reader)
    reader.stop()
    assert watch.taken == []
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    assert watch.taken == [1]


async def test_a_reader_that_left_gets_nothing_more_and_the_others_do() -> None:
    watch = Watch()
    leaving, staying = watch.subscribe(), watch.subscribe()
    leaving.cancel()
    watch.publish(message(1), 1)
    assert (await anext(staying)).id == "1"
    staying.done()
    assert watch.taken == [1]


async def test_slow_readers_hold_the_link_back_and_let_it_go_at_half() -> None:
    watch = Watch()
    reader = watch.subscribe()
    for number in range(3):
        watch.publish(QUARTER, number)
    assert watch.pressure == []
    watch.publish(QUARTER, 3)
    watch.publish(QUARTER, 4)
    assert watch.pressure == ["full"]
    for _ in range(3):  # done with two of five
        await anext(reader)
    assert watch.pressure == ["full"]
    await anext(reader)
    assert watch.pressure == ["full", "room"]


async def test_a_reader_that_leaves_makes_room() -> None:
    watch = Watch()
    reader = watch.subscribe()
    for number in range(5):
        watch.publish(QUARTER, number)
    reader.cancel()
    assert watch.pressure == ["full", "room"]
    assert watch.taken == []


async def test_pressure_comes_again_when_readers_lag_again() -> None:
    watch = Watch()
    for _ in range(2):
        reader = watch.subscribe()
        for number in range(5):
            watch.publish(QUARTER, number)
        reader.cancel()
    assert watch.pressure == ["full", "room"] * 2


async def test_at_the_end_readers_get_what_waits_and_then_the_end() -> None:
    watch = Watch()
    reader = watch.subscribe()
    watch.publish(message(1), 1)
    watch.bus.end(None)
    assert [element.id async for element in reader] == ["1"]
    assert watch.taken == [1]


async def test_at_a_bad_end_readers_get_what_waits_and_then_the_error() -> None:
    watch = Watch()
    first, second = watch.subscribe(), watch.subscribe()
    watch.publish(message(1), 1)
    error = ConnectionLost("gone")
    watch.bus.end(error)
    for reader in (first, second):
        assert (await anext(reader)).id == "1"
        with pytest.raises(ConnectionLost):
            await anext(reader)
    assert watch.taken == [1]


@pytest.mark.parametrize("error", [None, ConnectionLost("gone")])
async def test_a_reader_that_waits_is_woken_by_the_end(error: ConnectionLost | None) -> None:
    watch = Watch()
    reader = watch.subscribe()
    waiting = asyncio.ensure_future(anext(reader, None))
    await asyncio.sleep(0)
    watch.bus.end(error)
    async with asyncio.timeout(5):
        if error is None:
            assert await waiting is None
        else:
            with pytest.raises(ConnectionLost):
                await waiting


async def test_a_reader_that_waits_is_woken_by_a_stanza() -> None:
    watch = Watch()
    reader = watch.subscribe()
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    watch.publish(message(1), 1)
    async with asyncio.timeout(5):
        assert (await waiting).id == "1"


async def test_a_reader_that_comes_after_the_end_is_told_at_once() -> None:
    watch = Watch()
    watch.bus.end(None)
    assert await anext(watch.subscribe(), None) is None


async def test_a_reader_that_is_cancelled_while_it_waits_ends() -> None:
    watch = Watch()
    reader = watch.subscribe()
    waiting = asyncio.ensure_future(anext(reader, None))
    await asyncio.sleep(0)
    reader.cancel()
    try:
        async with asyncio.timeout(0.2):
            assert await waiting is None
    finally:
        waiting.cancel()
