"""How fast the server is, measured by its acks; what may be in flight, and how long to be patient, follow from it.

Measured: a fixed window and a fixed reconnect delay gave duplicates on ejabberd, whose old session still routes its
backlog while the resumed one reports an h without it.
"""

from __future__ import annotations

WORK_IN_FLIGHT_S = 0.25  # so much server work may be unacknowledged
MIN_WINDOW = 32  # stanzas
FIRST_WINDOW = 100  # stanzas, before anything was measured
FIRST_RATE = 200.0  # stanzas a second, assumed until measured; ejabberd with an archive does about 150
SMOOTHING = 0.3


class Pace:
    """The server's rate in stanzas a second, as a moving average of its acks; times are monotonic seconds."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self._since: float | None = None  # since when something is in flight, or the last ack

    def on_sent(self, now: float) -> None:
        """Something is in flight."""
        if self._since is None:
            self._since = now

    def on_acked(self, count: int, still_in_flight: int, now: float) -> None:
        """The server has handled `count` more."""
        if count and self._since is not None:
            seen = count / max(now - self._since, 0.001)
            self.rate = seen if self.rate is None else self.rate + SMOOTHING * (seen - self.rate)
        self._since = now if still_in_flight else None

    def on_pause(self) -> None:
        """The link is down: its time is not the server's."""
        self._since = None

    def window(self, limit: int) -> int:
        """How many stanzas may be unacknowledged, at most `limit`."""
        if self.rate is None:
            return min(FIRST_WINDOW, limit)
        return min(limit, max(MIN_WINDOW, int(self.rate * WORK_IN_FLIGHT_S)))

    def backlog_s(self, in_flight: int) -> float:
        """How long the server needs for what is in flight, in seconds."""
        return in_flight / (FIRST_RATE if self.rate is None else max(self.rate, 1.0))
