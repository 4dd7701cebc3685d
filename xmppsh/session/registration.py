"""A stream on which nobody has logged in: an account is made there (XEP-0077 §3.1), and then the stream ends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.connection.connect import Connector
from xmppsh.connection.driver import CLOSE_WAIT_S
from xmppsh.errors import ConnectionLost
from xmppsh.protocol.events import StanzaArrived, StreamEnded
from xmppsh.session.requests import Requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.connection.driver import Driver
    from xmppsh.connection.options import SessionOptions
    from xmppsh.errors import XmppshError
    from xmppsh.output.trace import Trace
    from xmppsh.protocol.actions import SessionEvent
    from xmppsh.texts import Log
    from xmppsh.xmlio.build import Xml


class Registration:
    """The stream, under TLS. offered: does the server say that accounts can be made on it?"""

    def __init__(self, options: SessionOptions) -> None:
        self.jid, self.timeout_s = options.jid, options.timeout_s
        self.offered = False
        self.requests = Requests(self)
        self._driver: Driver | None = None
        self._error: XmppshError | None = None

    def send_iq(self, stanza: Xml) -> None:
        """Send it at once; raises what has ended the stream."""
        if self._error is not None or self._driver is None:
            raise self._error or ConnectionLost("there is no stream")
        self._driver.carry_out(self._driver.stream.ask_to_register(stanza))

    def send_ahead(self, stanza: Xml) -> None:
        """The same: nothing is queued here."""
        self.send_iq(stanza)

    def on_open(self, driver: Driver, offered: bool) -> None:
        """TLS stands, and the server may be asked."""
        self._driver, self.offered = driver, offered
        driver.on_event = self._on_event

    def _on_event(self, event: SessionEvent) -> None:
        match event:
            case StanzaArrived(stanza, _):
                self.requests.answer(stanza)  # whatever else somebody says before a login is nothing to us
            case StreamEnded(error):
                self._error = error or ConnectionLost("the server closed the stream")
                self.requests.fail(self._error)

    async def close(self) -> None:
        """End the stream, where there is one."""
        if self._driver is not None:
            await self._driver.close(CLOSE_WAIT_S)


@asynccontextmanager
async def registering(options: SessionOptions, log: Log, trace: Trace | None) -> AsyncIterator[Registration]:
    """Open a stream to the server of `options.jid` and go as far as TLS; raises what makes that impossible."""
    registration = Registration(options)
    # What is known of the server would have a login written ahead of its offer.
    connector = Connector(replace(options, known=None), log, lambda _h: None, lambda _jid: None, trace)
    connector.on_registration = registration.on_open
    try:
        await connector.connect(lambda *_: None, options.jid)
        yield registration
    finally:
        await asyncio.shield(registration.close())
