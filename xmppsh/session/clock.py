"""XEP-0202: how far the clock of our server is ahead of ours, since it is by its own that it stamps what it stores.

Servers tell whole seconds, and may do so at any moment between question and answer. So the difference lies between two
bounds, and what follows a moment is asked for from the earlier one on: the later one would leave out what it followed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from xmppsh import ns
from xmppsh.errors import ProtocolError, StanzaError
from xmppsh.model import Jid
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Element
    from xmppsh.xmlio.build import Xml

RESOLUTION = timedelta(seconds=1)
QUICK = timedelta(seconds=1)  # an answer that took longer says too little
TRIES = 3


class Asks(Protocol):
    """Sends requests."""

    async def request(self, iq_type: str, to: Jid | None, payload: Xml | None) -> Element:
        """Send an IQ and give its result."""


async def skew(session: Asks, own: Jid, now: Callable[[], datetime]) -> tuple[timedelta, timedelta]:
    """How far the clock of the server of `own` is ahead of `now`, and how long the round trip took.

    Raises StanzaError where the server does not tell, ProtocolError where it tells something else.
    """
    begun = now()
    answer = await session.request("get", Jid(None, own.domainpart), element("time", {"xmlns": ns.TIME}))
    took = now() - begun
    text = tree(answer).findtext(f"{{{ns.TIME}}}time/{{{ns.TIME}}}utc") or ""
    try:
        theirs = datetime.fromisoformat(text)
    except ValueError:
        raise ProtocolError(f"the server's time is {text!r}, which is none", hint="see XEP-0202 and XEP-0082") from None
    theirs = theirs if theirs.tzinfo is not None else theirs.replace(tzinfo=UTC)
    return theirs - (begun + took / 2), took


class Ahead(NamedTuple):
    """How far the server's clock is ahead of ours: at least and at most."""

    least: timedelta
    most: timedelta

    def earliest(self, moment: datetime) -> datetime:
        """What it showed at this moment of ours, or a little before."""
        return _later(moment, self.least)

    def latest(self, moment: datetime) -> datetime:
        """What it showed at this moment of ours, or a little after."""
        return _later(moment, self.most)


UNKNOWN = Ahead(timedelta(seconds=-2), timedelta(seconds=2))  # it does not tell: then both clocks are believed


async def ahead(session: Asks, own: Jid) -> Ahead:
    """How far the clock of the server of `own` is ahead; asked again where the answer took long."""
    found: list[Ahead] = []
    for _ in range(TRIES):
        try:
            about, took = await skew(session, own, lambda: datetime.now(UTC))
        except (StanzaError, ProtocolError):
            break
        found.append(Ahead(about - took / 2, about + took / 2 + RESOLUTION))
        if took <= QUICK:
            break
    return min(found, key=lambda one: one.most - one.least, default=UNKNOWN)


def _later(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:  # no clock shows that
        return moment
