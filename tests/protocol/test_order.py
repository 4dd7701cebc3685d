"""RFC 2782: priorities are strict, weights are shares, and weight 0 comes last unless it is drawn."""

import random
from collections import Counter
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from xmppsh.protocol.order import ordered


class Record(NamedTuple):
    name: str
    priority: int
    weight: int


def seeded(seed: int = 1) -> "random.Random":
    return random.Random(seed)


@given(st.lists(st.builds(Record, st.text(max_size=3), st.integers(0, 5), st.integers(0, 65535))), st.integers())
def test_no_record_is_lost_and_priorities_are_strict(records: list[Record], seed: int) -> None:
    draw = seeded(seed)
    found = ordered(records, lambda top: draw.randint(0, top))
    assert sorted(found) == sorted(records)
    assert [record.priority for record in found] == sorted(record.priority for record in records)


def test_weights_are_shares_of_the_first_place() -> None:
    records = [Record("a", 1, 10), Record("b", 1, 30), Record("c", 1, 60)]
    draw = seeded()
    firsts = Counter(ordered(records, lambda top: draw.randint(0, top))[0].name for _ in range(20_000))
    for record in records:
        assert abs(firsts[record.name] / 20_000 - record.weight / 100) < 0.02


def test_the_second_place_is_drawn_among_the_rest() -> None:
    records = [Record("a", 1, 10), Record("b", 1, 30), Record("c", 1, 60)]
    draw = seeded()
    orders = [ordered(records, lambda top: draw.randint(0, top)) for _ in range(20_000)]
    behind_c = Counter(order[1].name for order in orders if order[0].name == "c")
    assert abs(behind_c["b"] / behind_c.total() - 0.75) < 0.03


def test_weight_zero_stands_behind_unless_zero_is_drawn() -> None:
    records = [Record("heavy", 1, 5), Record("zero", 1, 0)]
    assert [record.name for record in ordered(records, lambda _: 0)] == ["zero", "heavy"]
    for mark in range(1, 6):
        assert ordered(records, lambda top, mark=mark: min(mark, top))[0].name == "heavy"


def test_the_draw_is_from_zero_to_the_sum_of_the_weights() -> None:
    asked: list[int] = []
    ordered([Record("a", 1, 10), Record("b", 1, 30), Record("c", 2, 7)], lambda top: asked.append(top) or top)
    assert asked == [40, 10, 7]


def test_a_lower_priority_never_comes_first_whatever_its_weight() -> None:
    records = [Record("backup", 20, 65535), Record("main", 10, 0)]
    assert [record.name for record in ordered(records, lambda top: top)] == ["main", "backup"]
