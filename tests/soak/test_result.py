"""The harness sees what it is for: a loss, a duplicate, a swap, an untrue exit code."""

import pytest

from soak.result import DELIVERED, GAVE_UP, HONEST, Count, Result, count, table


def result(arrived: list[int], code: int | None = 0, sent: int = 4, **more: int) -> Result:
    return Result("prosody", "chaos", 7, sent, count(arrived, sent), 1.0, 2, code)


def test_every_number_once_and_in_order_is_right() -> None:
    assert count([0, 1, 2, 3], 4) == Count([], [], [])


@pytest.mark.parametrize(
    ("arrived", "lost", "duplicated", "reordered"),
    [
        ([0, 1, 3], [2], [], []),
        ([1, 2, 3], [0], [], []),
        ([0, 1, 2], [3], [], []),
        ([], [0, 1, 2, 3], [], []),
        ([0, 1, 1, 2, 3], [], [1], []),
        ([0, 1, 2, 3, 0, 1], [], [0, 1], []),
        ([0, 1, 1, 1, 2, 3], [], [1, 1], []),
        ([0, 2, 1, 3], [], [], [1]),
        ([3, 0, 1, 2], [], [], [0, 1, 2]),
        ([0, 3, 1, 1], [2], [1], [1]),
    ],
)
def test_each_fault_is_counted_as_what_it_is(
    arrived: list[int], lost: list[int], duplicated: list[int], reordered: list[int]
) -> None:
    assert count(arrived, 4) == Count(lost, duplicated, reordered)


def test_a_number_that_was_never_sent_is_an_error() -> None:
    with pytest.raises(ValueError, match="number 4 was never sent"):
        count([4], 4)


@pytest.mark.parametrize(
    ("arrived", "code", "broken"),
    [
        ([0, 1, 2, 3], 0, []),
        ([0, 1, 2], 0, ["exit 0, and messages are lost"]),
        ([0, 1, 1, 2, 3], 0, ["duplicated"]),
        ([0, 2, 1, 3], 0, ["reordered"]),
        ([0, 1, 2, 3], 79, ["exit 79, not one of [0]"]),
        ([0, 1, 2, 3], None, ["no end within its deadline"]),
    ],
)
def test_a_run_that_must_deliver_is_judged(arrived: list[int], code: int | None, broken: list[str]) -> None:
    run = result(arrived, code)
    run.judge(DELIVERED)
    assert run.broken == broken
    assert ("BROKEN" in run.line) == bool(broken)


def test_without_an_archive_79_is_honest_and_an_untrue_0_is_not() -> None:
    for arrived, code, broken in (([0, 1], 79, 0), ([0, 1, 2, 3], 0, 0), ([0, 1, 1, 2, 3], 0, 0), ([0, 1], 0, 1)):
        run = result(arrived, code)
        run.judge(HONEST, duplicates=True)
        assert len(run.broken) == broken, (arrived, code)


def test_what_was_acknowledged_has_arrived() -> None:
    run = result([0, 1], 79)
    run.acked = 3
    run.judge(HONEST)
    assert run.broken == ["3 acknowledged, 2 arrived"]


def test_giving_up_is_never_0() -> None:
    run = result([0, 1, 2, 3])
    run.judge(GAVE_UP)
    assert run.broken == ["exit 0, not one of [69, 75, 79]"]


def test_the_table_has_a_line_for_each_scenario_with_medians_and_maxima() -> None:
    good, bad = result([0, 1, 2, 3]), result([0, 1, 1], 0)
    bad.judge(DELIVERED)
    bad.seconds, bad.links = 4.0, 8
    header, _, line = table([good, bad]).splitlines()
    assert header.split()[:3] == ["server", "scenario", "runs"]
    assert line.split() == ["prosody", "chaos", "2", "8", "2", "1", "0", "2.5/4.0", "5/8", "0", "1"]
