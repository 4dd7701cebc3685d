"""What runs beside something else never outlives who began it."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from xmppsh import tasks
from xmppsh.tasks import apart, ended, first, others_done, running, unless


class Worker:
    """Works for ever, and tells when it has been stopped and has cleared away."""

    def __init__(self) -> None:
        self.begun, self.cleared = asyncio.Event(), False

    async def work(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # clearing away takes a turn of the loop
            self.cleared = True


async def nothing() -> str:
    return "done"


async def fails() -> str:
    raise ValueError("broken")


async def test_what_runs_for_a_block_has_cleared_away_behind_it() -> None:
    one, other = Worker(), Worker()
    async with running(one.work(), other.work()):
        await one.begun.wait()
        await other.begun.wait()
    assert (one.cleared, other.cleared) == (True, True)


async def test_an_error_in_the_block_ends_what_runs_and_goes_on() -> None:
    worker = Worker()

    async def block() -> None:
        async with running(worker.work()):
            await worker.begun.wait()
            await fails()

    with pytest.raises(ValueError, match="broken"):
        await block()
    assert worker.cleared


async def test_the_first_that_ends_ends_the_others() -> None:
    worker = Worker()

    async def after() -> None:
        await worker.begun.wait()

    await first(worker.work(), after())
    assert worker.cleared


async def test_how_the_first_one_ended_is_not_asked_for() -> None:
    await first(fails())


async def test_time_ends_all_of_them() -> None:
    worker = Worker()
    await first(worker.work(), timeout_s=0.01)
    assert worker.cleared


async def test_ending_takes_what_has_ended_as_it_is() -> None:
    done = asyncio.ensure_future(nothing())
    assert await done == "done"
    await ended(done)
    assert done.result() == "done"


async def test_work_gives_its_result_while_the_watch_goes_on() -> None:
    async with running(Worker().work()) as (watch,):
        assert await unless(watch, asyncio.ensure_future(nothing())) == "done"
        assert not watch.done()


async def test_a_watch_that_fails_stops_the_work() -> None:
    worker = Worker()

    async def watching() -> None:
        await worker.begun.wait()
        raise ValueError("the screen is gone")

    async with running(watching()) as (watch,):
        with pytest.raises(ValueError, match="the screen is gone"):
            await unless(watch, asyncio.ensure_future(worker.work()))
    assert worker.cleared


async def test_blocking_work_gives_its_result_or_its_error() -> None:
    assert await apart(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await apart(lambda: 1 // 0)


async def test_blocking_work_is_left_behind_by_who_does_not_wait_any_more() -> None:
    release, begun, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait()

    waiting = asyncio.ensure_future(apart(work))
    await begun.wait()
    await ended(waiting)
    assert waiting.cancelled()
    release.set()


async def test_others_at_work_are_waited_for_until_they_are_done_or_for_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "POLL_S", 0.0)
    monkeypatch.setattr(tasks, "TOLD_S", 0.0)
    told: list[str] = []
    looks = [True, True, True, False]
    assert await others_done(lambda: looks.pop(0), 60.0, lambda: told.append("waiting"))
    assert (looks, told) == ([], ["waiting"])
    assert not await others_done(lambda: False, 60.0, lambda: told.append("never"))
    clock = iter([0.0, 30.0, 61.0])  # when it begins, and at each look
    monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert await others_done(lambda: True, 60.0, lambda: None)
    assert told == ["waiting"]
