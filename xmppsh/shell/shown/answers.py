"""What we tell about others' messages where they ask: that one was delivered (XEP-0184) or read (XEP-0333)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.session.responder import NEVER_BOUNCED
from xmppsh.xep.receipts import REQUEST, receipt
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.model import Element
    from xmppsh.shell.shown.people import People
    from xmppsh.xmlio.build import Xml

MAX_REMEMBERED = 1000  # answers
MARKABLE = f"{{{ns.CHAT_MARKERS}}}markable"


class Answers:
    """Tells those alone who may see our presence: that we are here, and look, is what an answer gives away."""

    def __init__(self, send: Callable[[Xml], object], people: People) -> None:
        self._send, self._people = send, people
        self._ids: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._unread: dict[str, Element] = {}  # bare address → the newest message that asks whether it was read

    def shown(self, message: Element, *, read: bool) -> None:
        """A message stands on the screen. read: it is from whom we write to, so it is looked at."""
        bare = message.sender.partition("/")[0]
        if not message.id or bare not in self._people.sees_us or message.attributes.get("type") in NEVER_BOUNCED:
            return
        asked = {child.tag for child in tree(message)}
        if REQUEST in asked:
            self._send(receipt(message, self._new_id()))
        if MARKABLE in asked:
            self._unread[bare] = message
            if read:
                self.read(bare)

    def _new_id(self) -> str:
        self._ids.append(new_id())
        return self._ids[-1]

    def is_refused(self, error: Element) -> bool:
        """Is this an answer of ours that came back? Nobody has typed it, and who had asked has gone."""
        return error.id in self._ids

    def read(self, bare: str) -> None:
        """What somebody wrote is looked at: the newest is named, which speaks for those before it (XEP-0333 §5.2)."""
        message = self._unread.pop(bare, None)
        if message is not None:
            displayed = element("displayed", {"xmlns": ns.CHAT_MARKERS, "id": message.id})
            address = {"to": message.sender, "type": message.attributes.get("type"), "id": self._new_id()}
            self._send(element("message", address, displayed))
