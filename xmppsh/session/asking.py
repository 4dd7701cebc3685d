"""IQ requests of a session: ask, and wait for the one who was asked (RFC 6120 §8.2.3)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from xmppsh.errors import DeadlineExceeded, XmppshError
from xmppsh.model import Jid
from xmppsh.protocol.conditions import stanza_error
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xmppsh.connection.options import SessionOptions
    from xmppsh.model import Element
    from xmppsh.session.outbound import Outbound
    from xmppsh.session.requests import Requests
    from xmppsh.xmlio.build import Xml

PING_NS = "urn:xmpp:ping"
FENCE_TIMEOUT_S = 5.0  # how long a bounce from another server is waited for


class Asking(ABC):
    """The part of a session that asks."""

    jid: Jid
    options: SessionOptions
    requests: Requests
    outbound: Outbound

    @abstractmethod
    def send(
        self, stanza: Xml, *, kind: str = "", stanza_id: str = "", to: str = "", position: int | None = None
    ) -> int:
        """Hand one stanza in."""

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result; raises StanzaError for an error, DeadlineExceeded for silence."""
        answer = await self.ask(iq_type, to, payload, timeout_s)
        if answer.attributes.get("type") == "error":
            raise stanza_error(tree(answer), answer.sender or self.jid.domainpart)
        return answer

    async def ask(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None, *, own: bool = False
    ) -> Element:
        """Send an IQ and give its answer, result or error; own: the session's, which goes before everything queued."""
        timeout_s = self.options.timeout_s if timeout_s is None else timeout_s
        stanza_id = new_id()
        future = self.requests.add(stanza_id, to)
        stanza = element("iq", {"type": iq_type, "id": stanza_id, "to": None if to is None else str(to)}, payload)
        try:
            if own:
                self.outbound.send_own(stanza)
            else:
                self.send(stanza)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise DeadlineExceeded(
                f"{to or self.jid.domainpart} did not answer within {timeout_s:.3g} s",
                layer="stanza",
                hint="--timeout S waits longer",
            ) from None
        finally:
            future.cancel()

    async def ask_own(self, iq_type: str, payload: Xml) -> Element:
        """An IQ to the own account that goes before everything queued; its answer, result or error."""
        return await self.ask(iq_type, None, payload, own=True)

    async def fence(self, domains: Iterable[str]) -> None:
        """Wait until every bounce that these domains send at once has come: each answers a ping behind our stanzas."""
        limit_s = min(FENCE_TIMEOUT_S, self.options.timeout_s)
        pings = (self.ask("get", Jid.parse(domain), element("ping", {"xmlns": PING_NS}), limit_s) for domain in domains)
        for outcome in await asyncio.gather(*pings, return_exceptions=True):
            # Any answer will do, and a domain that gives none in time cannot bounce in time either.
            if isinstance(outcome, BaseException) and not isinstance(outcome, XmppshError):
                raise outcome
