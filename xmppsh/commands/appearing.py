"""How a session of ours appears to others: the options of `listen` and `connect`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from xmppsh.errors import MalformedJid
from xmppsh.model import Jid
from xmppsh.registry.base import option
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.registry.base import Handler
    from xmppsh.xmlio.build import Xml

SHOWS = ("away", "chat", "dnd", "xa")  # RFC 6121 §4.7.2.1
WITHOUT_MESSAGES = presence(priority=-1)  # what is sent to the bare JID goes to other clients (RFC 6121 §8.5.2.1)


def appearing(handler: Handler) -> Handler:
    """Add the options to a command."""
    for add in (
        option(
            "--accept-subscriptions",
            "accepted",
            is_flag=False,
            flag_value="*",
            default=None,
            metavar="[PATTERN]",
            help="Approve those who ask to see your presence: all, or those like *@example.org.",
        ),
        option("--no-presence", is_flag=True, help="Send no presence: messages to your bare JID go elsewhere."),
        option("--priority", type="PRIORITY", metavar="N", help="Your priority, -128 to 127 [0]."),
        option("--status", metavar="TEXT", help="A status text with your presence."),
        option("--show", type=SHOWS, help="away, chat, dnd or xa."),
    ):
        handler = add(handler)
    return handler


def availability(show: str | None, status: str | None, priority: int | None) -> Xml:
    """Our presence."""
    return presence(show=show, status=status, priority=priority)


def answer_to(stanza: Element, accepted: str | None) -> Xml | None:
    """The approval of a request to see our presence (RFC 6121 §3.1.4); None when it is none, or is not accepted."""
    if accepted is None or stanza.kind != "presence" or stanza.attributes.get("type") != "subscribe":
        return None
    try:
        who = str(Jid.parse(stanza.sender).bare)
    except MalformedJid:
        return None
    return presence("subscribed", to=who) if fnmatchcase(who, accepted.casefold()) else None
