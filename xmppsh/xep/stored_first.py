"""What the server had stored while nobody was online comes before what arrives meanwhile: it is older.

Our full address exists from the bind on, and the server delivers its offline store after our presence. So a peer that
writes to the full address is heard with its newest message first: of 10,500 messages to a `listen` that was started 20
times, 4,869 were printed after a newer one. Messages without the server's note that it had kept them wait therefore
until it has delivered its store: on Prosody, which does that in one go. ejabberd mixes what arrives meanwhile into it,
and ends a session of which too much is not acknowledged (XEP-0198 §4: nothing is, after a stanza that waits).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.session.ports import Interceptor
from xmppsh.session.settle import Server, server_of
from xmppsh.xep.catch_up import MAX_HELD

if TYPE_CHECKING:
    from xmppsh.session.session import Session

KEPT_NOTE = re.compile(rf"""<delay\s[^>]*{re.escape(ns.DELAY)}[^>]*>""")
BY = re.compile(r"""\sfrom=["']([^"']*)["']""")


class StoredFirst(Interceptor):
    """Holds back on each new session what arrives before the server has delivered its store.

    It is for who announces a presence, for nothing else lets it go on.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._generation = 0  # of the session

    @property
    def wants_messages(self) -> bool:
        """It looks at none."""
        return False

    def on_live(self) -> None:
        """The first stream, or the next one after a cut."""
        former, self._generation = self._generation, self._session.inbound.generation
        resumable = self._session.resumable
        kind = server_of("" if resumable is None else resumable.sm_id)
        if former == self._generation or kind is not Server.EXACT:
            return
        self._session.inbound.hold_back(self, MAX_HELD[Server.EXACT], passes=self._passes)

    def on_store_delivered(self) -> None:
        """Now comes what is newer."""
        self._session.inbound.let_through(self)

    def _passes(self, xml: str) -> bool:
        """Is it no message, or does our server say that it had kept it (XEP-0203 §4)?"""
        if not xml.startswith("<message"):
            return True
        own = self._session.jid
        notes = KEPT_NOTE.findall(xml) if ns.DELAY in xml else []
        return any(by.group(1) in (own.domainpart, str(own.bare)) for note in notes if (by := BY.search(note)))
