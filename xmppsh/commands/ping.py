"""`ping`: round trips by XEP-0199."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import argument, command, option
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Literal

    from xmppsh.app.app import App
    from xmppsh.model import Jid


@dataclass(frozen=True, slots=True)
class Pong(Record):
    """One answer to a ping."""

    kind: Literal["pong"] = field(default="pong", init=False)
    """What it is."""
    from_: str
    """Who answered."""
    ms: float
    """The round trip, in milliseconds."""

    def text(self) -> str:
        """One line."""
        return f"pong from {safe.line(self.from_)}: {self.ms:.1f} ms"


@dataclass(frozen=True, slots=True)
class PingSummary(Record):
    """All the answers, at the end of `ping -c N`."""

    kind: Literal["summary"] = field(default="summary", init=False)
    """What it is."""
    from_: str
    """Who answered."""
    count: int
    """How many answers came."""
    min_ms: float
    """The shortest round trip, in milliseconds."""
    avg_ms: float
    """Their mean."""
    max_ms: float
    """The longest."""

    def text(self) -> str:
        """One line."""
        times = f"{self.min_ms:.1f}/{self.avg_ms:.1f}/{self.max_ms:.1f}"
        return f"{self.count} answers from {safe.line(self.from_)}, min/avg/max {times} ms"


@command("ping")
@argument("to", type="JID", required=False)
@option("-c", "--count", type="COUNT", metavar="N", help="Send N pings [1; with -i, forever].")
@option("-i", "--interval", "interval_s", type="SECONDS", metavar="S", help="Send one every S seconds.")
async def ping(
    app: App, to: Jid | None, count: int | None, interval_s: float | None
) -> AsyncIterator[Pong | PingSummary]:
    """Send XEP-0199 pings to TO, or to your own server.

    More than one ping ends with a summary, also after Ctrl-C.

    Example:  xmppsh ping -c 3 romeo@example.net/balcony
    """
    round_trips_ms: list[float] = []
    many = count or (1 if interval_s is None else sys.maxsize)
    target, ended = "", None
    try:
        async with app.sessions.one_shot() as session:
            target = str(to) if to is not None else session.jid.domainpart
            for number in range(many):
                if number and interval_s is not None:
                    await asyncio.sleep(interval_s)
                start = time.perf_counter()
                await session.request("get", to, element("ping", {"xmlns": ns.PING}))
                round_trips_ms.append((time.perf_counter() - start) * 1000)
                yield Pong(target, round(round_trips_ms[-1], 3))
    except (asyncio.CancelledError, XmppshError) as error:
        ended = error
    if many > 1 and round_trips_ms and not app.console.shutdown.output_closed:
        low, high, number = min(round_trips_ms), max(round_trips_ms), len(round_trips_ms)
        yield PingSummary(target, number, round(low, 3), round(sum(round_trips_ms) / number, 3), round(high, 3))
    if ended is not None:
        raise ended
