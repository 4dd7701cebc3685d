"""XEP-0202: how far the clock of our server is ahead of ours, since it is by its own that it stamps what it stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from xmppsh import ns
from xmppsh.errors import ProtocolError, StanzaError
from xmppsh.model import Jid
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Element
    from xmppsh.xmlio.build import Xml

SAME = timedelta(seconds=2)  # no difference: servers tell whole seconds, and an answer takes its time


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


async def by_server(session: Asks, own: Jid, moment: datetime) -> datetime:
    """What the server's clock showed at this moment of ours; the same where it does not tell."""
    try:
        ahead, _ = await skew(session, own, lambda: datetime.now(UTC))
        return moment if abs(ahead) <= SAME else moment + ahead
    except (StanzaError, ProtocolError, OverflowError):
        return moment
