"""When the witness asks, when it suspects, and when alone it closes: its judgement without a network."""

import random

import pytest
from witness.world import JULIET, SM, World

from xmppsh.model import Jid
from xmppsh.protocol.sm import MODULUS, ResumableSession, Resumption
from xmppsh.witness import judgement as module
from xmppsh.witness.judgement import (
    BUSY_S,
    INTERVAL_S,
    NEXT,
    PATIENCE_S,
    Check,
    LetGo,
    Ping,
    Reply,
    State,
    TakeOver,
    Tell,
)

PHONE = Jid.parse("juliet@example.org/phone")
LONGEST_PACKET_LOSS_S = 3.0
LAST_RETRY_S = 6.2  # when TCP sends what was lost then at the latest
PROMISE_S = 10.0


@pytest.fixture
def world() -> World:
    return World()


def test_a_session_that_answers_is_asked_again_and_again_and_nothing_else_happens(world: World) -> None:
    world.announce()
    for number in range(50):
        check, ping = world.wait(INTERVAL_S if number else 0)  # the first time at once
        assert check == Check(JULIET, "sm1", last=False)
        assert isinstance(ping, Ping)
        world.pong()
        world.alive()
    assert world.told() == ["watching"]


def test_a_silent_session_is_asked_twice_then_warned_and_then_closed(world: World) -> None:
    world.announce(handled=7)
    world.until_closing()
    assert [check.last for check in world.all(Check)] == [False, False, True]  # type: ignore[attr-defined]
    assert world.done[-1] == TakeOver(JULIET, ResumableSession(SM, 7))
    assert world.told() == ["watching", "silent"]


def test_a_silent_session_is_closed_in_the_time_that_is_promised() -> None:
    for phase in range(16):
        world = World()
        world.announce()
        world.wait(INTERVAL_S)
        world.pong()
        world.alive()  # it answers, and its cable is pulled somewhere before the next check
        pulled = world.now + phase * INTERVAL_S / 16
        world.until_closing()
        assert LAST_RETRY_S < world.now - pulled < PROMISE_S - 1.0, "a second is left for the takeover itself"


def test_a_link_that_loses_everything_for_3_s_is_never_closed() -> None:
    source = random.Random(4)
    for _ in range(300):
        world = World()
        world.announce()
        lost_at = world.now + source.uniform(0, 2 * INTERVAL_S)
        # What is sent in the hole arrives with the first retry behind it.
        back_at = lost_at + source.uniform(LONGEST_PACKET_LOSS_S, LAST_RETRY_S)
        while world.now < back_at:
            checks = [action for action in world.wait(0.05) if isinstance(action, Check)]
            while world.pings:
                world.pong()
            if checks and world.now < lost_at:
                world.alive()
        world.alive()
        assert not world.all(TakeOver)
        assert world.wait(INTERVAL_S), "it is asked again"


def test_a_witness_whose_own_link_is_dead_closes_nobody(world: World) -> None:
    world.announce()
    world.wait(3600)
    assert [type(action) for action in world.done] == [Tell, Check, Ping]


@pytest.mark.parametrize("answered", [1, 2])
def test_without_the_next_answer_of_the_server_no_miss_counts(world: World, answered: int) -> None:
    world.announce()
    world.wait(INTERVAL_S)
    for _ in range(answered):
        world.pong()
        world.wait(PATIENCE_S)
    world.wait(3600)
    assert not world.all(TakeOver)
    assert len(world.all(Check)) == answered + 1


def test_a_slow_link_of_the_witness_takes_no_time_from_the_session(world: World) -> None:
    world.announce()
    world.wait(INTERVAL_S)
    world.wait(30)  # the check is under way
    world.pong()
    assert not world.wait(PATIENCE_S - 0.01)
    world.wait(0.02)
    assert world.told()[-1] == "silent"


def test_a_pong_proves_what_was_asked_before_its_ping_and_nothing_behind_it(world: World) -> None:
    world.announce()
    world.wait(0.5)
    world.announce(PHONE, Resumption("sm2"))
    world.wait(INTERVAL_S)
    assert len(world.pings) == 2
    world.pong()
    silent = [action.jid for action in world.wait(PATIENCE_S + 1) if isinstance(action, Tell)]
    assert silent == [JULIET]


def test_a_pong_behind_the_answer_changes_nothing(world: World) -> None:
    world.announce()
    world.wait(0)
    world.alive()
    assert world.pong() == []
    assert world.wait(INTERVAL_S)[0] == Check(JULIET, "sm1", last=False)


def test_one_ping_stands_behind_all_checks_of_a_moment(world: World) -> None:
    for number in range(20):
        world.announce(JULIET.with_resource(f"r{number}"), Resumption(f"sm{number}"))
    assert [type(action) for action in world.wait(INTERVAL_S)] == [Check] * 20 + [Ping]


@pytest.mark.parametrize("state", list(State))
def test_a_sign_of_life_counts_in_every_state(world: World, state: State) -> None:
    world.announce()
    reached = State.WAITING
    while reached is not state:
        world.wait(INTERVAL_S if reached is State.WAITING else PATIENCE_S)
        reached = next(to for (origin, _), to in NEXT.items() if origin is reached)
        if reached is not state and world.pings:
            world.pong()
            reached = next(to for (origin, _), to in NEXT.items() if origin is reached)
            if reached is state:
                break
    del world.done[:]
    world.alive()
    assert world.all(LetGo) == ([LetGo("sm1")] if state is State.CLOSING else [])
    suspected = state in (State.SECOND_SENT, State.SECOND_DELIVERED, State.LAST_SENT, State.CLOSING)
    assert world.told() == (["alive"] if suspected else [])
    assert world.wait(INTERVAL_S)[0] == Check(JULIET, "sm1", last=False)


def test_a_session_that_reads_nothing_is_not_asked_as_long_as_it_says_that_it_lives(world: World) -> None:
    world.announce()
    for _ in range(100):
        world.alive(busy=True)
        assert not world.wait(BUSY_S - 0.1)
    world.until_closing()


def test_the_count_of_a_session_moves_forward_alone(world: World) -> None:
    world.announce(handled=MODULUS - 2)
    world.alive(3)
    world.alive(MODULUS - 1)  # repeated after a resumption
    world.alive(None)
    world.until_closing()
    assert world.done[-1] == TakeOver(JULIET, ResumableSession(SM, 3))


# ── Sessions that end ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_check_that_comes_back_is_no_silence_and_the_session_is_forgotten(world: World) -> None:
    world.announce()
    world.wait(INTERVAL_S)
    world.do(world.witness.bounced(world.now, JULIET, "sm1"))
    assert world.told() == ["watching", "gone"]
    assert world.witness.next_due is None


def test_an_error_that_tells_nothing_begins_anew(world: World) -> None:
    world.announce()
    for _ in range(5):
        world.wait(INTERVAL_S)
        world.pong()
        world.wait(PATIENCE_S)
        world.do(world.witness.undecided(world.now, "sm1"))
        world.pings.clear()
    assert not world.all(TakeOver)


def test_an_answer_from_another_address_or_about_another_session_is_no_sign_of_life(world: World) -> None:
    world.announce()
    world.announce(PHONE, Resumption("sm2"))
    world.do(world.witness.heard(world.now, PHONE, "sm1", 99))
    world.do(world.witness.bounced(world.now, PHONE, "sm1"))
    world.until_closing()
    assert TakeOver(JULIET, ResumableSession(SM, 0)) in world.done


def test_a_new_session_of_the_same_address_takes_the_place_of_the_former_one(world: World) -> None:
    world.announce()
    world.announce(resumption=Resumption("sm2"))
    assert world.told() == ["watching", "gone", "watching"]
    assert [check.sm_id for check in world.wait(INTERVAL_S) if isinstance(check, Check)] == ["sm2"]


def test_a_new_stream_of_the_witness_begins_anew_with_everybody(world: World) -> None:
    world.announce()
    for _ in range(2):
        world.wait(INTERVAL_S + PATIENCE_S)
        world.pong()
        world.wait(PATIENCE_S)
    world.pings.clear()
    world.do(world.witness.link_up(world.now))
    del world.done[:]
    assert world.wait(0)[0] == Check(JULIET, "sm1", last=False)
    world.until_closing()
    assert len(world.all(Check)) == 3
    world.alive()
    assert world.told() == ["alive"], "that it was silent was told before"


# ── How it ended ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_owner_of_a_closed_session_is_told_its_final_count(world: World) -> None:
    world.announce()
    world.until_closing()
    world.do(world.witness.closed(world.now, "sm1", 42))
    assert world.done[-1] == Tell("closed", JULIET, pytest.approx(2 * PATIENCE_S, abs=0.1), 42)  # type: ignore[arg-type]
    assert world.do(world.witness.asked("q", "sm1")) == [Reply("q", "sm1", True, 42)]
    assert world.do(world.witness.asked("q", "sm1")) == [Reply("q", "sm1", True, 42)], "as often as it asks"


def test_an_owner_who_asks_during_the_takeover_is_answered_at_its_end(world: World) -> None:
    world.announce()
    world.until_closing()
    assert world.do(world.witness.asked("q", "sm1")) == []
    assert Reply("q", "sm1", True, 5) in world.do(world.witness.closed(world.now, "sm1", 5))


@pytest.mark.parametrize("end", ["failed", "alive"])
def test_an_owner_who_asks_during_a_takeover_that_comes_to_nothing_is_told_so(world: World, end: str) -> None:
    world.announce()
    world.until_closing()
    world.do(world.witness.asked("q", "sm1"))
    actions = world.alive() if end == "alive" else world.do(world.witness.not_closed(world.now, "sm1"))
    assert Reply("q", "sm1", False, None) in actions


def test_a_takeover_that_failed_is_tried_again_and_silence_is_told_once(world: World) -> None:
    world.announce()
    for checks in (3, 6):
        world.until_closing()
        assert len(world.all(Check)) == checks
        world.do(world.witness.not_closed(world.now, "sm1"))
        world.done = [action for action in world.done if not isinstance(action, TakeOver)]
    world.alive()
    assert world.told() == ["watching", "silent", "alive"]


def test_a_session_that_ended_by_a_takeover_without_a_count_is_closed_all_the_same(world: World) -> None:
    world.announce()
    world.until_closing()
    world.do(world.witness.not_closed(world.now, "sm1"))  # Prosody: a resumption with too low an h destroys it
    world.wait(0)
    world.do(world.witness.bounced(world.now, JULIET, "sm1"))
    assert world.told() == ["watching", "silent", "closed"]
    assert world.witness.asked("q", "sm1") == [Reply("q", "sm1", True, None)]


def test_an_owner_who_knows_that_a_session_is_over_ends_the_watch(world: World) -> None:
    world.announce()
    world.wait(INTERVAL_S)
    assert world.do(world.witness.asked("q", "sm1")) == [Tell("gone", JULIET), Reply("q", "sm1", False, None)]
    assert world.do(world.witness.asked("q", "sm1")) == [Reply("q", "sm1", False, None)]
    assert world.witness.next_due is None


def test_what_is_watched_and_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WATCHED", 3)
    monkeypatch.setattr(module, "MAX_CLOSED", 2)
    for number in range(3):
        world.announce(JULIET.with_resource(f"r{number}"), Resumption(f"sm{number}"))
    assert world.witness.announced(world.now, PHONE, ResumableSession(Resumption("sm9"), 0)) is None
    assert world.announce(JULIET.with_resource("r1"), Resumption("sm1")) == [], "who is watched already may go on"
    for number in range(3):
        world.do(world.witness.closed(world.now, f"sm{number}", number))
    known = [world.witness.asked("q", f"sm{number}")[0] for number in range(3)]
    assert known == [Reply("q", "sm0", False, None), Reply("q", "sm1", True, 1), Reply("q", "sm2", True, 2)]


def test_every_state_but_the_last_leads_on_by_one_signal() -> None:
    assert sorted(state for state, _ in NEXT) == sorted(set(State) - {State.CLOSING})
