"""What a session answers by itself: every IQ request must have an answer (RFC 6120 §8.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.protocol import ns
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.xmlio.build import Xml

PING = "{urn:xmpp:ping}ping"


def response_to(request: Element) -> Xml:
    """The answer to an IQ of type get or set: a result for XEP-0199 pings, otherwise `service-unavailable`."""
    address = {"id": request.id, "to": request.sender or None}
    if request.attributes.get("type") == "get" and any(child.tag == PING for child in tree(request)):
        return element("iq", {"type": "result", **address})
    condition = element("service-unavailable", {"xmlns": ns.STANZA_ERRORS})
    return element("iq", {"type": "error", **address}, element("error", {"type": "cancel"}, condition))
