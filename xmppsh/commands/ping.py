"""`ping`: round trips by XEP-0199."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from xmppsh.commands.base import command
from xmppsh.commands.params import JID
from xmppsh.output import safe
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.model import Jid


@command("ping")
@click.argument("to", type=JID, required=False)
@click.option("-c", "--count", type=click.IntRange(min=1), default=1, metavar="N", help="Send N pings [1].")
async def ping(app: App, to: Jid | None, count: int) -> None:
    """Send XEP-0199 pings to TO, or to your own server.

    Example:  xmppsh ping -c 3 romeo@example.net/balcony
    """
    payload = element("ping", {"xmlns": "urn:xmpp:ping"})
    if app.settings.dry_run:
        address = None if to is None else str(to)
        await app.stdout.write(element("iq", {"type": "get", "to": address, "id": "…"}, payload) + "\n")
        return
    round_trips_ms: list[float] = []
    async with app.session() as session:
        target = str(to) if to is not None else session.jid.domainpart
        for _ in range(count):
            start = time.perf_counter()
            await session.request("get", to, payload)
            round_trips_ms.append((time.perf_counter() - start) * 1000)
            ms = round(round_trips_ms[-1], 3)
            await app.emit({"kind": "pong", "from": target, "ms": ms}, f"pong from {safe.line(target)}: {ms:.1f} ms")
        if count > 1:
            low, mean, high = min(round_trips_ms), sum(round_trips_ms) / count, max(round_trips_ms)
            shown = f"{count} answers from {safe.line(target)}, min/avg/max {low:.1f}/{mean:.1f}/{high:.1f} ms"
            summary = {"min_ms": round(low, 3), "avg_ms": round(mean, 3), "max_ms": round(high, 3)}
            await app.emit({"kind": "summary", "from": target, "count": count, **summary}, shown)
