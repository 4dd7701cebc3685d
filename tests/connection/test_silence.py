"""A link that says nothing: when it is asked, when it is given up, and what counts as a sign of life."""

import asyncio
from concurrent.futures import Future
from dataclasses import replace

import pytest
from connection.paper import Cut, ack
from protocol.playbook import NS
from support.clock import Clock

from xmppsh.connection.lasting import OFFLINE_S
from xmppsh.errors import Unconfirmed
from xmppsh.session.outbound import MAX_LIVES
from xmppsh.session.phase import Phase


def fall_silent(session: Cut) -> None:
    """The link is found dead; nobody heals it but the test."""
    session.connection._heal = lambda _: asyncio.Event().wait()  # type: ignore[assignment, return-value, method-assign]
    session.connection._on_silence()
    assert session.phase is Phase.LINGERING


async def test_a_session_is_resumed_from_every_silence_of_a_link_that_had_worked(session: Cut) -> None:
    driver = session.bound()
    for h in (1, 2, 3):
        session.message(f"m{h}")
        await asyncio.sleep(0)
        fall_silent(session)
        assert session.connection.sm is driver.stream.sm, "nothing to resume"
        driver = session.resumed(h - 1)
        driver.hear(ack(h))
    assert set(session.fates().values()) == {"acked"} or not session.fates()


async def test_a_session_that_never_acknowledges_anything_on_its_resumed_stream_is_given_up(session: Cut) -> None:
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    fall_silent(session)
    session.resumed(0)
    fall_silent(session)
    assert session.connection.sm is None  # measured on Prosody 0.12


async def test_a_server_may_be_silent_for_long_until_it_has_acknowledged_our_presence_and_not_what_came_before(
    session: Cut,
) -> None:
    driver = session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    session.broadcast_presence("<presence/>")
    await asyncio.sleep(0)
    driver.hear(ack(0))  # asked for before the message
    driver.hear(ack(1))
    assert session.connection.awaits_backlog
    session.cut()
    driver = session.resumed(1)
    assert session.connection._patience_s() == OFFLINE_S
    driver.hear(ack(2))
    assert not session.connection.awaits_backlog


async def test_an_ack_that_covers_nothing_new_is_a_sign_of_life(session: Cut) -> None:
    driver = session.bound()
    session.connection._activity.clear()
    session.on_idle()
    assert driver.written.endswith(f'<r xmlns="{NS["sm"]}"/>'.encode())
    driver.hear(ack(0))
    assert session.connection._activity.is_set()


async def test_without_stream_management_an_idle_link_is_asked_by_a_ping(session: Cut) -> None:
    driver = session.bound()
    driver.stream.sm = None
    session.connection._activity.clear()
    session.on_idle()
    ping = driver.written.rpartition(b"<iq")[2].decode()
    assert "urn:xmpp:ping" in ping
    stanza_id = ping.partition('id="')[2].partition('"')[0]
    driver.hear(f"<iq type='result' id='{stanza_id}'/>")
    assert session.connection._activity.is_set()


async def test_a_dead_link_is_noticed_while_another_one_can_still_bring_the_acknowledgement(session: Cut) -> None:
    session.bound()
    session.outbound.pace.rate = 1.0  # stanzas a second: the slowest server that there is
    for number in range(100):
        session.message(f"m{number}")
    await asyncio.sleep(0)
    patience_s = session.connection._patience_s()
    assert session.in_flight
    assert patience_s is not None
    assert patience_s <= session.options.timeout_s / 2


async def test_a_stream_that_comes_to_life_is_progress_and_a_link_that_breaks_again_and_again_no_silence(
    session: Cut,
) -> None:
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    for _ in range(MAX_LIVES - 1):
        session.cut()
        session.outbound.progress.clear()
        driver = session.resumed(0)
        assert session.outbound.progress.is_set()
    driver.hear(ack(1))
    session.cut()
    session.outbound.progress.clear()
    session.resumed(1)
    assert session.outbound.progress.is_set(), "the ack begins the count anew"


@pytest.mark.parametrize("resumes", [True, False], ids=["resumed", "bound anew"])
async def test_a_server_that_lets_us_in_again_and_again_and_handles_nothing_makes_no_progress(
    session: Cut, resumes: bool
) -> None:
    session.bound()
    session.message("m1")
    await asyncio.sleep(0)
    for _ in range(MAX_LIVES):
        session.cut()
        session.outbound.progress.clear()
        if resumes:
            session.resumed(0)
        else:
            session.bound(failed_h=0)
        await asyncio.sleep(0)
    assert not session.outbound.progress.is_set()


async def test_a_cut_that_may_still_heal_is_no_silence_of_the_server(session: Cut) -> None:
    session.options = replace(session.options, give_up_s=10.0)
    session.bound()
    number = session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    healed = asyncio.Event()
    session.connection._healing = asyncio.ensure_future(healed.wait())  # type: ignore[assignment]
    waiting = asyncio.ensure_future(session.acked(number, timeout_s=0.0))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done(), "the time for an acknowledgement is over, that for the cut is not"
    session.resumed(0).hear(ack(1))
    healed.set()
    await waiting


async def test_a_server_that_is_silent_on_a_working_link_is_given_up_after_the_timeout(session: Cut) -> None:
    session.options = replace(session.options, give_up_s=10.0)
    session.bound()
    number = session.message("m1")
    with pytest.raises(Unconfirmed):
        await session.acked(number, timeout_s=0.0)


async def test_a_server_that_acknowledges_nothing_after_a_cut_is_told_as_that_and_not_as_the_cut(session: Cut) -> None:
    session.bound()
    number = session.message("m1")
    await asyncio.sleep(0)
    session.cut()
    session.resumed(0)
    with pytest.raises(
        Unconfirmed, match=r"1 stanza was written and never acknowledged: .*acknowledge.* within 0\.01 s"
    ):
        await session.acked(number, 0.01)


async def test_the_time_that_our_own_disk_takes_is_no_silence_of_the_server(session: Cut) -> None:
    driver, stored = session.bound(), Future[None]()
    session.outbound._storing = stored, []
    waiting = asyncio.ensure_future(session.acked(session.message("m1"), timeout_s=0.0))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done(), "nothing has left"
    stored.set_result(None)
    session.outbound._finish_storing(stored)
    session.outbound._pump()
    driver.hear(ack(1))
    await waiting


async def test_each_of_many_who_wait_waits_anew_from_each_progress(
    session: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, clock = session.bound(), Clock(monkeypatch)
    numbers = [session.message(f"m{number}") for number in range(3)]
    waiting = [asyncio.ensure_future(session.acked(number, timeout_s=10.0)) for number in numbers]
    await clock.passes(9.0)
    driver.hear(ack(1))
    await clock.passes(9.0)
    assert [one.done() for one in waiting] == [True, False, False]
    await clock.passes(1.0)
    assert [one.exception() is not None for one in waiting] == [False, True, True]


async def test_the_time_for_an_acknowledgement_begins_when_the_stanza_has_left(
    session: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.bound()
    clock, stored = Clock(monkeypatch), Future[None]()
    session.outbound._storing = stored, []
    waiting = asyncio.ensure_future(session.acked(session.message("m1"), timeout_s=10.0))
    await clock.passes(9.0)
    stored.set_result(None)
    session.outbound._finish_storing(stored)
    session.outbound._pump()
    await clock.passes(9.0)
    assert not waiting.done()
    await clock.passes(1.0)
    assert isinstance(waiting.exception(), Unconfirmed)
