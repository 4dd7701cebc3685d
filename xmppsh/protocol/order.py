"""The order in which SRV records are tried (RFC 2782); both services count as one list (XEP-0368 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Weighted(Protocol):
    """A record with a priority (lower first) and a weight (a bigger share first)."""

    @property
    def priority(self) -> int: ...
    @property
    def weight(self) -> int: ...


T = TypeVar("T", bound=Weighted)


def ordered(records: Iterable[T], draw: Callable[[int], int]) -> list[T]:
    """Sort by priority; among equals draw by weight. `draw(n)` gives a number from 0 to n, both included."""
    order: list[T] = []
    by_priority: dict[int, list[T]] = {}
    for record in records:
        by_priority.setdefault(record.priority, []).append(record)
    for priority in sorted(by_priority):
        # RFC 2782: records of weight 0 stand first, so that they are taken only when the draw is 0.
        waiting = sorted(by_priority[priority], key=lambda record: record.weight)
        while waiting:
            mark = draw(sum(record.weight for record in waiting))
            running = 0
            for record in waiting:
                running += record.weight
                if running >= mark:
                    break
            waiting.remove(record)
            order.append(record)
    return order
