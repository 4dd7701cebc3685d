"""Open IQ requests (RFC 6120 §8.2.3): an answer counts only with the right id and from the right address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh.errors import MalformedJid
from xmppsh.model import Jid

if TYPE_CHECKING:
    from xmppsh.errors import XmppshError
    from xmppsh.model import Element


class Requests:
    """The requests that wait for an answer, by id."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Jid | None, asyncio.Future[Element]]] = {}

    def add(self, stanza_id: str, to: Jid | None) -> asyncio.Future[Element]:
        """Remember a request; the future gets the answer, error or result."""
        future: asyncio.Future[Element] = asyncio.get_running_loop().create_future()
        self._open[stanza_id] = (to, future)
        future.add_done_callback(lambda _: self._open.pop(stanza_id, None))
        return future

    def answer(self, stanza: Element, own: Jid) -> bool:
        """Give an inbound IQ to the request it answers; False when there is none."""
        entry = self._open.get(stanza.id or "")
        if entry is None or stanza.attributes.get("type") not in ("result", "error"):
            return False
        to, future = entry
        if not _is_from(stanza.sender, to, own):
            return False
        if not future.done():
            future.set_result(stanza)
        return True

    def fail(self, error: XmppshError) -> None:
        """The session is over: nobody will answer."""
        for _, future in list(self._open.values()):
            if not future.done():
                future.set_exception(error)

    def __len__(self) -> int:
        return len(self._open)


def _is_from(sender: str, to: Jid | None, own: Jid) -> bool:
    """RFC 6120 §8.1.2.1: our own account may answer without a `from`, everybody else answers as who was asked."""
    if to is None or to in (own.bare, own, Jid(None, own.domainpart)):
        return sender in ("", str(own.bare), str(own), own.domainpart)
    try:
        return Jid.parse(sender) == to
    except MalformedJid:
        return False
