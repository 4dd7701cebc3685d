"""The XML readers: what comes in, from the server or from people, becomes elements.

`StreamReader` reads the server's stream (RFC 6120 §4): header, elements, footer. `StanzaReader` reads people's input:
stanzas one after the other, with or without a root around them. Both share one splitter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import XmlError
from xmppsh.model import Element
from xmppsh.plain import dataclass
from xmppsh.xmlio.splitter import Footer, Header, Limits, Splitter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element as Tree

__all__ = ["Footer", "Header", "Limits", "StanzaReader", "StreamReader", "children", "read_element", "tree", "trees"]

STREAM_NAME = f"{{{ns.STREAM}}}stream"
_DECLARATION = rb"<\?xml\s[^>]*\?>"
_ENCODING = rb"encoding\s*=\s*[\"']([^\"']*)[\"']"
_MAX_DECLARATION_BYTES = 256

END = b"</message>"
FEWEST = 8  # messages that are worth a parser of their own (plain.py)
MESSAGE_NAME = f"{{{ns.CLIENT}}}message"
USUAL_ATTRIBUTES = ("from", "to", "type", "id", "{http://www.w3.org/XML/1998/namespace}lang")  # as expat gives them
Place = tuple[int, int]  # line and column, from 1
Start = tuple[str | None, str | None, str | None, str | None, str | None, str]


@dataclass(slots=True)
class Run:
    """Messages that came one after the other in one piece, well-formed and within the limits.

    messages: the exact XML of each; starts: sender, recipient, type, id and language as in the start tag, None for one
    that it has not, and what stands from the `>` of that tag to the end tag.
    """

    messages: list[str]
    starts: list[Start]

    def element(self, index: int) -> Element:
        """One of them, as the reader gives it by itself."""
        given = zip(USUAL_ATTRIBUTES, self.starts[index], strict=False)
        return Element(MESSAGE_NAME, {name: value for name, value in given if value is not None}, self.messages[index])

    def elements(self) -> list[Element]:
        """All of them."""
        return [self.element(at) for at in range(len(self.messages))]


def after(place: Place, data: bytes) -> Place:
    """The place after `data`, which begins at `place`."""
    lines, last = data.count(b"\n"), data[data.rfind(b"\n") + 1 :]
    return place[0] + lines, (1 if lines else place[1]) + len(last.decode("utf-8", "replace"))


class StreamReader:
    """Reads the server's side of one stream; a restarted stream gets a new reader."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._splitter = Splitter(limits or Limits())

    def feed(self, data: bytes) -> list[Header | Element | Footer]:
        """Take bytes off the wire, give what they complete; raises XmlError, and then gives nothing."""
        items, error = self.feed_until_error(data)
        if error is not None:
            raise error
        return items

    def feed_until_error(
        self, data: bytes, *, final: bool = False
    ) -> tuple[list[Header | Element | Footer], XmlError | None]:
        """Take bytes off the wire; give what they complete, and the fault that ended it (RFC 6120 §4.9.3.13)."""
        error: XmlError | None = None
        try:
            self._splitter.parse(data, final)
        except XmlError as caught:
            error = caught
        items, self._splitter.items = self._splitter.items, []
        return items, error

    @property
    def has_rest(self) -> bool:
        """Have bytes come after the last complete element?"""
        return self._splitter.pending_bytes > 0

    @property
    def has_declarations(self) -> bool:
        """Does the header put stanzas without a prefix into another namespace than `jabber:client`?"""
        return any(not prefix for prefix, _, _ in self._splitter.inherited)

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """How the use of each prefix looks that the header declares."""
        return tuple(use for prefix, _, use in self._splitter.inherited if prefix)

    @property
    def is_between(self) -> bool:
        """After the end of an element: is this the place between two?"""
        return self._splitter.depth == self._splitter.top - 1

    def skip(self) -> None:
        """Elements were read elsewhere: go on after them, in a line of its own."""
        self._splitter.parse(b"\n")
        self._splitter.forget_pending()


class StanzaReader:
    """Reads stanzas written by people and programs, one after the other; `jabber:client` is assumed.

    root: the name of an element that may enclose them, beside `stream:stream`.
    any_element: give every element, not stanzas alone.
    """

    _OPENING = f"<x xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'>".encode()

    def __init__(self, limits: Limits | None = None, *, root: str | None = None, any_element: bool = False) -> None:
        roots = frozenset({STREAM_NAME}) if root is None else frozenset({STREAM_NAME, root})
        self._splitter = Splitter(limits or Limits(), roots=roots)
        self._splitter.parse(self._OPENING)
        self._splitter.items.clear()
        self._assumed = self._splitter.inherited
        self._any_element = any_element
        self._head: bytes | None = b""  # what came so far, until it is known whether an XML declaration leads

    def feed(self, data: bytes) -> list[Element]:
        """Take input, give the stanzas it completes; raises XmlError with line and column.

        Stanzas that were complete before the fault are lost with the call: read them with `feed_until_error`.
        """
        stanzas, error = self.feed_until_error(data)
        if error is not None:
            raise error
        return stanzas

    def feed_until_error(self, data: bytes, *, final: bool = False) -> tuple[list[Element], XmlError | None]:
        """Take input; give the stanzas it completes and the fault that ended them, if any."""
        error: XmlError | None = None
        try:
            self._splitter.parse(self._without_declaration(data, final=final))
            if self._splitter.depth == 0:
                raise self._splitter.error("an end tag has no start tag")
            if final:
                self._finish()
        except XmlError as caught:
            error = self._placed(caught)
        stanzas: list[Element] = []
        for item in self._splitter.items:
            if not isinstance(item, Element):
                continue
            stanza = self._at_home(item)
            if not (self._any_element or stanza.is_stanza):
                error = XmlError(
                    f"<{stanza.kind}> is not a stanza (message, presence or iq in jabber:client)",
                    condition="unsupported-stanza-type",
                    line=stanza.line,
                    column=stanza.column,
                )
                break
            stanzas.append(stanza)
        self._splitter.items.clear()
        return stanzas, error

    def skip(self) -> None:
        """Elements were read elsewhere: go on after them, in a line of its own."""
        self.feed(b"\n")
        self._splitter.forget_pending()

    def end(self) -> None:
        """Say that the input is over; raises XmlError when an element is still open."""
        _, error = self.feed_until_error(b"", final=True)
        if error is not None:
            raise error

    @property
    def has_declarations(self) -> bool:
        """Does a root declare namespaces that the stanzas may need?"""
        return self._splitter.inherited != self._assumed

    @property
    def is_between(self) -> bool:
        """After the end of an element: is this the place between two that stand alone?"""
        return self._splitter.depth == self._splitter.top - 1 and not self.has_declarations

    @property
    def is_open(self) -> bool:
        """Has an element begun that is not complete?"""
        return self._splitter.depth > 1 or (self._splitter.pending_bytes > 0)

    def _finish(self) -> None:
        if self._splitter.depth > 1:
            raise self._splitter.error("the input ends inside an element")
        self._splitter.parse(b"</x>", final=True)

    def _without_declaration(self, data: bytes, *, final: bool) -> bytes:
        """Blank out a byte order mark and an XML declaration that lead the input; lines and columns stay."""
        if self._head is None:
            return data
        self._head += data
        head = self._head.removeprefix(b"\xef\xbb\xbf")
        if not final and b"\xef\xbb\xbf".startswith(self._head):
            return b""  # perhaps the beginning of a byte order mark
        undecided = not final and len(head) < _MAX_DECLARATION_BYTES and b"?>" not in head
        if undecided and b"<?xml".startswith(head[:5]):
            return b""
        self._head = None
        declaration = re.match(_DECLARATION, head)
        if declaration is None:
            return head
        encoding = re.search(_ENCODING, declaration.group())
        if encoding is not None and encoding.group(1).upper() not in (b"UTF-8", b"UTF8"):
            name = encoding.group(1).decode("ascii", "replace")
            raise XmlError(f"the encoding is {name}, not UTF-8", condition="unsupported-encoding", line=1, column=1)
        blank = re.sub(rb"[^\n]", b" ", declaration.group())
        return blank + head[declaration.end() :]

    def _column(self, line: int, column: int) -> int:
        return max(1, column - len(self._OPENING)) if line == 1 else column

    def _placed(self, error: XmlError) -> XmlError:
        if error.line is None or error.column is None:
            return error
        column = self._column(error.line, error.column)
        return XmlError(error.reason, condition=error.condition or "", line=error.line, column=column)

    def _at_home(self, item: Element) -> Element:
        if item.line != 1:
            return item
        column = self._column(item.line, item.column)
        return Element(item.name, item.attributes, item.xml, item.line, column)


def read_element(xml: str, limits: Limits | None = None) -> Element:
    """Read exactly one element of any namespace; raises XmlError. limits: else those of what stands in what arrives."""
    reader = StanzaReader(limits or Limits().within, any_element=True)
    elements = reader.feed(xml.encode("utf-8", "surrogatepass"))
    reader.end()
    if len(elements) != 1:
        raise XmlError(f"one element is wanted here, not {len(elements)}", line=1, column=1)
    return elements[0]


def tree(element: Element | str) -> Tree:
    """The element, or its XML, as an ElementTree; names are `{namespace}local`."""
    return trees([element])[0]


def trees(elements: Sequence[Element | str]) -> list[Tree]:
    """The same of many: to parse them together takes a third of the time."""
    from _elementtree import XMLParser  # type: ignore[import-not-found] # what ElementTree wraps: that takes milliseconds

    parser = XMLParser()
    xml = "".join([one if isinstance(one, str) else one.xml for one in elements])
    parser.feed(f"<x xmlns='{ns.CLIENT}'>{xml}</x>")
    return list(parser.close())


def children(element: Element) -> list[str]:
    """The XML of each child element, standing alone, in order."""
    return [one.xml for one in below(element, 1)]


def below(element: Element, levels: int) -> list[Element]:
    """The elements that stand so many levels below this one, each standing alone, in order."""
    reader = Splitter(Limits().within)
    reader.parse(f"<x xmlns='{ns.CLIENT}'>".encode())
    reader.top = 2 + levels
    reader.ignores_text = True
    reader.parse(element.xml.encode())
    return [item for item in reader.items if isinstance(item, Element)]
