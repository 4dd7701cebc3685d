"""How long to wait before the next try to reconnect: doubling, capped, with jitter so that clients do not march."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S = 0.2
CAP_S = 30.0


class Backoff:
    """Delays in seconds; `chance` gives a number from 0 to 1."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._tries = 0

    def next_s(self) -> float:
        """The delay before the next try."""
        full = min(CAP_S, FIRST_S * 2.0 ** min(self._tries, 20))
        self._tries += 1
        return full * (0.5 + 0.5 * self._chance())

    def reset(self) -> None:
        """A try succeeded: the next delay is the first one again."""
        self._tries = 0
