"""The XML reader: expat splits what comes in, from the server or from a file, into the children of its root.

Two readers share one splitter. `StreamReader` reads the server's stream (RFC 6120 §4): header, elements, footer.
`StanzaReader` reads people's input: stanzas one after the other, with or without a root around them.
Rules of this file: an element leaves it as the exact bytes that came; nothing passes the limits; memory holds at
most one unfinished element; no DTD, processing instruction, comment or entity beyond the five (RFC 6120 §11.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.parsers import expat

from xmppsh.errors import XmlError
from xmppsh.model import Element

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element as Tree

STREAM_NAME = "{http://etherx.jabber.org/streams}stream"
CLIENT_NS = "jabber:client"
STREAM_NS = "http://etherx.jabber.org/streams"
_ASSUMED = {"": CLIENT_NS, "xml": "http://www.w3.org/XML/1998/namespace"}

_TAG_NAME = re.compile(rb"<[^\s/>]+")
_START_TAG = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_DECLARATION = re.compile(rb"<\?xml\s[^>]*\?>")
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([^\"']*)[\"']")
_MAX_DECLARATION_BYTES = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What one side may send; sizes in bytes."""

    stanza_bytes: int = 256 * 1024
    pending_bytes: int = 1024 * 1024  # between two elements, white space included
    depth: int = 64  # levels of one stanza, itself included
    attributes: int = 256  # of one element


@dataclass(frozen=True, slots=True)
class Header:
    """The root's start tag: `<stream:stream …>`."""

    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Footer:
    """The root's end tag: `</stream:stream>`."""


class _Splitter:
    """Cuts the elements at level `top` out of a document, verbatim."""

    def __init__(self, limits: Limits, *, roots: frozenset[str] | None = None) -> None:
        self.items: list[Header | Element | Footer] = []
        self.limits = limits
        self.depth = 0
        self.top = 2  # the level of what is cut out; the document's root is level 1
        self._roots = roots or frozenset()
        self.ignores_text = False
        self._buffer = bytearray()
        self._base = 0  # the document's offset of the buffer's first byte
        self._cut = 0  # everything before this offset is done with
        self._start: int | None = None  # where the open element began
        self._place = (1, 1)
        self._childless = True
        self._name, self._attributes = "", {}  # type: tuple[str, dict[str, str]]
        self._declared: dict[str, str] = {}  # namespace declarations of the tag that comes next
        self._inherited: dict[str, str] = {}  # declarations of the levels above `top`
        self._own: frozenset[str] = frozenset()
        self._parser = parser = expat.ParserCreate("UTF-8", "}")
        parser.StartElementHandler = self._on_start
        parser.EndElementHandler = self._on_end
        parser.CharacterDataHandler = self._on_text
        parser.StartNamespaceDeclHandler = self._on_namespace
        parser.XmlDeclHandler = self._on_declaration
        parser.StartDoctypeDeclHandler = lambda *_: self._restricted("a document type declaration")
        parser.ProcessingInstructionHandler = lambda *_: self._restricted("a processing instruction")
        parser.CommentHandler = lambda _: self._restricted("a comment")
        if hasattr(parser, "SetReparseDeferralEnabled"):
            # expat >= 2.6 holds complete stanzas back until more bytes come; our size limits make that needless.
            parser.SetReparseDeferralEnabled(False)

    def parse(self, data: bytes, final: bool = False) -> None:
        """Read on; what was found is appended to `items`."""
        self._buffer += data
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            reason = expat.errors.messages[error.code] if error.code in expat.errors.messages else str(error)
            raise XmlError(reason, line=error.lineno, column=error.offset + 1) from error
        keep_from = self._cut if self._start is None else self._start
        del self._buffer[: keep_from - self._base]
        self._base = keep_from
        if self._start is not None and len(self._buffer) > self.limits.stanza_bytes:
            raise self._too_big()
        if self.pending_bytes > self.limits.pending_bytes:
            raise self.error(
                f"more than {self.limits.pending_bytes} bytes without an element", condition="policy-violation"
            )

    @property
    def pending_bytes(self) -> int:
        """How many bytes have come behind the last complete element."""
        return self._base + len(self._buffer) - self._last_end

    _last_end = 0

    def error(self, reason: str, condition: str = "not-well-formed") -> XmlError:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        return XmlError(reason, condition=condition, line=line, column=column)

    def _restricted(self, what: str) -> None:
        raise self.error(f"{what} is not allowed in XMPP", condition="restricted-xml")  # RFC 6120 §11.1

    def _too_big(self) -> XmlError:
        line, column = self._place
        return XmlError(
            f"an element is larger than {self.limits.stanza_bytes} bytes",
            condition="policy-violation",
            line=line,
            column=column,
        )

    def _on_declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() not in ("UTF-8", "UTF8"):
            raise self.error(f"the encoding is {encoding}, not UTF-8", condition="unsupported-encoding")

    def _on_namespace(self, prefix: str | None, uri: str | None) -> None:
        self._declared[prefix or ""] = uri or ""

    def _on_start(self, raw_name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        level = self.depth - self.top
        if level > 0:
            self._childless = False
            if level >= self.limits.depth:
                raise self.error(f"elements are nested more than {self.limits.depth} deep", "policy-violation")
        elif level == 0:
            self._on_top_start(_qualified(raw_name), attributes)
        else:
            self._on_root(_qualified(raw_name), attributes)
        if len(attributes) > self.limits.attributes:
            raise self.error(f"an element has more than {self.limits.attributes} attributes", "policy-violation")
        if self._declared:
            self._declared = {}

    def _on_root(self, name: str, attributes: dict[str, str]) -> None:
        self._inherited |= self._declared
        self._finish_at(self._parser.CurrentByteIndex)
        self.items.append(Header(name, attributes))

    def _on_top_start(self, name: str, attributes: dict[str, str]) -> None:
        if name in self._roots or name.rpartition("}")[2] in self._roots:
            self.top += 1
            self._on_root(name, attributes)
            return
        self._start = self._parser.CurrentByteIndex
        self._place = (self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1)
        self._name, self._attributes, self._childless = name, attributes, True
        self._own = frozenset(self._declared)
        self._parser.CharacterDataHandler = None  # text inside is the element's own matter

    def _on_end(self, _raw_name: str) -> None:
        if self.depth == self.top:
            self._on_top_end(self._parser.CurrentByteIndex)
        elif self.depth < self.top:
            self._finish_at(self._parser.CurrentByteIndex)
            self.items.append(Footer())
            if self.top > 2:
                self.top -= 1
        self.depth -= 1

    def _on_top_end(self, index: int) -> None:
        assert self._start is not None
        start = self._start - self._base
        if self._childless and (tag := _START_TAG.match(self._buffer, start)) and tag.group().endswith(b"/>"):
            end = tag.end()
        else:
            end = self._buffer.index(b">", index - self._base) + 1  # an end tag holds no other ">"
        if end - start > self.limits.stanza_bytes:
            raise self._too_big()
        xml = self._standing_alone(bytes(self._buffer[start:end]))
        attributes = {_qualified(name): value for name, value in self._attributes.items()}
        self.items.append(Element(self._name, attributes, xml.decode(), *self._place))
        self._start = None
        self._finish_at(self._base + end)
        self._parser.CharacterDataHandler = self._on_text

    def _standing_alone(self, xml: bytes) -> bytes:
        """Repeat in the element the declarations that it uses from the levels above."""
        for prefix, uri in self._inherited.items():
            if prefix in self._own or _ASSUMED.get(prefix) == uri:
                continue
            if prefix and prefix.encode() + b":" not in xml:
                continue
            name = _TAG_NAME.match(xml)
            assert name is not None
            attribute = "xmlns:" + prefix if prefix else "xmlns"
            escaped = uri.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
            xml = xml[: name.end()] + f' {attribute}="{escaped}"'.encode() + xml[name.end() :]
        return xml

    def _on_text(self, text: str) -> None:
        if not (text.isspace() or self.ignores_text):
            raise self.error("text between elements")
        self._cut = self._parser.CurrentByteIndex

    def _finish_at(self, offset: int) -> None:
        self._cut = self._last_end = offset


@lru_cache(maxsize=512)
def _qualified(raw_name: str) -> str:
    """Turn expat's `uri}local` into `{uri}local`."""
    return "{" + raw_name if "}" in raw_name else raw_name


class StreamReader:
    """Reads the server's side of one stream; a restarted stream gets a new reader."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._splitter = _Splitter(limits or Limits())

    def feed(self, data: bytes) -> list[Header | Element | Footer]:
        """Take bytes off the wire, give what they complete; raises XmlError, and then gives nothing."""
        items, error = self.feed_until_error(data)
        if error is not None:
            raise error
        return items

    def feed_until_error(self, data: bytes) -> tuple[list[Header | Element | Footer], XmlError | None]:
        """Take bytes off the wire; give what they complete, and the fault that ended it (RFC 6120 §4.9.3.13)."""
        error: XmlError | None = None
        try:
            self._splitter.parse(data)
        except XmlError as caught:
            error = caught
        items, self._splitter.items = self._splitter.items, []
        return items, error

    @property
    def has_rest(self) -> bool:
        """Have bytes come behind the last complete element?"""
        return self._splitter.pending_bytes > 0


class StanzaReader:
    """Reads stanzas written by people and programs, one after the other; `jabber:client` is assumed.

    root: the name of an element that may enclose them, beside `stream:stream`.
    any_element: give every element, not stanzas alone.
    """

    _OPENING = f"<x xmlns='{CLIENT_NS}' xmlns:stream='{STREAM_NS}'>".encode()

    def __init__(self, limits: Limits | None = None, *, root: str | None = None, any_element: bool = False) -> None:
        roots = frozenset({STREAM_NAME}) if root is None else frozenset({STREAM_NAME, root})
        self._splitter = _Splitter(limits or Limits(), roots=roots)
        self._splitter.parse(self._OPENING)
        self._splitter.items.clear()
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

    def end(self) -> None:
        """Say that the input is over; raises XmlError when an element is still open."""
        _, error = self.feed_until_error(b"", final=True)
        if error is not None:
            raise error

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
        undecided = not final and len(head) < _MAX_DECLARATION_BYTES and b"?>" not in head
        if undecided and b"<?xml".startswith(head[:5]):
            return b""
        self._head = None
        declaration = _DECLARATION.match(head)
        if declaration is None:
            return head
        encoding = _ENCODING.search(declaration.group())
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
        column = self._column(item.line, item.column)
        return Element(item.name, item.attributes, item.xml, item.line, column)


def read_element(xml: str, limits: Limits | None = None) -> Element:
    """Read exactly one element of any namespace; raises XmlError."""
    reader = StanzaReader(limits, any_element=True)
    elements = reader.feed(xml.encode("utf-8", "surrogatepass"))
    reader.end()
    if len(elements) != 1:
        raise XmlError(f"one element is wanted here, not {len(elements)}", line=1, column=1)
    return elements[0]


def tree(element: Element) -> Tree:
    """The element as an ElementTree; names are `{namespace}local`."""
    from xml.etree.ElementTree import fromstring

    return fromstring(f"<x xmlns='{CLIENT_NS}'>{element.xml}</x>")[0]


def children(element: Element) -> list[str]:
    """The XML of each child element, standing alone, in order."""
    reader = _Splitter(Limits())
    reader.parse(f"<x xmlns='{CLIENT_NS}'>".encode())
    reader.top = 3
    reader.ignores_text = True
    reader.parse(element.xml.encode())
    return [item.xml for item in reader.items if isinstance(item, Element)]
