"""How much may be in flight, and how patient to be, follow from the server's measured speed."""

import pytest

from xmppsh.connection.pace import FIRST_RATE, FIRST_WINDOW, MIN_WINDOW, SMOOTHING, WORK_IN_FLIGHT_S, Pace


def measured(rate: float) -> Pace:
    pace = Pace()
    pace.rate = rate
    return pace


@pytest.mark.parametrize("limit", [0, 1, 50, FIRST_WINDOW, 1000])
def test_before_anything_is_measured_the_window_is_a_careful_guess(limit: int) -> None:
    assert Pace().window(limit) == min(limit, FIRST_WINDOW)


WINDOWS = [
    *((0.0, 1000, MIN_WINDOW), (1.0, 1000, MIN_WINDOW), (MIN_WINDOW / WORK_IN_FLIGHT_S, 1000, MIN_WINDOW)),
    *((150.0, 1000, 37), (1000.0, 1000, 250), (4000.0, 1000, 1000), (1e9, 1000, 1000)),
    *((1.0, 10, 10), (1e9, 10, 10), (1000.0, 0, 0)),
]


@pytest.mark.parametrize(("rate", "limit", "window"), WINDOWS)
def test_the_window_is_a_quarter_second_of_work_between_its_bounds(rate: float, limit: int, window: int) -> None:
    assert measured(rate).window(limit) == window


BACKLOGS = [
    *((None, 0, 0.0), (None, 100, 100 / FIRST_RATE), (150.0, 0, 0.0), (150.0, 300, 2.0)),
    *((0.5, 10, 10.0), (0.0, 10, 10.0), (1e6, 1000, 0.001)),
]


@pytest.mark.parametrize(("rate", "in_flight", "seconds"), BACKLOGS)
def test_the_backlog_is_what_the_server_needs_for_what_is_in_flight(
    rate: float | None, in_flight: int, seconds: float
) -> None:
    pace = Pace()
    pace.rate = rate
    assert pace.backlog_s(in_flight) == pytest.approx(seconds)


def test_the_first_ack_is_the_first_measure() -> None:
    pace = Pace()
    pace.on_sent(10.0)
    pace.on_sent(10.9)  # more left meanwhile: the server has worked since the first
    pace.on_acked(50, 0, 11.0)
    assert pace.rate == pytest.approx(50.0)


def test_a_later_measure_moves_the_average_and_does_not_replace_it() -> None:
    pace = Pace()
    pace.on_sent(0.0)
    pace.on_acked(100, 100, 1.0)
    pace.on_acked(100, 0, 1.5)
    assert pace.rate == pytest.approx(100 + SMOOTHING * 100)


def test_the_time_in_which_nothing_was_in_flight_is_not_the_servers() -> None:
    pace = Pace()
    pace.on_sent(0.0)
    pace.on_acked(10, 0, 1.0)
    pace.on_sent(100.0)
    pace.on_acked(10, 0, 101.0)
    assert pace.rate == pytest.approx(10.0)


def test_neither_is_the_time_of_a_cut() -> None:
    pace = Pace()
    pace.on_sent(0.0)
    pace.on_acked(20, 10, 1.0)
    pace.on_pause(1.0)
    pace.on_acked(10, 0, 100.0)  # what <resumed h/> released
    assert pace.rate == pytest.approx(20.0)
    pace.on_sent(100.0)
    pace.on_acked(10, 0, 101.0)
    assert pace.rate == pytest.approx(20.0), "what the resumption released counts for the time before the cut"


def test_an_ack_of_nothing_measures_nothing() -> None:
    pace = Pace()
    pace.on_sent(0.0)
    pace.on_acked(0, 3, 1.0)
    assert pace.rate is None


def test_acks_in_the_same_instant_measure_nothing() -> None:
    pace = Pace()
    pace.on_sent(5.0)
    pace.on_acked(1, 0, 5.0)
    assert pace.rate is None


def test_a_burst_of_acks_after_a_stall_is_one_measurement() -> None:
    # Measured on ejabberd: the time between two of these gave 24,000 stanzas a second, where it did 40 to 100.
    pace = Pace()
    pace.on_sent(0.0)
    for count, now in ((20, 0.0), (20, 0.28), (39, 0.2895), (42, 0.2899), (24, 0.29)):
        pace.on_acked(count, 100, now)
    assert pace.rate is not None
    assert pace.rate < 1000


def test_short_bursts_of_work_add_up_to_a_stretch() -> None:
    pace = Pace()
    for burst in range(10):
        pace.on_sent(burst * 10.0)
        pace.on_acked(20, 0, burst * 10.0 + 0.05)
    assert pace.rate == pytest.approx(400.0)


def test_a_lonely_stanza_says_how_late_the_server_answers_and_not_how_many_it_can_handle() -> None:
    pace = Pace()
    for ping in range(20):
        pace.on_sent(ping * 10.0)
        pace.on_acked(1, 0, ping * 10.0 + 0.4)
    assert pace.rate is None
    assert pace.window(1000) == FIRST_WINDOW
    assert pace.backlog_s(100) == pytest.approx(0.4 + 100 / FIRST_RATE)
    assert pace.backlog_s(0) == 0


def test_the_ack_of_the_first_one_of_many_is_no_measurement() -> None:
    # Measured on a loaded Prosody: the announcement to the witness, 0.5 s before a hundred messages behind it.
    pace = Pace()
    pace.on_sent(0.0)
    pace.on_acked(1, 100, 0.5)
    assert pace.rate is None
    pace.on_acked(100, 0, 1.0)
    assert pace.rate == pytest.approx(101.0)


def test_lonely_stanzas_between_bursts_leave_the_rate_as_it_is() -> None:
    pace = Pace()
    pace.on_sent(0.0)
    pace.on_acked(1000, 0, 1.0)
    for ping in range(1, 20):
        pace.on_sent(ping * 10.0)
        pace.on_acked(2, 0, ping * 10.0 + 1.0)
    assert pace.rate == pytest.approx(1000.0)


def test_a_server_that_gets_slower_gets_less_and_one_that_gets_faster_more() -> None:
    pace, now, windows = Pace(), 0.0, []
    for rate in [1000.0] * 5 + [100.0] * 20 + [2000.0] * 20:
        pace.on_sent(now)
        now += 1.0
        pace.on_acked(int(rate), 0, now)
        windows.append(pace.window(1000))
    assert windows[4] == 250
    assert windows[24] == MIN_WINDOW
    assert windows[44] > 450
