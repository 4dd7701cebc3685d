"""The express way of a one-shot: no event loop, and with that less than half of the start.

It is taken where the last run has shown all there is to know: the place that takes us (net/head_start.py), and a server
that takes a stanza with the bind (protocol/ahead.py). Whatever is otherwise than it was then, before anything of the
command's is written, is left to the ordinary way: `Declined`.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.connection.known import KnownServers
from xmppsh.errors import IoError, TlsError, XmppshError
from xmppsh.express.link import Link
from xmppsh.express.session import Listeners, Session
from xmppsh.express.waits import Stopped
from xmppsh.model import is_address
from xmppsh.net.tls import is_plain_name
from xmppsh.protocol.ahead import Known, Rung
from xmppsh.protocol.stream import Stream, first_words
from xmppsh.xmlio.ids import beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from xmppsh.connection.options import SessionOptions
    from xmppsh.connection.tokens import KeptTokens
    from xmppsh.express.waits import Waits
    from xmppsh.model import TlsMode
    from xmppsh.outbox.journal import Journal
    from xmppsh.texts import Log

SHARE = 0.8  # of the connect timeout: with the rest, the ordinary way sees for itself what it is that does not answer
DRAIN_S = 5.0  # for acks still open when a signal ends a command


class Declined(Exception):
    """Nothing of the command's has been written: the ordinary way does it all, from the start."""


class Express:
    """Opens one session.

    options: whose, with what the last run has left of it: known, tokens, head_start, hashing. on_live: is called when
    it is there. stores: is the command going to send a message?
    """

    def __init__(
        self,
        options: SessionOptions,
        journal: Callable[[], Journal],
        waits: Waits,
        log: Log,
        on_live: Callable[[], None],
        *,
        stores: bool,
    ) -> None:
        self._options = replace(options, jid=beside(options.jid))
        self._journal, self._waits, self._log, self._on_live = journal, waits, log, on_live
        self._account, self._stores = str(options.jid.bare), stores

    @asynccontextmanager
    async def one_shot(self, *, heals: bool = False, acks: bool = True) -> AsyncIterator[Session]:
        """The session; raises Declined, and what ends it. It is closed cleanly, whatever ends the block."""
        del heals, acks  # who needs them otherwise takes the ordinary way
        session = self._opened(time.monotonic() + SHARE * self._options.connect_timeout_s)
        try:
            yield session
        except Stopped:
            session.drain(DRAIN_S)
            raise
        except XmppshError as error:
            if session.was_written:
                raise
            raise Declined from error
        finally:
            session.close()

    def _opened(self, deadline: float) -> Session:
        place = None if self._options.head_start is None else self._options.head_start.place
        session = self._begun(deadline)
        try:
            if place is not None and session.open():
                self._remember(place)
                self._on_live()
                return session
        except (TimeoutError, OSError, TlsError, IoError) as error:
            session.close()
            raise Declined from error
        except BaseException:  # a signal
            session.close()
            raise
        session.close()
        # The password was refused, or the server has not proved that it knows it: that is final (protocol/login.py).
        if session.error is not None and session.error.layer == "sasl":
            raise session.error
        raise Declined

    def _begun(self, deadline: float) -> Session:
        options, head_start = self._options, self._options.head_start
        servers = None if options.known is None else KnownServers(options.known, self._log)
        known = None if servers is None else servers.get(self._account)
        if servers is None or head_start is None or (place := head_start.place) is None:
            raise Declined
        address, port, tls = place
        if tls not in ("starttls", "direct") or not _may_go_ahead(options, known):
            raise Declined
        head_start.speak()
        head_start.wanted = first_words(options.jid, known)
        if (begun := head_start.take(address, port, tls)) is None:
            raise Declined
        tokens = self._tokens()
        client = None if tokens is None else tokens.client()
        stream = Stream(options.stream_config(options.jid, tls, known=known, client=client))
        link = Link(begun.sock, begun.said, self._waits)
        listeners = Listeners(
            lambda token: None if tokens is None or client is None else tokens.note(client, token),
            lambda: servers.learn(self._account, known, stream),
            lambda: servers.mistrust(self._account, stream),
        )
        return Session(options, stream, link, self._waits, self._journal, listeners, deadline, stores=self._stores)

    def _tokens(self) -> KeptTokens | None:
        password = self._options.credentials.password
        if self._options.tokens is None or password is None:
            return None
        from xmppsh.connection.tokens import KeptTokens

        return KeptTokens(self._options.tokens, self._account, password, self._log)

    def _remember(self, place: tuple[str, int, TlsMode]) -> None:
        options = self._options
        if options.head_start is not None:
            options.head_start.remember_place(*place)
        if options.hashing is not None:
            options.hashing.remember()


def _may_go_ahead(options: SessionOptions, known: Known | None) -> bool:
    """Is all known that the ordinary way would find out, and would it go to that place and no other?"""
    takes_stanzas = known is not None and known.rung is Rung.STANZAS and known.acks and options.acks
    is_there = len(options.hosts) == 1 and is_address(options.hosts[0][0])
    return takes_stanzas and is_there and is_plain_name(options.jid.dial_name)
