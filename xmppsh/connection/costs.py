"""What the way to an acknowledged stanza cost, step by step: for `-v`, as curl's `--write-out` tells it."""

from __future__ import annotations

STEPS = ("dns", "tcp", "tls", "sasl", "bind", "ack")
TLS_ROUND_TRIPS = {"TLSv1.3": 1, "TLSv1.2": 2}  # RFC 8446 §2, RFC 5246 §7.3


class Costs:
    """When each of STEPS was done, in seconds of one clock. began: when the first of them was."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._done: dict[str, float] = {}

    def done(self, step: str, now: float) -> None:
        """This step is done; of `ack` the last one counts."""
        if step == "ack" or step not in self._done:
            self._done[step] = now

    def beside(self) -> Costs:
        """The same so far, for one of several connections beside each other."""
        copy = Costs(self._began)
        copy._done |= self._done
        return copy

    def sentence(self, flights: int, tls_version: str | None) -> str:
        """All of it. flights: how often the server's answer to what we had written was waited for."""
        parts, before = [], self._began
        for step in STEPS:
            if (at := self._done.get(step)) is not None:
                parts.append(f"{step} {(at - before) * 1000:.0f}")
                before = max(before, at)
        trips = 1 + TLS_ROUND_TRIPS.get(tls_version or "", 0) + flights  # TCP's own is the first
        return f"{', '.join(parts)}, in all {(before - self._began) * 1000:.0f} ms; {trips} round trips"
