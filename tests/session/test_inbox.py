"""The inbox: a slow reader holds nobody up, and nothing is read twice or lost, whatever ends."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from session.reading import Command
from support.until import until

from xmppsh.xmlio.reader import read_element
from xmppsh.xmlio.splitter import Limits


async def test_nothing_is_stored_for_a_reader_that_keeps_up(run: Callable[..., Command]) -> None:
    listen = run()
    for number in range(1, 50):
        listen.arrive(number)
        assert await listen.read(1) == [number]
    listen.reader.done()
    await asyncio.sleep(0.05)
    assert not listen.path.exists()


async def test_what_waits_for_a_slow_reader_is_stored_and_acknowledged_and_then_read_in_order(
    run: Callable[..., Command],
) -> None:
    listen = run()
    listen.arrive(*range(1, 11))
    assert await listen.read(1) == [1]
    await listen.handled_are(10)
    assert listen.handled == list(range(1, 11)), "the one in the reader's hands would hold back the others"
    listen.arrive(*range(11, 1501))
    await listen.handled_are(1500)
    assert await listen.read(1499) == list(range(2, 1501))
    listen.arrive(1501)
    assert await listen.read(1) == [1501]
    listen.reader.done()
    assert listen.handled == list(range(1, 1502))


async def test_a_stored_message_is_handed_on_however_big_the_server_may_send_it(run: Callable[..., Command]) -> None:
    command = run()
    big = read_element(f"<message><body>{'x' * 2 * Limits().stanza_bytes}</body></message>")
    command.bus.publish(big, (1, 1))
    await command.handled_are(1)
    assert (await anext(command.reader)).xml == big.xml


async def test_what_a_dead_run_had_not_read_comes_first_in_the_next_one_and_once(run: Callable[..., Command]) -> None:
    killed = run()
    killed.arrive(*range(1, 7))
    await killed.handled_are(6)
    assert await killed.read(3) == [1, 2, 3]
    killed.reader.done()
    killed.die()
    listen = run()
    listen.arrive(7)
    assert await listen.read(4) == [4, 5, 6, 7]
    listen.reader.cancel()
    again = run()
    again.arrive(8)
    assert await again.read(1) == [8]


async def test_what_was_in_the_hands_of_a_reader_that_died_is_read_again(run: Callable[..., Command]) -> None:
    killed = run()
    killed.arrive(1, 2)
    await killed.handled_are(2)
    assert await killed.read(1) == [1]
    killed.die()
    assert await run().read(2) == [1, 2]


async def test_what_was_read_and_comes_again_on_the_next_session_is_not_read_twice(run: Callable[..., Command]) -> None:
    listen = run()
    listen.arrive(1, 2, 3)
    assert await listen.read(3) == [1, 2, 3]
    listen.reader.done()
    listen.arrive(2, 3, 4, session=2)
    assert await listen.read(1) == [4]
    assert listen.handled == [1, 2, 3, 4, 5]


async def test_what_waits_when_the_session_is_lost_is_read_once_though_it_comes_again(
    run: Callable[..., Command],
) -> None:
    listen = run()
    listen.arrive(1, 2, 3)
    assert await listen.read(1) == [1]
    listen.arrive(1, 2, 3, 4, session=2)
    assert await listen.read(3) == [2, 3, 4]
    assert set(range(4, 7)) <= set(listen.handled), "their first deliveries are stored"
    listen.reader.done()
    assert 7 in listen.handled


async def test_what_a_slow_reader_that_died_had_read_is_not_read_again_by_the_next_run(
    run: Callable[..., Command],
) -> None:
    killed = run()
    killed.arrive(1, 2)
    assert await killed.read(2) == [1, 2]
    killed.reader.done()
    killed.arrive(3, 4)
    await killed.handled_are(4)
    assert await killed.read(1) == [3]
    killed.reader.done()
    killed.die()
    listen = run()
    listen.arrive(1, 2, 3, 4, 5)  # no ack of the dead one has reached the server
    assert await listen.read(2) == [4, 5]


async def test_a_full_inbox_stores_no_more_until_it_has_been_read(run: Callable[..., Command]) -> None:
    listen = run(max_bytes=1)
    listen.arrive(1)
    await listen.handled_are(1)
    listen.arrive(2)
    await asyncio.sleep(0.05)
    assert listen.handled == [1]
    assert await listen.read(2) == [1, 2]


async def test_an_inbox_that_cannot_be_written_is_told_of_once_and_nothing_of_it_acknowledged(
    run: Callable[..., Command], tmp_path: Path
) -> None:
    listen = run()
    (tmp_path / "locks").write_text("no folder")
    listen.arrive(1, 2)
    await until(lambda: bool(listen.troubles), "the trouble")
    assert (len(listen.troubles), listen.handled) == (1, [])
    assert await listen.read(2) == [1, 2]
    listen.reader.done()
    assert listen.handled == [1, 2]


async def test_what_is_handed_on_later_keeps_the_time_when_it_came(run: Callable[..., Command]) -> None:
    listen = run()
    listen.arrive(1)
    await listen.handled_are(1)
    stanza = await anext(listen.reader)
    assert stanza.arrived is not None
    listen.reader.done()
    listen.arrive(2)
    assert (await anext(listen.reader)).arrived is None


async def test_messages_that_came_together_are_read_in_order_with_all_others_and_acknowledged_as_they_are_taken(
    run: Callable[..., Command], tmp_path: Path
) -> None:
    listen = run()
    listen.arrive(1)
    listen.arrive_together(*range(2, 12))
    listen.arrive(12)
    assert listen.take_together(5) == [], "one is before them"
    assert await listen.read(2) == [1, 2]
    assert listen.handled == [1]
    assert listen.take_together(4) == [3, 4, 5, 6]
    assert listen.handled == [1, 2, 3, 4, 5, 6]
    assert await listen.read(1) == [7]
    assert listen.take_together(100) == [8, 9, 10, 11]
    assert await listen.read(1) == [12]
    listen.reader.done()
    assert listen.handled == list(range(1, 13))
    assert not listen.path.exists()


async def test_messages_that_came_together_are_stored_where_their_reader_stops_and_read_once(
    run: Callable[..., Command],
) -> None:
    killed = run()
    killed.arrive_together(*range(1, 21))
    assert await killed.read(1) == [1]
    assert killed.take_together(5) == [2, 3, 4, 5, 6]
    assert await killed.read(1) == [7]
    await killed.handled_are(20)
    killed.arrive_together(*range(21, 31))
    assert killed.take_together(5) == [], "what is stored comes first"
    assert await killed.read(2) == [8, 9]
    await killed.handled_are(30)
    killed.reader.done()
    killed.die()
    listen = run()
    listen.arrive_together(*range(31, 41))
    assert await listen.read(31) == list(range(10, 41))
    listen.reader.done()
    assert listen.handled == list(range(1, 11))


async def test_messages_that_came_together_are_looked_at_by_themselves_where_some_may_come_again(
    run: Callable[..., Command],
) -> None:
    listen = run()
    listen.arrive_together(*range(1, 11))
    assert await listen.read(1) == [1]
    assert listen.take_together(100) == list(range(2, 11))
    listen.arrive_together(*range(5, 16), session=2)
    assert listen.take_together(100) == []
    assert await listen.read(5) == [11, 12, 13, 14, 15]


async def test_messages_that_came_together_and_were_not_read_are_not_taken_when_the_reader_leaves(
    run: Callable[..., Command],
) -> None:
    listen = run()
    listen.arrive_together(*range(1, 11))
    assert await listen.read(1) == [1]
    assert listen.take_together(3) == [2, 3, 4]
    listen.reader.cancel()
    assert listen.handled == [1, 2, 3, 4]
