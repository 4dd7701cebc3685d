"""Reading the error elements of RFC 6120: the defined condition and the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import ProtocolError, StanzaError

if TYPE_CHECKING:
    from typing import Literal
    from xml.etree.ElementTree import Element as Tree

    from xmppsh.model import Element

MAX_TEXT = 200  # characters of the server's own text that an error of ours repeats
UNKNOWN = ("service-unavailable", "feature-not-implemented")  # the receiver does not know the protocol
OUT_OF_REACH = ("remote-server-not-found", "remote-server-timeout")  # our own server says this about another one
NO_SERVER = (*OUT_OF_REACH, "not-allowed", "item-not-found")
_START_TAG = r"(<[^\s/>]+(?:\s+xmlns=(?:\"[^\"]*\"|'[^']*'))?)[^>]*>"


def number(text: str | None) -> int | None:
    """A decimal number below 2**32, as the protocol's counters are; None for anything else."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) >= 2**32:
        return None
    return int(text)


def read_h(nonza: Element) -> int:
    """The server's count of handled stanzas in an `<a/>`, `<resumed/>` or `<failed/>`; raises ProtocolError."""
    h = number(nonza.attributes.get("h"))
    if h is None:
        shown = nonza.attributes.get("h", "")[:MAX_TEXT]
        raise ProtocolError(
            f"the server acknowledges {shown!r}, which is no count of stanzas", condition="undefined-condition"
        )
    return h


def condition_of(error: Tree, namespace: str) -> tuple[str, str | None]:
    """The defined condition and the text of a stream, SASL or stanza error (RFC 6120 §4.9.2, §6.5, §8.3.2)."""
    condition, text = "undefined-condition", None
    for child in error:
        uri, _, name = child.tag[1:].partition("}")
        if uri != namespace:
            continue
        if name == "text":
            text = (child.text or "").strip()[:MAX_TEXT] or None
        else:
            condition = name
    return condition, text


def stanza_error(stanza: Tree, sender: str, layer: Literal["bind", "stanza"] = "stanza") -> StanzaError:
    """The StanzaError that an error stanza carries (RFC 6120 §8.3)."""
    error = stanza.find(f"{{{ns.CLIENT}}}error")
    if error is None:
        return StanzaError(sender, "undefined-condition", layer=layer)
    condition, text = condition_of(error, ns.STANZA_ERRORS)
    made = StanzaError(sender, condition, text, error.get("type", "cancel"), layer=layer)
    if condition in NO_SERVER and not set("@./:") & set(sender):
        made.hint = f"{sender} has no @ and was taken for a server; a user is {sender}@HOST"
    return made


def unknown_request(error: StanzaError, payload: str) -> StanzaError:
    """The error of an IQ; where its receiver does not know the payload, a hint names that."""
    tag = re.match(_START_TAG, payload)
    if tag is None or error.condition not in UNKNOWN:
        return error
    is_user, is_full = "@" in error.sender, "/" in error.sender
    if is_user and not is_full and ns.PING in tag.group():
        error.hint = "a user answers pings at a full address: user@host/resource"
    elif is_user:
        error.hint = f"nobody is there, or {tag.group(1)}> is not known there"
    else:
        error.hint = f"{tag.group(1)}> is not known there"
    return error


def not_a_room(error: StanzaError) -> StanzaError:
    """The error of a message of type groupchat, with a hint when the recipient is no room or we have not joined it."""
    if error.condition == "service-unavailable" and "@" in error.sender:
        error.hint = f"{error.sender} is not a room, as far as its server knows: leave out --type groupchat"
    elif error.condition == "not-acceptable":  # XEP-0045 §7.4
        error.hint = "--room joins the room first"
    return error
