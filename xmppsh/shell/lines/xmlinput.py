"""XML that is typed: it stays open over lines until every element is closed, then it is sent, all of it or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from xmppsh.errors import XmlError
from xmppsh.xmlio.reader import StanzaReader

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.xmlio.splitter import Limits


class XmlInput:
    """The stanzas of one input, fed by lines."""

    def __init__(self, limits: Limits) -> None:
        self._reader = StanzaReader(limits)
        self._stanzas: list[Element] = []
        self._held = ""  # white space at the end of a line: part of an open element, or nothing

    def feed(self, text: str) -> list[Element] | None:
        """Take a line, or several; give the stanzas once nothing is open, None before that. Raises XmlError."""
        kept = text.rstrip()
        data = (self._held + kept).encode("utf-8", "surrogateescape")
        self._held = text[len(kept) :] + "\n"
        self._stanzas += self._reader.feed(data)
        return None if self._reader.is_open or not self._stanzas else self._stanzas

    def end(self) -> NoReturn:
        """The input is over before its element was closed: raises XmlError."""
        self._reader.end()
        raise XmlError("the input ends before a stanza")


def is_open(text: str, limits: Limits) -> bool:
    """Does this XML wait for more lines? Faulty XML does not: it is reported when it is entered."""
    try:
        return XmlInput(limits).feed(text) is None
    except XmlError:
        return False
