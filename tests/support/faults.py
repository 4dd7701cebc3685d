"""What a `ChaosProxy` can do to a connection, and where: a fault is a value, drawn from a seed or written down."""

import math
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Literal

Direction = Literal["up", "down"]  # from the client to the server, from the server to the client


class Kind(Enum):
    """What a fault does."""

    MARK = "nothing"
    RESET_BOTH = "reset both sides"
    RESET_CLIENT = "reset the client's side alone"  # the server sees no end, its bytes vanish: a NAT that forgot us
    RESET_SERVER = "reset the server's side alone"  # the client sees no end, its bytes vanish until it gives up
    HOLE = "silent hole"  # bytes and ends vanish both ways, until the client gives up; the server never learns of it
    HOLD = "answers held back, then reset"  # the client's bytes pass meanwhile
    LATE = "kept, then reset, then late"  # the client sees a reset; what it had written drips into the server
    REFUSE = "refuse"  # open connections go on


@dataclass(frozen=True)
class Fault:
    """A fault and its position; the names below make them."""

    kind: Kind
    after: int = 0  # bytes in `direction`
    direction: Direction = "up"
    chunks: int = 0  # instead of bytes: behind the n-th chunk that a connection carries up
    every: bool = False  # strikes every later connection, too, until released; behind bytes: at its start
    for_s: float = 0.0  # how long answers are held back, or what the client writes is kept
    refuse_s: float = 0.0  # how long new connections are refused from the strike on; infinite: until released

    def __str__(self) -> str:
        position = f"chunk {self.chunks}" if self.chunks else f"{self.after} bytes {self.direction}"
        held = f" for {self.for_s:.2f} s" if self.for_s else ""
        refused = f", new ones refused for {self.refuse_s:.2f} s" if self.refuse_s else ""
        return f"{self.kind.value}{held} after {position}{refused}{', every time' if self.every else ''}"


mark = partial(Fault, Kind.MARK)  # only the moment
reset_both = reset_after_bytes = partial(Fault, Kind.RESET_BOTH)  # the rest of a chunk behind byte n vanishes
reset_client_only = partial(Fault, Kind.RESET_CLIENT)
reset_server_only = partial(Fault, Kind.RESET_SERVER)
silent_hole = partial(Fault, Kind.HOLE)
hold_acks = partial(Fault, Kind.HOLD)  # for_s=
late = partial(Fault, Kind.LATE)  # for_s=
refuse = partial(Fault, Kind.REFUSE, refuse_s=math.inf)


def cut_between_writes(k: int, *, every: bool = False) -> Fault:
    """RST to both sides behind a connection's k-th chunk up: on the first that comes so far, or on every one."""
    return Fault(Kind.RESET_BOTH, chunks=k, every=every)
