"""A quick way through long input: plain messages are checked and cut by the run, all the rest one by one.

A run is `<message …>…</message>`, white space, `<message …>…</message>`, and so on. Expat parses it as one document,
and nobody is called for its elements; a search for the end tags cuts it. That cut is exact: there are as many end tags
`</message>` as pieces, each piece begins with the start tag of a message, and the document is well-formed; so each
start tag is closed by the end tag of its own piece. What could hide an end tag (comments, CDATA, prefixes) is no plain
message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

from xmppsh import ns
from xmppsh.errors import XmlError
from xmppsh.xmlio.reader import StanzaReader

if TYPE_CHECKING:
    from xmppsh.model import Element
    from xmppsh.xmlio.splitter import Limits

END = b"</message>"
# A start tag with attributes that mean nothing but themselves, and values that need no decoding. Groups 1, 2: the id;
# 3, 4: the recipient.
START = re.compile(
    rb"""\s*+<message(?:\s++(?:id\s*+=\s*+(?:'([^'<>&]++)'|"([^"<>&]++)")|"""
    rb"""to\s*+=\s*+(?:'([^'<>&]*+)'|"([^"<>&]*+)")|"""
    rb"""(?:type|xml:lang)\s*+=\s*+(?:'[^'<>&]*+'|"[^"<>&]*+")|"""
    rb"""xmlns\s*+=\s*+(?:'jabber:client'|"jabber:client")))*\s*+>"""
)
# The end of something else, an origin-id that a message brings; markup that could hide an end tag, the prefix that is
# assumed: expat tells of these.
ODD = (b"</message", ns.SID.encode())
TOLD = (b"<!", b"<?", b"stream:")
OPENING, CLOSING = f"<x xmlns='{ns.CLIENT}'>".encode(), b"</x>"
FEWEST = 8  # messages that are worth a parser of their own
MAX_HELD_BYTES = 128 * 1024  # of a message that is not complete

Place = tuple[int, int]  # line and column, from 1


class Plain(NamedTuple):
    """Messages that stand in the input one behind the other, well-formed and within the limits.

    Each is its exact bytes and the white space before it, without its end tag. place: where in the input they begin.
    """

    messages: list[bytes]
    place: Place
    have_ids: bool

    def place_of(self, index: int) -> Place:
        """Where a message begins."""
        message = self.messages[index]
        before = [*(one + END for one in self.messages[:index]), message[: message.index(b"<")]]
        return _behind(self.place, b"".join(before))


class PlainReader:
    """Reads stanzas as `StanzaReader` does, plain messages by the run.

    The end of what it is given may be the beginning of a plain message: it is held back, and `release` reads it.
    """

    def __init__(self, limits: Limits, *, root: str | None = None) -> None:
        self._reader, self._limits = StanzaReader(limits, root=root), limits
        # Fewer bytes can neither be nested too deep nor have too many attributes: `<a></a>`, ` a=""`.
        self._harmless_bytes = min(7 * limits.depth, 5 * limits.attributes)
        self._allows_plain = root is None or root.rpartition("}")[2] != "message"
        self._held = b""
        self._is_between = True  # the place is between two stanzas
        self._place: Place = (1, 1)  # everything before it is dealt with
        self._is_ahead = False  # the reader has not seen what lies right before it
        self._line = self._moved_line = 1  # of the reader's own; where it was told to go on, behind plain messages
        self._lines = self._columns = 0  # how much further it is in the input; the columns in that line alone

    @property
    def holds(self) -> bool:
        """Is something held back?"""
        return bool(self._held)

    def release(self) -> tuple[list[Plain | Element], XmlError | None]:
        """Read what is held back: nothing more comes for a while."""
        held, self._held = self._held, b""
        return self._one_by_one(held, is_whole=False)

    def feed(self, data: bytes, *, final: bool = False) -> tuple[list[Plain | Element], XmlError | None]:
        """Take input; give what it completes, in order, and the fault that ended it, if any."""
        data, self._held = self._held + data, b""
        *parts, rest = data.split(END)
        found, error = self._read(parts, data)
        if error is not None:
            return found, error
        if self._is_between and not final and len(rest) <= MAX_HELD_BYTES and _may_be_plain(rest):
            self._held = rest
            return found, None
        more, error = self._one_by_one(rest, is_whole=False, final=final)
        return found + more, error

    # ── By the run ──────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, parts: list[bytes], data: bytes) -> tuple[list[Plain | Element], XmlError | None]:
        found: list[Plain | Element] = []
        matches = self._matches(parts, data)
        at = 0
        while at < len(parts):
            end = matches.index(None, at) if None in matches[at:] else len(parts)
            if self._is_between and end - at >= FEWEST:
                run = _well_formed(parts[at:end])
                if len(run) < end - at:
                    matches = _without(TOLD, matches, parts)
                if run:
                    have_ids = all([match[1] or match[2] for match in matches[at : at + len(run)] if match])
                    found.append(Plain(run, self._place, have_ids))
                    self._place, self._is_ahead = _behind(self._place, END.join(run) + END), True
                    at += len(run)
                    continue
            # One by one, to where the next run may begin.
            end = at + 1 if end - at >= FEWEST else self._next_run(matches, end)
            more, error = self._one_by_one(END.join(parts[at:end]) + END, is_whole=True)
            found += more
            if error is not None:
                return found, error
            at = end
        return found, None

    def _matches(self, parts: list[bytes], data: bytes) -> list[re.Match[bytes] | None]:
        """The start tag of each plain message; None where it is none."""
        if not self._allows_plain or self._reader.has_declarations:
            return [None] * len(parts)
        matches = list(map(START.match, parts))
        if max(map(len, parts), default=0) > self._harmless_bytes:
            matches = [match if self._is_harmless(part) else None for match, part in zip(matches, parts, strict=True)]
        is_odd = data.count(ODD[0]) > len(parts) or ODD[1] in data
        return _without(ODD, matches, parts) if is_odd else matches

    def _is_harmless(self, part: bytes) -> bool:
        """Is it within the limits for certain?"""
        limits = self._limits
        if len(part) <= self._harmless_bytes:
            return True
        is_flat = part.count(b"<") <= limits.depth and part.count(b"=") <= limits.attributes
        return is_flat and len(part) + len(END) <= limits.stanza_bytes

    @staticmethod
    def _next_run(matches: list[re.Match[bytes] | None], at: int) -> int:
        """Where a run begins that is worth it, behind the piece `at`, which is not plain; else the end."""
        length = 0
        for index in range(at, len(matches)):
            length = 0 if matches[index] is None else length + 1
            if length == FEWEST:
                return index + 1 - FEWEST
        return len(matches)

    # ── One by one ──────────────────────────────────────────────────────────────────────────────────────────────

    def _one_by_one(
        self, data: bytes, *, is_whole: bool, final: bool = False
    ) -> tuple[list[Plain | Element], XmlError | None]:
        """is_whole: it ends behind an end tag."""
        if self._is_ahead:
            self._reader.feed(b"\n")
            self._line += 1
            self._moved_line, self._is_ahead = self._line, False
            self._lines, self._columns = self._place[0] - self._line, self._place[1] - 1
        stanzas, error = self._reader.feed_until_error(data, final=final)
        self._line += data.count(b"\n")
        self._place = _behind(self._place, data)
        self._is_between = is_whole and error is None and self._reader.is_between
        return [self._at_home(stanza) for stanza in stanzas], None if error is None else self._placed(error)

    def _moved(self, line: int, column: int) -> Place:
        return line + self._lines, column + (self._columns if line == self._moved_line else 0)

    def _at_home(self, stanza: Element) -> Element:
        if not self._lines and not self._columns:
            return stanza
        return stanza.at(*self._moved(stanza.line, stanza.column))

    def _placed(self, error: XmlError) -> XmlError:
        if error.line is None or error.column is None:
            return error
        line, column = self._moved(error.line, error.column)
        return XmlError(error.reason, condition=error.condition or "", line=line, column=column)


def id_of(message: bytes) -> str:
    """The id of a plain message; empty when it has none."""
    found = START.match(message)
    return "" if found is None else (found[1] or found[2] or b"").decode()


def recipient_of(message: bytes) -> str:
    """Whom a plain message is for; empty for one's own account."""
    found = START.match(message)
    return "" if found is None else (found[3] or found[4] or b"").decode()


class _HiddenError(Exception):
    """A comment, CDATA or a processing instruction."""


def _refuse(*_: object) -> None:
    raise _HiddenError


def _without(
    odd: tuple[bytes, ...], matches: list[re.Match[bytes] | None], parts: list[bytes]
) -> list[re.Match[bytes] | None]:
    """None for the pieces that hold something odd."""
    return [None if any(one in part for one in odd) else match for match, part in zip(matches, parts, strict=True)]


def _may_be_plain(rest: bytes) -> bool:
    """May this be the beginning of a plain message, or the white space before one?"""
    text = rest.lstrip()[: len(b"<message")]
    return b"<message".startswith(text)


def _well_formed(messages: list[bytes]) -> list[bytes]:
    """As many of these messages, from the first on, as are well-formed one behind the other."""
    while messages:
        parser = expat.ParserCreate("UTF-8", "}")
        parser.CommentHandler = parser.StartCdataSectionHandler = parser.ProcessingInstructionHandler = _refuse
        try:
            parser.Parse(b"%b%b%b%b" % (OPENING, END.join(messages), END, CLOSING), True)
        except (expat.ExpatError, _HiddenError):
            sound, left = 0, parser.CurrentByteIndex - len(OPENING)
            while sound < len(messages) and (left := left - len(messages[sound]) - len(END)) >= 0:
                sound += 1
            messages = messages[:sound] if sound < len(messages) else []
        else:
            break
    return messages


def _behind(place: Place, data: bytes) -> Place:
    """The place behind `data`, which begins at `place`."""
    lines, last = data.count(b"\n"), data[data.rfind(b"\n") + 1 :]
    return place[0] + lines, (1 if lines else place[1]) + len(last.decode("utf-8", "replace"))
