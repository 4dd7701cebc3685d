"""Whether another try makes sense, when it is made, and when silence means a dead link."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.clock import Clock

from xmppsh import errors
from xmppsh.connection import reconnect
from xmppsh.connection.reconnect import FAULTS_OF_RESUMED, FINAL_CONDITIONS, Reconnector, may_reconnect, watch
from xmppsh.errors import ConnectionLost, SaslError, StreamError, XmppshError
from xmppsh.protocol.backoff import CAP_S, FIRST_S, Backoff
from xmppsh.protocol.sm import HandledCountTooHigh

AGAIN, NEVER = True, False


def unproven(error: XmppshError) -> XmppshError:
    """From somebody who had not proved to be the server."""
    error.unproven = True
    return error


ERRORS: list[tuple[XmppshError | None, bool]] = [
    (None, AGAIN),
    *((StreamError(condition), NEVER) for condition in sorted(FINAL_CONDITIONS)),
    *((StreamError(condition), AGAIN) for condition in ("system-shutdown", "reset", "connection-timeout")),
    *((StreamError(condition), AGAIN) for condition in ("internal-server-error", "resource-constraint")),
    *((StreamError(condition), AGAIN) for condition in ("remote-connection-failed", "undefined-condition")),
    *((SaslError.refused("a@b", condition), NEVER) for condition in ("not-authorized", "account-disabled")),
    *((SaslError.refused("a@b", condition), NEVER) for condition in ("credentials-expired", "invalid-mechanism")),
    (SaslError("no mechanism in common"), NEVER),
    (SaslError.refused("a@b", "temporary-auth-failure"), AGAIN),
    (errors.TlsError("certificate is for a.net, not example.org"), NEVER),
    (errors.ProtocolViolation("the server sent <x/>"), NEVER),
    (errors.ProtocolError("the server sent bad XML"), NEVER),
    (HandledCountTooHigh(9, 3, 0), NEVER),
    (errors.IoError("no space left"), NEVER),
    (errors.UsageError("--tls off is refused"), NEVER),
    (errors.NameNotFound("no such name"), AGAIN),
    (errors.LookupFailed("no name server answers"), AGAIN),
    (errors.ServiceRefused("no XMPP there"), AGAIN),
    (errors.ConnectError("connection refused"), AGAIN),
    (ConnectionLost("reset by peer"), AGAIN),
    (unproven(errors.TlsError("certificate is for portal.example, not example.org")), AGAIN),
    (unproven(errors.ProtocolError("the server does not speak XMPP")), AGAIN),
    (unproven(StreamError("host-unknown")), AGAIN),
    (unproven(errors.UsageError("--ca is gone")), NEVER),
    (errors.DeadlineExceeded("does not answer"), AGAIN),
]


@pytest.mark.parametrize(("error", "expected"), ERRORS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("resumed", [False, True])
def test_only_what_may_pass_is_tried_again(error: XmppshError | None, expected: bool, resumed: bool) -> None:
    if resumed and error is not None and error.condition in FAULTS_OF_RESUMED:
        expected = AGAIN  # measured: Prosody 0.12 feeds a resumed stream to the first one's parser
    assert may_reconnect(error, resumed=resumed) is expected


@pytest.mark.parametrize("condition", ["conflict", "not-authorized", "policy-violation", "host-unknown"])
def test_the_design_names_what_is_final(condition: str) -> None:
    assert condition in FINAL_CONDITIONS
    assert may_reconnect(StreamError(condition), resumed=False) is NEVER


# ── Delays ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_delays_double_up_to_a_cap_and_are_jittered(chance: float) -> None:
    backoff = Backoff(lambda: chance)
    delays = [backoff.next_s() for _ in range(1000)]
    share = 0.5 + 0.5 * chance
    assert delays[:4] == pytest.approx([FIRST_S * share * 2**turn for turn in range(4)])
    assert delays == sorted(delays)
    assert max(delays) == pytest.approx(CAP_S * share)
    backoff.reset()
    assert backoff.next_s() == pytest.approx(FIRST_S * share)


def test_an_outage_may_last_for_days() -> None:
    backoff = Backoff(lambda: 1.0)
    assert {backoff.next_s() for _ in range(20_000)} <= {FIRST_S * 2**turn for turn in range(8)} | {CAP_S}


class Sleeper(Clock):
    """A clock whose time passes only in sleeps, which end at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.now, self.slept = 1000.0, []  # type: tuple[float, list[float]]
        monkeypatch.setattr(reconnect.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def tries(*outcomes: XmppshError | None) -> tuple[Callable[[float], Any], list[float]]:
    """A connect that fails with these errors in turn, the last one for ever; and the limits it was given."""
    limits: list[float] = []

    async def connect(limit_s: float) -> None:
        limits.append(limit_s)
        outcome = outcomes[min(len(limits), len(outcomes)) - 1]
        if outcome is not None:
            raise outcome

    return connect, limits


async def test_tries_go_on_with_growing_delays_until_one_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = Sleeper(monkeypatch), []  # type: tuple[Sleeper, list[str]]
    connect, _ = tries(ConnectionLost("refused"), errors.LookupFailed("no answer"), ConnectionLost("reset"), None)
    await Reconnector(connect).run(ConnectionLost("cut"), None, lambda _, text: log.append(text))
    for turn, slept in enumerate(clock.slept):
        assert FIRST_S * 2**turn / 2 <= slept <= FIRST_S * 2**turn
    assert [text.partition(";")[0] for text in log][:4] == ["cut", "refused", "no answer", "reset"]


async def test_a_try_that_hung_gets_twice_the_time_and_one_that_was_refused_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, hangs, limits = Sleeper(monkeypatch), [False, True, True, False], []  # type: tuple[Sleeper, list[bool], list[float]]

    async def connect(limit_s: float) -> None:
        limits.append(limit_s)
        if not hangs:
            return
        if hangs.pop(0):
            clock.now += limit_s
            raise errors.DeadlineExceeded("does not answer")
        raise ConnectionLost("refused")

    await Reconnector(connect).run(None, None, lambda *_: None)
    assert limits == [reconnect.FIRST_TRY_S * times for times in (1, 1, 2, 4, 4)]


async def test_a_long_delay_does_not_swallow_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tried_at = Sleeper(monkeypatch), []  # type: tuple[Sleeper, list[float]]

    async def connect(_limit_s: float) -> None:
        tried_at.append(clock.now - 1000.0)
        raise ConnectionLost("refused")

    with pytest.raises(ConnectionLost):
        await Reconnector(connect).run(None, 30.0, lambda *_: None)
    assert 29.0 <= tried_at[-1] <= 30.0


@pytest.mark.parametrize("give_up_s", [0.0, 1.0, 60.0, 600.0])
async def test_the_last_error_ends_it_before_the_time_to_give_up(
    give_up_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, refused = Sleeper(monkeypatch), ConnectionLost("refused")
    connect, limits = tries(refused)
    cut = ConnectionLost("cut")
    with pytest.raises(ConnectionLost) as caught:
        await Reconnector(connect).run(cut, give_up_s, lambda *_: None)
    assert caught.value is (refused if limits else cut)
    assert clock.now <= 1000.0 + give_up_s
    assert bool(limits) == (give_up_s > 0)
    assert max(clock.slept, default=0.0) <= CAP_S


@pytest.mark.parametrize(
    ("error", "answers", "lasted_s", "told"),
    [
        (errors.StreamError("system-shutdown"), True, 0.0, 1),
        (errors.StreamError("system-shutdown"), True, reconnect.STEADY_S, 6),
        (ConnectionLost("cut"), True, 0.0, 6),
        (ConnectionLost("cut"), False, 0.0, 1),
        (ConnectionLost("cut"), False, reconnect.STEADY_S, 6),
    ],
)
async def test_a_server_that_lets_us_in_only_to_throw_us_out_is_asked_less_often_and_told_of_once(
    error: XmppshError, answers: bool, lasted_s: float, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, log = Sleeper(monkeypatch), []  # type: tuple[Sleeper, list[int]]
    reconnector = Reconnector(tries(None)[0])
    for _ in range(6):
        await reconnector.run(error, None, lambda level, _: log.append(level))
        reconnector.on_live(int(answers))
        clock.now += lasted_s
    assert log.count(0) == told
    grows = told == 1
    assert all(
        FIRST_S * 2 ** (turn * grows) / 2 <= slept <= FIRST_S * 2 ** (turn * grows)
        for turn, slept in enumerate(clock.slept)
    )


async def test_an_error_that_will_not_pass_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Sleeper(monkeypatch)
    connect, limits = tries(ConnectionLost("refused"), SaslError.refused("a@b", "not-authorized"))
    with pytest.raises(SaslError):
        await Reconnector(connect).run(None, None, lambda *_: None)
    assert len(limits) == 2


# ── A dead link ─────────────────────────────────────────────────────────────────────────────────────────────────


class Watched:
    """A link under watch: `calls` gets `ask` and `dead`."""

    def __init__(self, patience: Callable[[], float | None], clock: Callable[[], float] = time.time) -> None:
        self.stirred = asyncio.Event()
        self.calls: asyncio.Queue[str] = asyncio.Queue()
        put = self.calls.put_nowait
        work = watch(self.stirred, patience, lambda: put("ask"), lambda: put("dead"), clock)
        self.task = asyncio.get_running_loop().create_task(work)

    async def next(self) -> str:
        async with asyncio.timeout(5):
            return await self.calls.get()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.mark.parametrize("backlog_s", [0.0, 0.5, 100.0])
@pytest.mark.parametrize("timeout_s", [0.1, 1.0, 1.9, 2.0, 3.0, 10.0, 30.0, 600.0])
def test_a_link_is_found_dead_well_before_or_well_after_the_end_of_the_waiting(
    timeout_s: float, backlog_s: float
) -> None:
    patience_s = reconnect.ack_patience_s(timeout_s, backlog_s)
    assert patience_s >= 1.0
    assert patience_s <= timeout_s / 2 or patience_s >= timeout_s + 1.0


async def test_a_link_that_owes_an_ack_and_is_silent_is_dead() -> None:
    watched = Watched(lambda: 0.01)
    assert await watched.next() == "dead"
    await watched.stop()


async def test_a_time_in_which_we_did_not_run_is_no_silence_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    watched = Watched(lambda: 1.0, lambda: clock.now)
    await clock.passes(1.1 + reconnect.STOPPED_S)  # all at once, as where the process was stopped
    assert watched.calls.get_nowait() == "ask"
    await clock.passes(1.1)
    assert watched.calls.get_nowait() == "dead"
    await watched.stop()


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_machine_that_was_suspended_asks_at_once(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    """The loop's clock stands still meanwhile; the one on the wall has jumped, forwards or, set by hand, backwards."""
    monkeypatch.setattr(reconnect, "LOOK_S", 0.01)
    monkeypatch.setattr(reconnect, "ACK_BASE_S", 0.05)
    looks = iter([0.0, jump])
    watched = Watched(lambda: None, lambda: time.time() + next(looks, jump))
    assert [await watched.next() for _ in range(2)] == ["ask", "dead"]
    await watched.stop()


async def test_an_idle_link_is_asked_first_and_dead_when_it_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "IDLE_S", 0.01)
    monkeypatch.setattr(reconnect, "ACK_BASE_S", 0.02)
    watched = Watched(lambda: None)
    assert [await watched.next() for _ in range(4)] == ["ask", "dead", "ask", "dead"]
    await watched.stop()


async def test_an_idle_link_that_answers_is_asked_again_and_never_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "IDLE_S", 0.01)
    watched = Watched(lambda: None)
    for _ in range(5):
        assert await watched.next() == "ask"
        watched.stirred.set()
    await watched.stop()


async def test_a_link_that_keeps_acknowledging_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = 0

    def patience() -> float | None:
        nonlocal rounds
        rounds += 1
        asyncio.get_running_loop().call_soon(watched.stirred.set)  # an ack, each time
        return 30.0 if rounds < 50 else 0.0

    watched = Watched(patience)
    while rounds < 50:
        assert watched.calls.empty()
        await asyncio.sleep(0)
    await watched.stop()
