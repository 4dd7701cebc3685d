"""Happy eyeballs over a plan: what is dialled when, what wins, what the error tells."""

import asyncio
import select
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from typing import Any

import pytest
from support.clock import Clock
from support.places import FILLERS, BlackHole, black_hole, listening, no_socket_left, open_sockets, refused
from support.reset import RESET_ON_CLOSE

from xmppsh.errors import ConnectError, NameNotFound
from xmppsh.model import Candidate
from xmppsh.net.attempts import no_answer, told
from xmppsh.net.dial import STAGGER_S, Connected, Dialler, interleaved

V4, V6 = "127.0.0.1", "::1"
SLACK_S = 1.0  # for a busy machine, and less than the time-out of any place here


def at(port: int, *addresses: str, host: str = "", tls: Any = "starttls") -> Candidate:
    """A candidate; its host is its address when it has but one."""
    return Candidate(host or (addresses[0] if len(addresses) == 1 else "name.example"), port, tls, "test", addresses)


async def nobody_asks(place: Candidate, _family: int) -> Sequence[str]:
    raise AssertionError(f"{place.host} was looked up")


def dialler(*plan: Candidate, within_s: float = 5.0, **more: Any) -> Dialler:
    return Dialler(plan, asyncio.get_running_loop().time() + within_s, more.pop("look_up", nobody_asks), **more)


async def reached(dialler: Dialler) -> tuple[str, float]:
    """The place that took the connection, and the seconds it took."""
    begun = time.monotonic()
    connected = await dialler.next()
    took_s = time.monotonic() - begun
    assert connected is not None, told(dialler.attempts)
    connected.sock.close()
    return str(connected.attempt), took_s


async def test_the_best_place_is_dialled_alone_as_long_as_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)  # no time passes: nobody is waited for
    async with listening() as best, listening() as other:
        place, _ = await reached(dialler(at(best.port, V4), at(other.port, V4)))
        assert place == f"127.0.0.1:{best.port}"
        await clock.passes(2 * STAGGER_S)
        assert other.connections == 0


async def test_why_a_connection_failed_is_told_in_the_words_of_the_system() -> None:
    with socket.create_server((V4, 0)) as listener:
        port = listener.getsockname()[1]
        dialling = dialler(at(port, V4))
        outcome = asyncio.ensure_future(dialling.next())
        while not select.select([listener], [], [], 0)[0]:  # noqa: ASYNC110 - each turn of the loop counts
            await asyncio.sleep(0)
        taken, _ = listener.accept()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        taken.close()  # a reset, before the loop looks at what came of the connection
        assert await outcome is None
    assert told(dialling.attempts) == f"127.0.0.1:{port} connection reset by peer"


async def test_after_a_refusal_the_next_place_is_dialled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)  # no time passes: nobody is waited for
    async with listening() as good:
        with refused() as dead:
            place, _ = await reached(dialler(at(dead, V4), at(good.port, V4)))
    assert place == f"127.0.0.1:{good.port}"


async def test_a_black_hole_costs_the_stagger_and_no_more() -> None:
    async with listening() as good:
        with black_hole() as hole:
            place, took_s = await reached(dialler(at(hole, V4), at(good.port, V4)))
    assert place == f"127.0.0.1:{good.port}"
    assert STAGGER_S <= took_s < STAGGER_S + SLACK_S


async def test_a_black_holed_ipv6_address_does_not_hold_the_ipv4_one_back() -> None:
    async with listening() as good:
        with black_hole(socket.AF_INET6, good.port):
            place, took_s = await reached(dialler(at(good.port, V6, V4)))
    assert place == f"127.0.0.1:{good.port}"
    assert STAGGER_S <= took_s < STAGGER_S + SLACK_S


async def test_three_bad_places_cost_their_staggers_and_not_their_timeouts() -> None:
    async with listening() as good, AsyncExitStack() as stack:
        holes = [stack.enter_context(black_hole()) for _ in range(3)]
        place, took_s = await reached(dialler(*(at(hole, V4) for hole in holes), at(good.port, V4)))
    assert place == f"127.0.0.1:{good.port}"
    assert 3 * STAGGER_S <= took_s < 3 * STAGGER_S + SLACK_S


async def test_who_lost_is_tried_again_when_the_winner_was_no_good() -> None:
    async with listening() as winner:
        with black_hole() as hole:
            both = dialler(at(hole, V4), at(winner.port, V4), within_s=1.0)
            await reached(both)
            assert both.left == 1
            assert await both.next() is None
    assert told(both.attempts) == f"127.0.0.1:{hole} timed out"


async def test_every_failure_is_told_in_the_order_of_the_plan() -> None:
    with refused() as dead, black_hole(socket.AF_INET6) as hole, refused(socket.AF_INET6) as dead6:
        nobody = dialler(at(hole, V6), at(dead, V4), at(dead6, V6), within_s=1.0)
        begun = time.monotonic()
        assert await nobody.next() is None
        assert time.monotonic() - begun < 1.0 + SLACK_S
        error = no_answer("example.org", nobody.attempts, "xmppsh doctor")
    assert (type(error), error.exit_code, error.layer, error.hint) == (ConnectError, 69, "tcp", "xmppsh doctor")
    log = f"[::1]:{hole} timed out, 127.0.0.1:{dead} refused, [::1]:{dead6} refused"
    assert str(error) == f"example.org: no address answers ({log})"


async def test_what_nobody_had_time_for_is_told() -> None:
    with black_hole() as hole, refused() as dead:
        late = dialler(at(hole, V4), at(dead, V4), within_s=STAGGER_S / 2)
        assert await late.next() is None
        assert told(late.attempts) == f"127.0.0.1:{hole} timed out, 127.0.0.1:{dead} refused"
        later = dialler(at(hole, V4), at(dead, V4), within_s=0.0)
        assert await later.next() is None
    assert told(later.attempts) == f"127.0.0.1:{hole} was not tried in time, 127.0.0.1:{dead} was not tried in time"
    error = no_answer("example.org", later.attempts, "xmppsh doctor")
    assert str(error) == "example.org: the time to connect was over before an address was tried"
    assert (error.exit_code, error.layer, error.hint) == (75, "tcp", "--connect-timeout S waits longer")


async def test_no_place_may_eat_more_than_half_of_the_time_but_the_last() -> None:
    begun = time.monotonic()
    ends: dict[str, float] = {}

    def log(_level: int, text: str) -> None:
        if text.endswith("timed out"):
            ends[text.split()[0]] = time.monotonic() - begun

    with black_hole() as hole, black_hole() as last:
        plan = dialler(at(hole, V4), at(last, V4), within_s=4.0, log=log)
        assert await plan.next() is None
    # A timer is late on a busy machine, and never early: 0.1 s for the clock.
    assert 1.9 < ends[f"127.0.0.1:{hole}"] < 3.9 < ends[f"127.0.0.1:{last}"]


@pytest.mark.parametrize(("family", "place", "outcome"), [
    (socket.AF_INET, "127.0.0.1", "[::1]:{port} is not an address of this family (IPv4)"),
    (socket.AF_INET6, "[::1]", "127.0.0.1:{port} is not an address of this family (IPv6)"),
])  # fmt: skip
async def test_one_family_alone_is_dialled_when_that_is_wanted(family: int, place: str, outcome: str) -> None:
    async with listening() as v4, listening(family=socket.AF_INET6, port=v4.port) as v6:
        one = dialler(at(v4.port, V6, V4), family=family)
        assert (await reached(one))[0] == f"{place}:{v4.port}"
        assert one.left == 0
        assert v4.connections + v6.connections <= 1
        other = at(v4.port, V4 if family == socket.AF_INET6 else V6)
        none = dialler(other, family=family)
        assert await none.next() is None
        assert told(none.attempts) == outcome.format(port=v4.port)


@pytest.mark.parametrize(("given", "dialled"), [
    ([], []),
    (["::1"], ["::1"]),
    (["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"], ["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"]),
    (["1.1.1.1", "2.2.2.2", "::1"], ["1.1.1.1", "::1", "2.2.2.2"]),
])  # fmt: skip
def test_the_families_take_turns(given: list[str], dialled: list[str]) -> None:
    assert interleaved(given) == dialled


async def test_the_same_address_is_dialled_once() -> None:
    with refused() as dead:
        twice = dialler(at(dead, V4, host="a.example"), at(dead, V4, host="b.example"), at(dead, V4, tls="direct"))
        assert await twice.next() is None
    assert told(twice.attempts) == f"127.0.0.1:{dead} refused, 127.0.0.1:{dead} refused"  # the second by direct TLS


# ── Names that are looked up on the way ─────────────────────────────────────────────────────────────────────────────


async def test_a_name_without_addresses_is_looked_up_and_all_its_addresses_are_tried() -> None:
    asked = []

    async def look_up(place: Candidate, family: int) -> Sequence[str]:
        asked.append((place.host, family))
        return [V6, V4]

    async with listening() as good:
        with refused(socket.AF_INET6, good.port):
            plan = dialler(at(good.port, host="name.example"), look_up=look_up, family=socket.AF_UNSPEC)
            assert (await reached(plan))[0] == f"127.0.0.1:{good.port}"
    assert asked == [("name.example", socket.AF_UNSPEC)]


async def test_a_name_that_nobody_answers_for_does_not_hold_the_next_place_back() -> None:
    async def look_up(_place: Candidate, _family: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with listening() as good:
        place, took_s = await reached(dialler(at(1, host="slow.example"), at(good.port, V4), look_up=look_up))
    assert place == f"127.0.0.1:{good.port}"
    assert took_s < STAGGER_S + SLACK_S


async def test_names_that_do_not_exist_are_another_error_than_places_that_do_not_answer() -> None:
    async def look_up(place: Candidate, _family: int) -> Sequence[str]:
        missing = place.host == "none.example"
        raise socket.gaierror(socket.EAI_NONAME if missing else socket.EAI_AGAIN, "cannot be looked up")

    none = dialler(at(1, host="none.example"), look_up=look_up)
    assert await none.next() is None
    missing = no_answer("example.org", none.attempts, "")
    assert isinstance(missing, NameNotFound)
    assert str(missing) == "example.org: the server's name does not exist (none.example:1 no such name)"
    both = dialler(at(1, host="none.example"), at(2, host="failing.example"), look_up=look_up)
    assert await both.next() is None
    error = no_answer("example.org", both.attempts, "")
    assert type(error) is ConnectError
    assert "failing.example:2 cannot be looked up" in str(error)


# ── Nothing is left behind ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("error")  # of a socket that the garbage collector had to close
async def test_no_socket_is_left_by_who_failed_or_was_called_off() -> None:
    with black_hole() as hole, refused() as dead:
        before = open_sockets()
        for _ in range(20):
            called_off = dialler(at(hole, V4), at(dead, V4), at(hole, V4, tls="direct"))
            task = asyncio.create_task(called_off.next())
            await asyncio.wait([task], timeout=0.01)
            task.cancel()
            await asyncio.wait([task])
            assert called_off.left >= 1
        assert open_sockets() == before


@pytest.mark.filterwarnings("error")
async def test_no_socket_is_left_by_who_lost_a_close_race() -> None:
    async with no_socket_left():
        with closing(BlackHole()) as one, closing(BlackHole()) as other:
            before = open_sockets()
            both = dialler(at(one.port, V4), at(other.port, V4))
            racing = asyncio.create_task(both.next())
            await asyncio.wait([racing], timeout=2 * STAGGER_S)
            for hole in (one, other):
                hole.open()
            time.sleep(1.5)  # noqa: ASYNC251 - the machine is so busy that both connections stand when the loop looks again
            connected = await racing
            assert isinstance(connected, Connected)
            assert (str(connected.attempt), both.left) == (f"127.0.0.1:{one.port}", 1)
            connected.sock.close()
            assert open_sockets() == before - 2 * FILLERS
