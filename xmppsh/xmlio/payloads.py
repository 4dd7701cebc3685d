"""Extension elements of our own messages: corrections, replies, retractions, reactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xmppsh.xmlio.build import Xml


def correction(stanza_id: str) -> Xml:
    """The message takes the place of the one with that id (XEP-0308 §3)."""
    return element("replace", {"xmlns": ns.CORRECTION, "id": stanza_id})


def reply(stanza_id: str, author: str | None) -> Xml:
    """The message answers the one with that id (XEP-0461 §3); author: who wrote that, where it is known."""
    return element("reply", {"xmlns": ns.REPLY, "id": stanza_id, "to": author})


def fallback(namespace: str, end: int | None = None) -> Xml:
    """The body, or its first `end` characters, is for clients that do not know `namespace` (XEP-0428 §2)."""
    part = None if end is None else element("body", {"start": "0", "end": str(end)})
    return element("fallback", {"xmlns": ns.FALLBACK, "for": namespace}, part)


def quoted(text: str) -> str:
    """A text as the beginning of the answer to it, for clients that know no replies (XEP-0461 §3.1)."""
    return "".join(f"> {line}\n" for line in text.split("\n"))


def retraction(stanza_id: str) -> Xml:
    """The message with that id is taken back (XEP-0424 §3)."""
    return element("retract", {"xmlns": ns.RETRACTION, "id": stanza_id})


def reactions(stanza_id: str, emoji: Iterable[str]) -> Xml:
    """Our reactions to the message with that id, all of them; without one they are taken back (XEP-0444 §4)."""
    given = (element("reaction", None, one) for one in emoji if one)
    return element("reactions", {"xmlns": ns.REACTIONS, "id": stanza_id}, *given)


def store_hint() -> Xml:
    """Keep the message in the archive although it has no body (XEP-0334 §4.4)."""
    return element("store", {"xmlns": ns.HINTS})
