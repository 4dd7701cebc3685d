"""How far our messages have come at whom they were written to: receipts (XEP-0184) and read marks (XEP-0333)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from xmppsh import ns
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xmppsh.model import Element, Jid

MAX_REMEMBERED = 1000  # messages; what is said of older ones is not noted
PATIENCE_S = 0.3  # a receipt that comes as soon as this stands beside the message when it is shown
# What asks for both, and what tells them. The older names of XEP-0333 (0.3) are still sent.
ASKING = (element("request", {"xmlns": ns.RECEIPTS}), element("markable", {"xmlns": ns.CHAT_MARKERS}))
ASKED = frozenset((f"{{{ns.RECEIPTS}}}request", f"{{{ns.CHAT_MARKERS}}}markable"))  # the same, as records name them
TELLING = {
    f"{{{ns.RECEIPTS}}}received": "delivered",
    f"{{{ns.CHAT_MARKERS}}}received": "delivered",
    f"{{{ns.CHAT_MARKERS}}}displayed": "read",
    f"{{{ns.CHAT_MARKERS}}}acknowledged": "read",
}


class News(NamedTuple):
    """Messages that have come further. mark: `delivered` or `read`."""

    partner: str
    ids: frozenset[str]
    mark: str


class Marks:
    """Remembers the messages that were sent, by their ids."""

    def __init__(self) -> None:
        self._partners: dict[str, str] = {}  # id → bare address, the newest last
        self._asking: set[str] = set()  # the ids of those that ask
        self._reached: dict[str, str] = {}  # id → how far it has come
        self._last: dict[str, str] = {}  # bare address → the id of the newest
        self._awaited: dict[str, asyncio.Future[None]] = {}
        self._silent: set[str] = set()  # whose clients tell nothing, or late

    def sent(self, stanza_id: str, to: Jid, *, asks: bool = True) -> None:
        """A message is sent. asks: for them; of another one nothing but an error may tell."""
        partner = str(to.bare)
        if asks:
            self._asking.add(stanza_id)
        self._partners[stanza_id] = partner
        self._last[partner] = stanza_id
        if len(self._partners) > MAX_REMEMBERED:
            oldest = next(iter(self._partners))
            bare = self._partners.pop(oldest)
            self._reached.pop(oldest, None)
            self._asking.discard(oldest)
            if self._last.get(bare) == oldest:
                del self._last[bare]

    def of(self, stanza_id: str) -> str | None:
        """How far a message has come; None for the server alone."""
        return self._reached.get(stanza_id)

    def of_last(self, partner: str) -> str | None:
        """How far the last message to somebody has come."""
        return self.of(self._last.get(partner, ""))

    def note(self, stanza: Element) -> list[News]:
        """What a message tells about ours. It counts from whom they were written to alone."""
        sender = stanza.sender.partition("/")[0]
        if sender not in self._last or stanza.attributes.get("type") in ("error", "groupchat"):
            return []
        self._silent.discard(sender)
        told = [(TELLING[child.tag], child.get("id", "")) for child in tree(stanza) if child.tag in TELLING]
        return [news for mark, stanza_id in told if (news := self._told(sender, mark, stanza_id)).ids]

    def _told(self, sender: str, mark: str, stanza_id: str) -> News:
        ids: set[str] = set()
        if self._partners.get(stanza_id) == sender:
            # Who has read a message has read those before it, too (XEP-0333 §5.2).
            upto = list(self._partners)[: list(self._partners).index(stanza_id)] if mark == "read" else []
            for one in (*upto, stanza_id):
                if self._partners[one] == sender and self._reached.get(one) not in (mark, "read"):
                    self._reached[one] = mark
                    ids.add(one)
                    self._release(one)
        return News(sender, frozenset(ids), mark)

    def came_back(self, stanza: Element) -> list[News]:
        """What an error tells about a message of ours (RFC 6120 §8.3)."""
        news = self._told(stanza.sender.partition("/")[0], "came back", stanza.id or "")
        return [news] if news.ids else []

    # ── A moment's patience ─────────────────────────────────────────────────────────────────────────────────────

    async def soon(self, stanza_id: str, partner: str) -> str | None:
        """Wait a moment for what tells of a message, unless this partner's clients do not tell so soon."""
        is_awaited = stanza_id in self._asking and self._partners[stanza_id] == partner
        if stanza_id in self._reached or partner in self._silent or not is_awaited:
            return self._reached.get(stanza_id)
        answer = self._awaited[stanza_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await answer
            return self._reached.get(stanza_id)
        except TimeoutError:
            self._silent.add(partner)
            return None
        finally:
            del self._awaited[stanza_id]

    def hurry(self) -> None:
        """Something else is to be shown: nobody waits any longer."""
        for stanza_id in self._awaited:
            self._release(stanza_id)

    def _release(self, stanza_id: str) -> None:
        answer = self._awaited.get(stanza_id)
        if answer is not None and not answer.done():
            answer.set_result(None)
