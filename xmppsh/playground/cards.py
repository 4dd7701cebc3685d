"""The card of an account (XEP-0054)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.playground.stanza import error_reply, result
from xmppsh.xmlio.build import Xml
from xmppsh.xmlio.reader import children

if TYPE_CHECKING:
    from xmppsh.playground.accounts import Account
    from xmppsh.playground.stanza import Stanza

CARD = f"{{{ns.VCARD}}}vCard"


def answer(owner: Account, iq: Stanza) -> Stanza:
    """Show the card, or let its owner write another one."""
    if iq.type == "get":
        return error_reply(iq, "item-not-found") if owner.card is None else result(iq, owner.card)
    if iq.sender.bare != owner.jid:
        return error_reply(iq, "forbidden")
    assert iq.source is not None
    owner.card = Xml(children(iq.source)[0])
    return result(iq)
