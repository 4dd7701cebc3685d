"""XEP-0280: copies of what other clients of the account send and receive."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from xmppsh import ns
from xmppsh.errors import XmppshError
from xmppsh.model import Jid
from xmppsh.xmlio.build import element
from xmppsh.xmlio.reader import children, read_element, tree

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.xmlio.build import Xml

Direction = Literal["sent", "received"]


class Carbon(NamedTuple):
    """A copy: the message itself, and whether another client of ours sent or received it."""

    message: Element
    direction: Direction


def enabling() -> Xml:
    """The payload of the request for copies (§4)."""
    return element("enable", {"xmlns": ns.CARBONS})


def is_copy(stanza: Element) -> bool:
    """Does it claim to be a copy?"""
    return stanza.kind == "message" and ns.CARBONS in stanza.xml and _wrapper(stanza) is not None


def copied(stanza: Element, own: Jid) -> Carbon | None:
    """What a copy holds; None when it is none, or when somebody else than our own account sent it (§11)."""
    if stanza.kind != "message" or ns.CARBONS not in stanza.xml:
        return None
    wrapper = _wrapper(stanza)
    if wrapper is None or not _is_own(stanza.sender, own):
        return None
    forwarded = next((one for one in children(read_element(wrapper)) if _name(one) == "forwarded"), None)
    if forwarded is None:
        return None
    inner = [read_element(one) for one in children(read_element(forwarded))]
    message = next((one for one in inner if one.kind == "message"), None)
    if message is None:
        return None
    direction: Direction = "sent" if _name(wrapper) == "sent" else "received"
    return Carbon(replace(message, arrived=stanza.arrived), direction)


def _wrapper(stanza: Element) -> str | None:
    for child, parsed in zip(children(stanza), tree(stanza), strict=True):
        if parsed.tag in (f"{{{ns.CARBONS}}}sent", f"{{{ns.CARBONS}}}received"):
            return child
    return None


def _name(xml: str) -> str:
    return tree(read_element(xml)).tag.rpartition("}")[2]


def _is_own(sender: str, own: Jid) -> bool:
    """From our bare JID alone; a server may leave it out (RFC 6120 §8.1.2.1)."""
    if not sender:
        return True
    try:
        return Jid.parse(sender) == own.bare
    except XmppshError:
        return False
