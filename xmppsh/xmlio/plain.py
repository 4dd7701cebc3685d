"""A quick way through long input: plain messages are checked and cut by the run, all the rest one by one.

A run is `<message …>…</message>`, white space, `<message …>…</message>`, and so on. Expat parses it as one document,
and nobody is called for its elements; a search for the end tags cuts it. That cut is exact: there are as many end tags
`</message>` as pieces, each piece begins with the start tag of a message, and the document is well-formed; so each
start tag is closed by the end tag of its own piece. What could hide an end tag (comments, CDATA, prefixes) is no plain
message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar, cast
from xml.parsers import expat

from xmppsh import ns
from xmppsh.errors import XmlError
from xmppsh.later import pattern
from xmppsh.model import Element
from xmppsh.xmlio.reader import END, FEWEST, StanzaReader, after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xmppsh.xmlio.reader import Place
    from xmppsh.xmlio.splitter import Limits

Item = TypeVar("Item")

# A start tag with attributes that mean nothing but themselves, and values that need no decoding. Groups 1, 2: the id;
# 3, 4: the recipient.
START = pattern(
    rb"""\s*+<message(?:\s++(?:id\s*+=\s*+(?:'([^'<>&]++)'|"([^"<>&]++)")|"""
    rb"""to\s*+=\s*+(?:'([^'<>&]*+)'|"([^"<>&]*+)")|"""
    rb"""(?:type|xml:lang)\s*+=\s*+(?:'[^'<>&]*+'|"[^"<>&]*+")|"""
    rb"""xmlns\s*+=\s*+(?:'jabber:client'|"jabber:client")))*\s*+>"""
)
# The same, and the end tag before it, in the way that most programs write it: all of them are found by one search. The
# group is the id in its quotes.
USUAL = pattern(
    rb"""</message>\s*+<message(?: (?:id=('[^'<>&]++'|"[^"<>&]++")|t(?:o|ype)=(?:'[^'<>&]*+'|"[^"<>&]*+")|"""
    rb"""xmlns=(?:'jabber:client'|"jabber:client")|xml:lang=(?:'[^'<>&]*+'|"[^"<>&]*+")))*+>"""
)
# The end of something else, an origin-id that a message brings; markup that could hide an end tag, the prefix that is
# assumed: expat tells of these.
BEGIN, NESTED, ODD = b"<message", b"</message", (ns.SID.encode(),)
TOLD = (b"<!", b"<?", b"stream:")
OPENING, CLOSING = f"<x xmlns='{ns.CLIENT}'>".encode(), b"</x>"
MAX_HELD_BYTES = 128 * 1024  # of a message that is not complete

Starts = list[Any]  # what is found of a start tag, one for each piece; None where it is no plain message's


class Plain(NamedTuple):
    """Messages that follow each other in the input, well-formed and within the limits.

    Each is its exact bytes and the white space before it, without its end tag. place: where in the input they begin.
    starts: what was found of each start tag, the id in what is sent and None where there is no plain message.
    """

    messages: list[bytes]
    place: Place
    starts: Sequence[Any]

    @property
    def have_ids(self) -> bool:
        """Has each of them an id?"""
        return all(self.starts)

    def place_of(self, index: int) -> Place:
        """Where a message begins."""
        message = self.messages[index]
        before = [*(one + END for one in self.messages[:index]), message[: message.index(b"<")]]
        return after(self.place, b"".join(before))


class OneByOne(Protocol[Item]):
    """Reads what is not plain (xmlio/reader.py)."""

    @property
    def has_declarations(self) -> bool:
        """Does an element around the stanzas declare what a plain message would not have, standing alone?"""

    @property
    def is_between(self) -> bool:
        """After the end of an element: is this the place between two that stand alone?"""

    def feed_until_error(self, data: bytes, *, final: bool = False) -> tuple[list[Item], XmlError | None]:
        """Take input; give what it completes and the fault that ended it, if any."""

    def skip(self) -> None:
        """Elements were read elsewhere: go on after them, in a line of its own."""


class Runs(Generic[Item]):
    """Reads plain messages by the run, and the rest as `reader` does.

    odd: what a plain message does not hold. place: how far the reader is, by lines and columns from 1.
    """

    end = END  # where the pieces are cut

    def __init__(self, reader: OneByOne[Item], limits: Limits, odd: tuple[bytes, ...], place: Place = (1, 1)) -> None:
        self._reader, self._limits, self._odd = reader, limits, odd
        # Fewer bytes can neither be nested too deep nor have too many attributes: `<a></a>`, ` a=""`.
        self._harmless_bytes = min(7 * limits.depth, 5 * limits.attributes)
        self._allows_plain = True
        self._is_between = True  # the place is between two stanzas
        self._place = place  # everything before it is dealt with
        self._is_ahead = False  # the reader has not seen what lies right before it
        self._has_seen = False  # has the reader seen anything?
        # The line of the reader's own, and the one where it was told to go on, after plain messages.
        self._line = self._moved_line = place[0]
        self._lines = self._columns = 0  # how much further it is in the input; the columns in that line alone

    # ── By the run ──────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, parts: list[bytes], whole: bytes) -> tuple[list[Plain | Item], XmlError | None]:
        """whole: all of these pieces, each with its end tag."""
        found: list[Plain | Item] = []
        if not parts:
            return found, None
        matches = self._matches(parts, whole)
        at = end = 0  # a stretch of plain ones, perhaps an empty one
        while at < len(parts):
            end = end if at < end else _next_odd(matches, at)
            if self._is_between and end - at >= FEWEST:
                text = whole if end - at == len(parts) else _joined(parts[at:end], self.end)
                run, text = _well_formed(parts[at:end], text, self.end)
                if run:
                    found.append(Plain(run, self._place, matches[at : at + len(run)]))
                    self._place, self._is_ahead = after(self._place, text), True
                    at += len(run)
                    continue
                matches[at:end] = _without(TOLD, matches[at:end], parts[at:end])
                if None in matches[at:end]:
                    end = at
                    continue
                stop = end  # there is no telling which of them it is
            else:
                # One by one, to where the next run may begin.
                stop = at + 1 if end - at >= FEWEST else self._next_run(matches, end)
            more, error = self._one_by_one(_joined(parts[at:stop], self.end), is_whole=True)
            found += more
            if error is not None:
                return found, error
            at = stop
        return found, None

    def _starts(self, parts: list[bytes], whole: bytes) -> Starts:
        """The start tag of each plain message; None where it is none."""
        raise NotImplementedError

    def _matches(self, parts: list[bytes], whole: bytes) -> Starts:
        """The same, and None for what may be beyond the limits, or is odd."""
        if not self._allows_plain or self._reader.has_declarations:
            return [None] * len(parts)
        matches = self._starts(parts, whole)
        if max(map(len, parts), default=0) > self._harmless_bytes:
            matches = [match if self._is_harmless(part) else None for match, part in zip(matches, parts, strict=True)]
        if any(one in whole for one in self._odd):
            matches = _without(self._odd, matches, parts)
        return self._alone(matches, parts, whole)

    def _alone(self, matches: Starts, parts: list[bytes], whole: bytes) -> Starts:
        """The same, and None for what holds another message, or the end of one."""
        if whole.count(BEGIN) > len(parts):  # else nothing inside of them could take one of their end tags
            matches = _without((NESTED,), matches, parts)
            matches = [None if _opened(part) > 1 else match for match, part in zip(matches, parts, strict=True)]
        return matches

    def _is_harmless(self, part: bytes) -> bool:
        """Is it within the limits for certain?"""
        limits = self._limits
        if len(part) <= self._harmless_bytes:
            return True
        is_flat = part.count(b"<") <= limits.depth and part.count(b"=") <= limits.attributes
        return is_flat and len(part) + len(self.end) <= limits.stanza_bytes

    @staticmethod
    def _next_run(matches: Starts, at: int) -> int:
        """Where a run begins that is worth it, after the piece `at`, which is not plain; else the end."""
        length = 0
        for index in range(at, len(matches)):
            length = 0 if matches[index] is None else length + 1
            if length == FEWEST:
                return index + 1 - FEWEST
        return len(matches)

    # ── One by one ──────────────────────────────────────────────────────────────────────────────────────────────

    def _one_by_one(
        self, data: bytes, *, is_whole: bool, final: bool = False
    ) -> tuple[list[Plain | Item], XmlError | None]:
        """is_whole: it ends after an end tag."""
        self._has_seen = True
        if self._is_ahead:
            self._reader.skip()
            self._line += 1
            self._moved_line, self._is_ahead = self._line, False
            self._lines, self._columns = self._place[0] - self._line, self._place[1] - 1
        stanzas, error = self._reader.feed_until_error(data, final=final)
        self._line += data.count(b"\n")
        self._place = after(self._place, data)
        self._is_between = is_whole and error is None and self._reader.is_between
        return [self._at_home(stanza) for stanza in stanzas], None if error is None else self._placed(error)

    def _moved(self, line: int, column: int) -> Place:
        return line + self._lines, column + (self._columns if line == self._moved_line else 0)

    def _at_home(self, item: Item) -> Item:
        if isinstance(item, Element) and (self._lines or self._columns):
            return cast("Item", item.at(*self._moved(item.line, item.column)))
        return item

    def _placed(self, error: XmlError) -> XmlError:
        if error.line is None or error.column is None:
            return error
        line, column = self._moved(error.line, error.column)
        return XmlError(error.reason, condition=error.condition or "", line=line, column=column)


class PlainReader(Runs[Element]):
    """Reads stanzas as `StanzaReader` does, plain messages by the run.

    The end of what it is given may be the beginning of a plain message: it is held back, and `release` reads it.
    """

    def __init__(self, limits: Limits, *, root: str | None = None, place: Place = (1, 1)) -> None:
        """place: where it begins in a longer input, of which it gets what comes after plain messages."""
        super().__init__(StanzaReader(limits, root=root), limits, ODD)
        self._place, self._is_ahead = place, place != (1, 1)
        self._allows_plain = root is None or root.rpartition("}")[2] != "message"
        self._held = b""

    def _starts(self, parts: list[bytes], whole: bytes) -> Starts:
        ids = USUAL().findall(END + whole, 0, len(whole))  # without the last end tag
        if len(ids) == len(parts):  # one after each end tag
            return ids
        found = map(START().match, parts)
        return [None if start is None else start[1] or start[2] or b"" for start in found]

    @property
    def holds(self) -> bool:
        """Is something held back?"""
        return bool(self._held)

    def rest(self) -> tuple[bytes, Place] | None:
        """What is held back, and where it begins, for another reader to go on with; None where that one would have to
        know more than that plain messages came before."""
        return None if self._has_seen else (self._held, self._place)

    def release(self) -> tuple[list[Plain | Element], XmlError | None]:
        """Read what is held back: nothing more comes for a while."""
        held, self._held = self._held, b""
        return self._one_by_one(held, is_whole=False)

    def feed(self, data: bytes, *, final: bool = False) -> tuple[list[Plain | Element], XmlError | None]:
        """Take input; give what it completes, in order, and the fault that ended it, if any."""
        data, self._held = self._held + data, b""
        *parts, rest = data.split(END)
        found, error = self._read(parts, data[: len(data) - len(rest)])
        if error is not None:
            return found, error
        if self._is_between and not final and len(rest) <= MAX_HELD_BYTES and _may_be_plain(rest):
            self._held = rest
            return found, None
        more, error = self._one_by_one(rest, is_whole=False, final=final)
        return found + more, error


def id_of(message: bytes) -> str:
    """The id of a plain message; empty when it has none."""
    found = START().match(message)
    return "" if found is None else (found[1] or found[2] or b"").decode()


def recipient_of(message: bytes) -> str:
    """Whom a plain message is for; empty for one's own account."""
    found = START().match(message)
    return "" if found is None else (found[3] or found[4] or b"").decode()


class _HiddenError(Exception):
    """A comment, CDATA or a processing instruction."""


def _refuse(*_: object) -> None:
    raise _HiddenError


def _without(odd: tuple[bytes, ...], matches: Starts, parts: list[bytes]) -> Starts:
    """None for the pieces that hold something odd."""
    return [None if any(one in part for one in odd) else match for match, part in zip(matches, parts, strict=True)]


def _opened(data: bytes) -> int:
    """How many start tags of messages there are, written in the usual way."""
    return data.count(b"<message ") + data.count(b"<message>")


def _next_odd(matches: Starts, at: int) -> int:
    """Where the next piece is that is not plain, from `at` on."""
    try:
        return matches.index(None, at)
    except ValueError:
        return len(matches)


def _may_be_plain(rest: bytes) -> bool:
    """May this be the beginning of a plain message, or the white space before one?"""
    text = rest.lstrip()[: len(b"<message")]
    return b"<message".startswith(text)


def _joined(messages: list[bytes], end: bytes) -> bytes:
    """Pieces, each with its end tag again."""
    return end.join(messages) + end


def _well_formed(messages: list[bytes], text: bytes, end: bytes) -> tuple[list[bytes], bytes]:
    """As many of these messages, from the first on, as are well-formed, one after the other. text: all of them, each
    with its `end`."""
    while messages:
        parser = expat.ParserCreate("UTF-8", "}")
        parser.CommentHandler = parser.StartCdataSectionHandler = parser.ProcessingInstructionHandler = _refuse
        try:
            parser.Parse(b"%b%b%b" % (OPENING, text, CLOSING), True)
        except (expat.ExpatError, _HiddenError):
            sound, left = 0, parser.CurrentByteIndex - len(OPENING)
            while sound < len(messages) and (left := left - len(messages[sound]) - len(end)) >= 0:
                sound += 1
            messages = messages[:sound] if sound < len(messages) else []
            text = _joined(messages, end)
        else:
            break
    return messages, text
