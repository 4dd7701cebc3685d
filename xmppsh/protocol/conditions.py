"""Reading the error elements of RFC 6120: the defined condition and the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import StanzaError

if TYPE_CHECKING:
    from typing import Literal
    from xml.etree.ElementTree import Element as Tree


MAX_TEXT = 200  # characters of somebody else's words in a sentence of ours


def number(text: str | None) -> int | None:
    """A decimal number below 2**32, as the protocol's counters are; None for anything else."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) >= 2**32:
        return None
    return int(text)


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
    return StanzaError(sender, condition, text, error.get("type", "cancel"), layer=layer)
