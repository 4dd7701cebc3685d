"""Exit code, outbox and arrivals tell one story, or the run is broken; a slow ejabberd is slow."""

import time
from collections.abc import Callable

import pytest
from support.contact import Contact
from support.servers import Server

from soak.load import judge_outbox
from soak.result import Result, count

DELAY_MS = 50


@pytest.mark.parametrize(
    ("code", "acked", "arrived", "left", "broken"),
    [
        (0, 4, {0, 1, 2, 3}, {}, ""),
        (0, 4, {0, 1, 2, 3}, {3: "uncertain"}, "exit 0, and 1 in the outbox"),
        (79, 2, {0, 1}, {2: "uncertain", 3: "queued"}, ""),
        (79, 2, {0, 1, 2}, {2: "uncertain"}, ""),
        (79, 2, {0, 1}, {}, "exit 79, and nothing in the outbox is uncertain"),
        (79, 1, {0}, {2: "uncertain"}, "1 are neither there nor in the outbox"),
        (79, 3, {0, 1}, {2: "uncertain"}, "3 acknowledged, 2 not in the outbox"),
        (79, 1, {0, 1}, {2: "uncertain"}, ""),  # the guard had the acknowledgement of the second one
        (79, 2, {0, 1, 3}, {2: "uncertain", 3: "queued"}, "1 arrived that it says it did not send"),
        (69, 2, {0, 1}, {2: "queued"}, ""),
    ],
)
def test_exit_code_outbox_and_arrivals_tell_one_story(
    code: int, acked: int, arrived: set[int], left: dict[int, str], broken: str
) -> None:
    run = Result("ejabberd", "load", 7, 4, count(sorted(arrived), 4), 1.0, 2, code, acked=acked)
    judge_outbox(run, arrived, left)
    assert bool(run.broken) == bool(broken)
    assert not broken or broken in run.broken[0]


@pytest.mark.long
async def test_a_slow_ejabberd_takes_longer_for_each_message(start_server: Callable[..., Server]) -> None:
    server = start_server("ejabberd", message_delay_ms=DELAY_MS)
    async with Contact(server, server.account()) as sender, Contact(server, server.account()) as receiver:
        begin = time.monotonic()
        for number in range(20):
            await sender.send(receiver.jid, str(number))
        await receiver.wait_for_messages(20)
        assert time.monotonic() - begin >= 20 * DELAY_MS / 1000
