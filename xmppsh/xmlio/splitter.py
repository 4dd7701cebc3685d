"""The splitter: expat cuts the children of a document's root out of a flow of bytes, verbatim.

Rules of this file: an element leaves it as the exact bytes that came; nothing passes the limits; memory holds at
most one unfinished element; no DTD, processing instruction, comment or entity beyond the five (RFC 6120 §11.1).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.parsers import expat

from xmppsh import ns
from xmppsh.errors import XmlError
from xmppsh.model import Element
from xmppsh.plain import dataclass
from xmppsh.xmlio.build import attribute_xml

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TOP = 3  # a root of the user's inside the reader's own, and no deeper
_ASSUMED = {"": ns.CLIENT, "xml": "http://www.w3.org/XML/1998/namespace"}
ROSTER_BYTES = 4 * 1024 * 1024  # some 35,000 contacts
ADDED_BYTES = 16 * 1024  # addresses, ids and stamps, which a server adds to what it passes on
MEASURE_BYTES = 16 * 1024  # an unfinished element is measured again when it has grown by so much
_ESCAPES = (b"&quot;", b"&apos;", b"&amp;", b"&lt;", b"&gt;")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one side may send; sizes in bytes."""

    stanza_bytes: int = 256 * 1024
    answer_bytes: int = 256 * 1024  # of an IQ's result
    pending_bytes: int = 1024 * 1024  # between two elements, white space included
    depth: int = 64  # levels of one stanza, itself included
    attributes: int = 256  # of one element
    escaped: bool = False  # a character that is written as an entity counts as one byte

    @property
    def arriving(self) -> Limits:
        """What the server may send us: when it writes a stanza anew, a quote may grow to six bytes, so each character
        counts as the sender wrote it. A stanza that is refused comes again after each login, so what servers take from
        one another (Prosody: 512 KiB) is taken, and what they add to it. A roster comes whole, however long it is.
        """
        stanza_bytes = 2 * self.stanza_bytes + ADDED_BYTES
        return replace(self, escaped=True, stanza_bytes=stanza_bytes, answer_bytes=max(stanza_bytes, ROSTER_BYTES))

    @property
    def within(self) -> Limits:
        """What an element may hold that has arrived: as much as the largest."""
        return replace(self.arriving, stanza_bytes=self.arriving.answer_bytes)


@dataclass(frozen=True, slots=True)
class Header:
    """The root's start tag: `<stream:stream …>`."""

    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Footer:
    """The root's end tag: `</stream:stream>`."""


class Splitter:
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
        self._last_end = 0  # the offset after the last complete element
        self._start: int | None = None  # where the open element began
        self._allowed_bytes = 0  # of it
        self._measured = 0  # how long it was when its escapes were counted
        self._place = (1, 1)
        self._childless = True
        self._name, self._attributes = "", {}  # type: tuple[str, dict[str, str]]
        self._declared: dict[str, str] = {}  # namespace declarations of the tag that comes next
        self._levels: list[dict[str, str]] = []  # the declarations of each level above `top`
        self._inherited: list[tuple[str, str, bytes]] = []  # of all these levels: prefix, URI, how its use looks
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
        except (expat.ExpatError, XmlError) as error:
            raise self._first_fault(error) from error
        keep_from = self._cut if self._start is None else self._start
        del self._buffer[: keep_from - self._base]
        self._base = keep_from
        if self._start is not None:
            self._measure()
        elif self.pending_bytes > self.limits.pending_bytes:
            raise self.error(
                f"more than {self.limits.pending_bytes} bytes without an element", condition="policy-violation"
            )

    @property
    def pending_bytes(self) -> int:
        """How many bytes have come after the last complete element."""
        return self._base + len(self._buffer) - self._last_end

    def forget_pending(self) -> None:
        """What has come up to now was the end of an element, or something between two."""
        self._last_end = self._base + len(self._buffer)

    @property
    def inherited(self) -> list[tuple[str, str, bytes]]:
        """The declarations that an element would have to repeat: prefix, URI, how its use looks."""
        return self._inherited

    def error(self, reason: str, condition: str = "not-well-formed", *, blanks: int = 0) -> XmlError:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1 + blanks
        return XmlError(reason, condition=condition, line=line, column=column)

    def _first_fault(self, error: expat.ExpatError | XmlError) -> XmlError:
        """This one, unless it comes after the element's limit: what is told does not depend on how the bytes came."""
        if self._start is not None:
            before = self._buffer[self._start - self._base : self._parser.CurrentByteIndex - self._base]
            if len(before) > self._allowed_bytes and self._length(before) > self._allowed_bytes:
                return self._too_big()
        if isinstance(error, XmlError):
            return error
        reason = expat.errors.messages[error.code] if error.code in expat.errors.messages else str(error)
        return XmlError(reason, line=error.lineno, column=error.offset + 1)

    def _restricted(self, what: str) -> None:
        raise self.error(f"{what} is not allowed in XMPP", condition="restricted-xml")  # RFC 6120 §11.1

    def _measure(self) -> None:
        """Refuse an unfinished element that is too big already."""
        size = len(self._buffer)
        if size <= self._allowed_bytes or (self.limits.escaped and size < self._measured + MEASURE_BYTES):
            return
        self._measured = size
        if self._length(self._buffer) > self._allowed_bytes:
            raise self._too_big()

    def _length(self, whole: bytes | bytearray) -> int:
        """Of a stanza, in bytes as its sender may have written it."""
        spared = sum(whole.count(escape) * (len(escape) - 1) for escape in _ESCAPES) if self.limits.escaped else 0
        return len(whole) - spared

    def _too_big(self) -> XmlError:
        line, column = self._place
        return XmlError(
            f"an element is larger than {self._allowed_bytes} bytes",
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
        self._levels.append(self._declared)
        self._inherit()
        self._finish_at(self._parser.CurrentByteIndex)
        self.items.append(Header(name, attributes))

    def _on_top_start(self, name: str, attributes: dict[str, str]) -> None:
        if self.top < MAX_TOP and (name in self._roots or name.rpartition("}")[2] in self._roots):
            self.top += 1
            self._on_root(name, attributes)
            return
        self._start = self._parser.CurrentByteIndex
        self._place = (self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1)
        self._name, self._attributes, self._childless = name, attributes, True
        is_answer = name.rpartition("}")[2] == "iq" and attributes.get("type") == "result"
        self._allowed_bytes = self.limits.answer_bytes if is_answer else self.limits.stanza_bytes
        self._own = frozenset(self._declared)
        self._parser.CharacterDataHandler = None  # text inside is the element's own matter

    def _on_end(self, _raw_name: str) -> None:
        if self.depth == self.top:
            self._on_top_end(self._parser.CurrentByteIndex)
        elif self.depth < self.top:
            self._finish_at(self._parser.CurrentByteIndex)
            self.items.append(Footer())
            self._levels.pop()
            self._inherit()
            if self.top > 2:
                self.top -= 1
        self.depth -= 1

    def _on_top_end(self, index: int) -> None:
        assert self._start is not None
        start = self._start - self._base
        end = _start_tag_end(self._buffer, start) if self._childless else 0
        if not self._buffer.endswith(b"/>", start, end):
            end = self._buffer.index(b">", index - self._base) + 1  # an end tag holds no other ">"
        whole = bytes(self._buffer[start:end])
        self._measured = 0
        if len(whole) > self._allowed_bytes and self._length(whole) > self._allowed_bytes:
            raise self._too_big()
        xml = self._standing_alone(whole)
        attributes = {_qualified(name): value for name, value in self._attributes.items()}
        self.items.append(Element(self._name, attributes, xml.decode(), *self._place))
        self._start = None
        self._finish_at(self._base + end)
        self._parser.CharacterDataHandler = self._on_text

    def _inherit(self) -> None:
        merged = {prefix: uri for level in self._levels for prefix, uri in level.items()}
        self._inherited = [
            (prefix, uri, prefix.encode() + b":" if prefix else b"")
            for prefix, uri in merged.items()
            if _ASSUMED.get(prefix) != uri
        ]

    def _standing_alone(self, xml: bytes) -> bytes:
        """Repeat in the element the declarations that it uses from the levels above."""
        for prefix, uri, use in self._inherited:
            if prefix in self._own or use not in xml:
                continue
            end = len(xml[: xml.index(b">")].partition(b"/")[0].split(None, 1)[0])  # of its name
            attribute = "xmlns:" + prefix if prefix else "xmlns"
            xml = xml[:end] + attribute_xml(attribute, uri).encode() + xml[end:]
        return xml

    def _on_text(self, text: str) -> None:
        if (words := text.lstrip(" \t\r\n")) and not self.ignores_text:
            # Expat tells of the blanks before it together with it or on their own, as they came.
            raise self.error("text between elements", blanks=len(text) - len(words))
        self._cut = self._parser.CurrentByteIndex

    def _finish_at(self, offset: int) -> None:
        self._cut = self._last_end = offset


@lru_cache(maxsize=512)
def _qualified(raw_name: str) -> str:
    """Turn expat's `uri}local` into `{uri}local`."""
    return "{" + raw_name if "}" in raw_name else raw_name


def _start_tag_end(document: bytearray, start: int) -> int:
    """The offset after the well-formed start tag that begins there; in quotes a `>` is no end of it."""
    while True:
        end = document.index(b">", start)
        quotes = [at for quote in (b"'", b'"') if (at := document.find(quote, start, end)) >= 0]
        if not quotes:
            return end + 1
        opening = min(quotes)
        start = document.index(document[opening : opening + 1], opening + 1) + 1
