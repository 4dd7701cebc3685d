"""What is wrong with typed XML, and where: shown below the line before anything is sent. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xmppsh.errors import XmlError
from xmppsh.later import pattern
from xmppsh.shell.lines.xmlinput import XmlInput

if TYPE_CHECKING:
    from xmppsh.xmlio.splitter import Limits

_BARE_AMPERSAND = pattern(r"&(?!#\d+;|#x[0-9a-fA-F]+;|[\w:.-]+;)")
_BARE_BRACKET = pattern(r"<(?![\w:/!?])")


class Fault(NamedTuple):
    """position: in the text, in characters from 0; sentence: for people."""

    position: int
    sentence: str


def xml_fault(text: str, limits: Limits) -> Fault | None:
    """The first fault of XML that is to be sent as stanzas; an element that is not closed yet is one, too."""
    try:
        xml = XmlInput(limits)
        if xml.feed(text) is None:
            xml.end()
    except XmlError as error:
        return explained(text, error)
    return None


def explained(text: str, error: XmlError) -> Fault:
    """The fault of an error, in words that say what to write instead."""
    position = _position(text, error)
    # Expat tells of both one character late, and of neither by name.
    for wrong, sentence in ((_BARE_AMPERSAND, "& is written &amp;"), (_BARE_BRACKET, "< is written &lt;")):
        bare = wrong().search(text)
        if bare is not None and position - 1 <= bare.start() <= position:
            return Fault(bare.start(), sentence)
    return Fault(position, error.reason)


def _position(text: str, error: XmlError) -> int:
    """Line and column, which counts characters, as a position in the text."""
    lines = text.split("\n")
    if error.line is None or error.column is None or error.line > len(lines):
        return len(text)
    before = sum(len(line) + 1 for line in lines[: error.line - 1])
    return min(before + error.column - 1, len(text))
