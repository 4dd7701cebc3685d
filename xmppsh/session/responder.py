"""What a session answers by itself: every IQ request must have an answer (RFC 6120 §8.2.3), and a message that nobody
will read comes back to its sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.xmlio.build import Xml

PING = f"{{{ns.PING}}}ping"
NEVER_BOUNCED = ("error", "groupchat", "headline")


def response_to(request: Element) -> Xml:
    """The answer to an IQ of type get or set: a result for XEP-0199 pings, otherwise `service-unavailable`."""
    if request.attributes.get("type") == "get" and any(child.tag == PING for child in tree(request)):
        return element("iq", {"type": "result", "id": request.id, "to": request.sender or None})
    return _service_unavailable(request)


def bounce_of(message: Element) -> Xml | None:
    """The answer to a message for a session that prints none: `service-unavailable`, as if nobody was there.

    None where nobody is to be told: behind an error (RFC 6120 §8.3.1), a headline or what is said in a room.
    """
    if not message.sender or message.attributes.get("type") in NEVER_BOUNCED:
        return None
    return _service_unavailable(message)


def _service_unavailable(stanza: Element) -> Xml:
    address = {"id": stanza.id, "to": stanza.sender or None}
    condition = element("service-unavailable", {"xmlns": ns.STANZA_ERRORS})
    return element(stanza.kind, {"type": "error", **address}, element("error", {"type": "cancel"}, condition))
