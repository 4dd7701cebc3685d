"""Whom the doctor examines, with what, and how a place of the plan is dialled for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from xmppsh.net.dial import Dialler
from xmppsh.plain import dataclass
from xmppsh.resolve.addresses import name_look_up
from xmppsh.resolve.options import CLIENTS
from xmppsh.resolve.plan import BY_HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from xmppsh.connection.options import SessionOptions
    from xmppsh.net.attempts import Attempt
    from xmppsh.net.dial import Connected
    from xmppsh.output.trace import Trace
    from xmppsh.resolve.options import LookupOptions, Side
    from xmppsh.texts import Log

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One examination.

    options: their jid may be a bare domain; no_login: why there is no login, empty when there is one; dials: False:
    names are looked up, and that is all; side: for whom the domain's server is examined; host_by: what named the host.
    """

    options: SessionOptions
    log: Log
    trace: Trace | None
    now: Callable[[], datetime]
    no_login: str = ""
    dials: bool = True
    side: Side = CLIENTS
    host_by: str = BY_HOST

    @property
    def lookup(self) -> LookupOptions:
        """How names are looked up: what an earlier run remembers is not asked."""
        return replace(self.options.lookup, cache=None, side=self.side)

    def deadline(self, limit_s: float | None = None) -> float:
        """The end, in the loop's time, of a check that begins now: the connect timeout, or less."""
        most_s = self.options.connect_timeout_s
        return asyncio.get_running_loop().time() + (most_s if limit_s is None else min(most_s, limit_s))

    async def dial(self, place: Attempt, deadline: float) -> Connected | None:
        """A connection to that address, or how it failed in `place.outcome`; raises ConnectError of a useless proxy."""
        options = self.options
        there = replace(place.candidate, addresses=(place.address,) if place.address else ())
        look_up = name_look_up(self.lookup, max(0.0, deadline - asyncio.get_running_loop().time()), self.log)
        dialler = Dialler([there], deadline, look_up, options.family, options.proxy, self.log)
        connected = await dialler.next()
        if connected is None:
            place.outcome = dialler.attempts[-1].outcome
            place.name_missing = dialler.attempts[-1].name_missing
        return connected
