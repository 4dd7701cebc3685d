"""XEP-0184: telling whoever asks that what he wrote has arrived."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import StanzaError
from xmppsh.session.responder import NEVER_BOUNCED
from xmppsh.xep.greeting import Greeting
from xmppsh.xep.roster import contacts, pushed
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xmppsh.model import Element
    from xmppsh.session.session import Session
    from xmppsh.xep.roster import Contact
    from xmppsh.xmlio.build import Xml

REQUEST = f"{{{ns.RECEIPTS}}}request"


def asks(message: Element) -> bool:
    """Does its sender want to know that it has arrived? Errors, headlines and rooms are never told (§5.3)."""
    if not message.id or ns.RECEIPTS not in message.xml or message.attributes.get("type") in NEVER_BOUNCED:
        return False
    return tree(message).find(REQUEST) is not None


def receipt(message: Element, own_id: str | None = None) -> Xml:
    """Tell the very client that has sent it. own_id: the receipt's own, otherwise a new one."""
    received = element("received", {"xmlns": ns.RECEIPTS, "id": message.id})
    address = {"to": message.sender, "type": message.attributes.get("type"), "id": own_id or new_id()}
    return element("message", address, received)


class Receipts(Greeting):
    """Tells those alone who may see our presence: that we are here is what a receipt gives away (§8).

    known: is set once it is known who they are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.known = asyncio.Event()
        self._sees_us: set[str] = set()
        session.inbound.responder.also = (ns.RECEIPTS,)

    async def greet(self) -> None:
        """Ask for the roster, of which every change is told from then on (RFC 6121 §2.1.6)."""
        try:
            self._note(await contacts(self.session))
        except StanzaError as error:
            self.session.log(0, f"nobody is told that a message has arrived, since there is no roster: {error}")
        self.known.set()

    def intercept(self, stanza: Element, handled: Callable[[], None]) -> bool:
        """Learn who sees us from now on; the session confirms it."""
        self._note(pushed(stanza, self.session.jid))
        return False

    def _note(self, listed: Iterable[Contact]) -> None:
        for contact in listed:
            if contact.sees_us:
                self._sees_us.add(contact.jid)
            else:
                self._sees_us.discard(contact.jid)

    def confirm(self, message: Element, *, shown: bool) -> None:
        """It is in the user's hands, if it was shown: tell its sender, if he asks and may know."""
        if not shown:
            return
        own, sender = str(self.session.jid.bare), message.sender.partition("/")[0]
        if (sender in self._sees_us or sender == own) and asks(message):
            self.session.send(receipt(message))
