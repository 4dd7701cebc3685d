"""How fast the server is, measured by its acks; what may be in flight, and how long to be patient, follow from it.

Acks come in bursts: two of them a tenth of a millisecond apart say nothing. So stanzas are counted over a stretch of
time in which something was in flight; the time of an idle or a broken link does not count, what `<resumed/>` releases
does. A few stanzas alone say how long an answer takes, and nothing about how many the server could have handled
meanwhile: on a loaded machine one ping took 0.4 s, which is no rate of 2.5 stanzas a second.
"""

from __future__ import annotations

WORK_IN_FLIGHT_S = 0.25  # so much server work may be unacknowledged
MIN_WINDOW = 32  # stanzas
FIRST_WINDOW = 100  # stanzas, before anything was measured
FIRST_RATE = 200.0  # stanzas a second, assumed until measured; ejabberd with an archive does about 150
STRETCH_S, STRETCH = 0.25, 500  # of work, or stanzas handled in several bursts, before it counts as a measurement
FEW = 10  # stanzas; fewer are no measurement of a rate
SMOOTHING = 0.3


class Pace:
    """The server's rate in stanzas a second, and how long it takes to answer at all, in seconds: moving averages.

    Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        self.latency_s = 0.0
        self._since: float | None = None  # since when something is in flight, or the last ack
        self._count, self._spent_s = 0, 0.0  # of the stretch so far
        self._run, self._run_s = 0, 0.0  # the same since nothing was in flight

    def on_sent(self, now: float) -> None:
        """Something is in flight."""
        if self._since is None:
            self._since = now

    def on_acked(self, count: int, still_in_flight: int, now: float) -> None:
        """The server has handled `count` more."""
        self._spend(now)
        self._count += count
        self._run += count
        self._since = now if still_in_flight else None
        if not still_in_flight:
            self._on_idle()
        if self._spent_s > 0 and (self._count >= STRETCH or (self._count >= FEW and self._spent_s >= STRETCH_S)):
            self.rate = _moved(self.rate, self._count / self._spent_s)
            self._count, self._spent_s = 0, 0.0

    def _on_idle(self) -> None:
        """Nothing is in flight any more. What a few alone took is the server's latency."""
        if 0 < self._run < FEW and self._run <= self._count:
            self.latency_s = _moved(self.latency_s or None, self._run_s)
            self._count -= self._run
            self._spent_s -= self._run_s
        self._run, self._run_s = 0, 0.0

    def on_pause(self, now: float) -> None:
        """The link is down: its time is not the server's."""
        self._spend(now)
        self._since = None

    def _spend(self, now: float) -> None:
        if self._since is not None:
            self._spent_s += now - self._since
            self._run_s += now - self._since

    def window(self, limit: int) -> int:
        """How many stanzas may be unacknowledged, at most `limit`."""
        if self.rate is None:
            return min(FIRST_WINDOW, limit)
        return min(limit, max(MIN_WINDOW, int(self.rate * WORK_IN_FLIGHT_S)))

    def backlog_s(self, in_flight: int) -> float:
        """How long the server needs for what is in flight, in seconds."""
        rate = FIRST_RATE if self.rate is None else max(self.rate, 1.0)
        return self.latency_s + in_flight / rate if in_flight else 0.0


def _moved(average: float | None, seen: float) -> float:
    return seen if average is None else average + SMOOTHING * (seen - average)
