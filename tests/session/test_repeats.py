"""What was read is not read again, by the stanza-id of the own server: on the next session, and by the next run."""

import asyncio
from collections.abc import Callable

import pytest
from session.reading import ME, Command, message

from xmppsh.model import Element
from xmppsh.xmlio.reader import read_element


async def test_what_runs_that_kept_up_and_died_had_read_is_not_read_again_by_the_next_one(
    run: Callable[..., Command],
) -> None:
    killed = run()
    killed.arrive(1, 2)
    assert await killed.read(2) == [1, 2]
    killed.arrive_together(*range(3, 13))
    assert killed.take_together(2) == [3, 4]
    killed.die()
    again = run()
    again.arrive(0)
    assert await again.read(1) == [0]
    again.reader.done()
    again.die()
    listen = run()
    listen.arrive(*range(13))  # no ack of either has reached the server
    assert await listen.read(8) == [*range(5, 13)]
    listen.reader.cancel()
    listen.file.end(is_acked=True)
    assert not list(listen.path.parent.glob("*.printed-*")), "the server gives none of them back"


@pytest.mark.parametrize(
    "forged",
    [
        message(2, by="mallory@example.net"),
        read_element(
            f"<message id='m2'><x xmlns='urn:x'><stanza-id xmlns='urn:xmpp:sid:0' by='{ME}' id='s2'/></x></message>"
        ),
    ],
    ids=["of another server", "within another element"],
)
async def test_a_stanza_id_that_somebody_else_has_written_hides_nothing(
    run: Callable[..., Command], forged: Element
) -> None:
    listen = run()
    listen.arrive(1, 2)
    assert await listen.read(2) == [1, 2]
    listen.bus.publish(message(3), (2, 1))
    listen.bus.publish(forged, (2, 2))
    assert await listen.read(2) == [3, 2]


def copy(number: int, by: str = ME) -> Element:
    """What another client of ours was sent, as our server copies it."""
    inner = message(number).xml.replace("<message ", "<message xmlns='jabber:client' ")
    return read_element(
        f"<message from='{by}'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>{inner}"
        "</forwarded></received></message>"
    )


async def test_a_copy_of_what_was_read_is_not_read_unless_somebody_else_sends_it(run: Callable[..., Command]) -> None:
    listen = run()
    listen.arrive(1, 2)
    assert await listen.read(2) == [1, 2]
    copies = [copy(1), copy(2, by="mallory@example.net"), copy(3)]
    for at, one in enumerate(copies):
        listen.bus.publish(one, (2, at + 1))
    async with asyncio.timeout(15):
        assert [(await anext(listen.reader)).xml for _ in range(2)] == [one.xml for one in copies[1:]]
