"""A plan: faults and their positions, drawn from a seed. The same seed gives the same plan."""

import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from support.chaos import ChaosProxy
from support.faults import (
    Fault,
    hold_acks,
    late,
    mark,
    reset_after_bytes,
    reset_both,
    reset_client_only,
    reset_server_only,
    silent_hole,
)

FIRST_LOGIN_BYTES = 6_000  # what a client sends before its first stanza, and something more
LAST_SHARE = 0.9  # no fault begins behind this share of all bytes

# A hole and a lost server last until the client's own patience ends, so they come less often.
WEIGHTS = {
    "reset both": 4,
    "reset down": 3,
    "reset client": 3,
    "hold": 3,
    "late": 3,
    "refuse": 2,
    "reset server": 2,
    "hole": 2,
}


@dataclass(frozen=True)
class Step:
    """One fault of a plan."""

    position: int  # bytes up, over the whole run
    overdue: int  # bytes up to wait at least: where in the next login it strikes when the position is passed already
    fault: Fault
    kicked: bool  # a third party ends the session while the link is cut


class Plan:
    """`faults` faults over the `total_bytes` that a client will send at least; `kicks` of them with a third party."""

    def __init__(
        self,
        seed: int,
        faults: int = 20,
        *,
        total_bytes: int,
        lead_bytes: int = FIRST_LOGIN_BYTES,
        kicks: int = 0,
        weights: Mapping[str, int] = WEIGHTS,
    ) -> None:
        self.seed = seed
        self.struck = 0
        source = random.Random(seed)
        last = max(lead_bytes + 1, int(total_bytes * LAST_SHARE))
        positions = sorted(source.uniform(lead_bytes, last) for _ in range(faults))
        kicked = set(source.sample(range(faults), min(kicks, faults)))
        self.steps = [
            Step(int(position), source.randint(1, 400), _draw(source, weights, number in kicked), number in kicked)
            for number, position in enumerate(positions)
        ]
        if faults:
            print(f"seed {seed}: {faults} faults over {total_bytes} bytes")

    def __str__(self) -> str:
        lines = [
            f"  {step.position:>9} up  {step.fault}{', session ended meanwhile' if step.kicked else ''}"
            for step in self.steps
        ]
        return "\n".join([f"plan of seed {self.seed}, {self.struck} of {len(self.steps)} struck", *lines])

    async def run(self, proxy: ChaosProxy, kick: Callable[[], Awaitable[None]] | None = None) -> None:
        """Inject one fault after the other, each when the one before is over, until all have struck.

        kick: ends the client's session from the server's side; new connections are refused until it returns.
        """
        for step in self.steps:
            after = max(step.overdue, step.position - proxy.passed["up"])
            if step.fault.direction == "up":
                injection = await proxy.inject(replace(step.fault, after=after))
            else:
                await proxy.inject(mark(after))
                injection = await proxy.inject(step.fault)
            self.struck += 1
            if step.kicked:
                if kick is not None:
                    await kick()
                injection.release()
            await injection.over.wait()


def _draw(source: random.Random, weights: Mapping[str, int], kicked: bool) -> Fault:
    # Everything is drawn in any case: one more kind of fault must not change the rest of a plan.
    kind = source.choices(list(weights), list(weights.values()))[0]
    refused_s, held_s, answered = source.uniform(0.1, 1.5), source.uniform(0.2, 1.0), source.randint(1, 60)
    if kicked:
        return reset_both(refuse_s=math.inf)
    match kind:
        case "reset both":
            return reset_both()
        case "reset down":
            return reset_after_bytes(answered, "down")  # within an answer
        case "reset client":
            return reset_client_only()
        case "hold":
            return hold_acks(for_s=held_s)
        case "late":
            return late(for_s=held_s)
        case "refuse":
            return reset_both(refuse_s=refused_s)
        case "reset server":
            return reset_server_only()
        case _:
            return silent_hole()
