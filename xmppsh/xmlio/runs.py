"""Takes runs apart of what comes from the server: plain messages, and results of the archive.

A result (XEP-0313) holds another message, so a run of them is cut at `</result></message>`. That cut is exact, too:
each piece begins with the start tags of a message and of its result, and has neither another `<result` nor `</result`;
so the tags of results alternate, each is closed by the end tag of its own piece, and its message comes right after it.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING

from xmppsh.xmlio.plain import Plain, Runs, Starts
from xmppsh.xmlio.reader import END, FEWEST, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from xmppsh.errors import XmlError
    from xmppsh.model import Element
    from xmppsh.xmlio.reader import Place, Start, StreamReader
    from xmppsh.xmlio.splitter import Footer, Header, Limits

_USUAL = ("from", "to", "type", "id", "xml:lang")
# A start tag whose attributes are what they look like: none but the usual ones, and nothing to decode in them.
_TAG = re.compile(
    r"""\s*+<message(?:\s++(?:from|to|type|id|xml:lang)\s*+=\s*+(?:'[^'<>&\t\r\n]*+'|"[^"<>&\t\r\n]*+"))*+\s*+>"""
)
_ATTRIBUTE = re.compile(r"""([a-z:]+)\s*=\s*(?:'([^']*)'|"([^"]*)")""")
RESULT_END = b"</result></message>"
# After the start tag's last attribute: the one of a result, in which nothing is to be decoded.
_RESULT = re.compile(r"""><result(?: [a-z]++=(?:'[^'<>&\t\r\n]*+'|"[^"<>&\t\r\n]*+"))*+>""")
_LITERAL = re.compile(r"""([a-z:]+)=(['"])[^'"]*\2""")


class _Shape:
    """How start tags look whose attributes stand in the same order, in the same quotes: what is between the values.

    One server writes all of them in a few shapes, and a message of the same shape as the one before is taken apart by
    one split at its quotes: exactly, since what stands outside of them is compared to the letter.
    """

    def __init__(self, quote: str, names: list[str]) -> None:
        self.quote, self.count = quote, 2 * len(names)
        before = [f" {name}=" for name in names]
        before[0] = f"<message{before[0]}"
        self.outside = before
        # After the pieces comes a None, for the attributes that are missing.
        at = [2 * names.index(name) + 1 if name in names else self.count + 1 for name in _USUAL]
        self.start: Callable[[list[str | None]], Start] = itemgetter(*at, self.count)

    @classmethod
    def of(cls, tag: str) -> _Shape | None:
        """Of a start tag that `_TAG` matches; None where it is not written in the usual way."""
        written = _LITERAL.findall(tag)
        quotes, names = {quote for _, quote in written}, [name for name, _ in written]
        return cls(quotes.pop(), names) if len(quotes) == 1 else None


class ArrivingRuns(Runs["Header | Element | Footer"]):
    """Begins after the header, wherever the reader stands."""

    def __init__(self, reader: StreamReader, limits: Limits, place: Place) -> None:
        # An element that uses a prefix of the header repeats its declaration (Splitter).
        super().__init__(reader, limits, reader.prefixes, place)
        self._is_between = False
        self._of = _Starts().of

    def feed(self, data: bytes, *, by_the_run: bool) -> tuple[list[Header | Element | Footer | Run], XmlError | None]:
        self.end = RESULT_END if data.count(RESULT_END) >= FEWEST else END
        parts = data.split(self.end) if by_the_run else [data]
        rest = parts.pop()
        found, error = self._read(parts, data[: len(data) - len(rest)])
        if rest and error is None:
            more, error = self._one_by_one(rest, is_whole=False)
            found += more
        return [_run(one, self.end) if isinstance(one, Plain) else one for one in found], error

    def _starts(self, parts: list[bytes], whole: bytes) -> Starts:
        try:
            text = whole.decode()
        except UnicodeDecodeError:
            return [None] * len(parts)
        is_clean = not any(one in text for one in "&\t\r\n")
        if self.end is END:
            first, _, others = text.partition(END.decode())  # the first one has begun in the read before, mostly
            if (alike := _alike(others, len(parts) - 1)) is not None:
                return [self._of(first, is_clean=is_clean), *alike]
        starts = [self._of(one, is_clean=is_clean) for one in text.split(self.end.decode())[: len(parts)]]
        return starts if self.end is END else [_of_result(one) for one in starts]

    def _alone(self, matches: Starts, parts: list[bytes], whole: bytes) -> Starts:
        return super()._alone(matches, parts, whole) if self.end is END else matches


class _Starts:
    """Takes messages apart after their start tags, each without its end tag."""

    def __init__(self) -> None:
        self._shape: _Shape | None = None

    def of(self, text: str, *, is_clean: bool) -> Start | None:
        """The parts of one; None where it is not plain. is_clean: it holds nothing that is to be decoded."""
        if (shape := self._shape) is not None:
            pieces: list[Any] = text.split(shape.quote, shape.count)
            if pieces[: shape.count : 2] == shape.outside and len(pieces) == shape.count + 1:
                content: str = pieces[-1]
                if content[:1] == ">" and (is_clean or _is_literal(text[: -len(content)])):
                    pieces.append(None)
                    return shape.start(pieces)
        return self._by_pattern(text)

    def _by_pattern(self, text: str) -> Start | None:
        tag = _TAG.match(text)
        if tag is None:
            return None
        self._shape = _Shape.of(tag.group())
        found = {name: value or other for name, value, other in _ATTRIBUTE.findall(tag.group())}
        sender, to, stanza_type, stanza_id, language = map(found.get, _USUAL)
        return sender, to, stanza_type, stanza_id, language, text[tag.end() - 1 :]


def _alike(text: str, count: int) -> Starts | None:
    """The parts of so many messages, by one split, where their start tags differ in the id alone, as one sender's do.

    None where they differ in more, or something stands between them.
    """
    tag = _TAG.match(text)
    known = [] if tag is None else [*_ATTRIBUTE.finditer(tag.group())]
    own = next((one for one in known if one[1] == "id"), None)
    if tag is None or own is None:
        return None
    value = own.span(own.lastindex or 0)
    before, after = text[: value[0]], text[value[1] : tag.end() - 1]
    end = END.decode()
    found = [one.partition(after) for one in text[len(before) : -len(end)].split(end + before)]
    ids, follows = "".join([one[0] for one in found]), {one[2][:1] for one in found}
    if len(found) != count or follows != {">"} or any(one in ids for one in f"{after[0]}<>&\t\r\n"):
        return None
    values = {one[1]: one[one.lastindex or 0] for one in known}
    sender, to, stanza_type, _, language = map(values.get, _USUAL)
    return [(sender, to, stanza_type, stanza_id, language, content) for stanza_id, _, content in found]


def starts_of(messages: Iterable[str]) -> list[Start | None]:
    """The parts of messages that were read before, as in a run; None for one that is not plain."""
    starts = _Starts()
    return [starts.of(one.removesuffix("</message>"), is_clean=False) for one in messages]


def _is_literal(tag: str) -> bool:
    """Is there nothing to decode in a start tag?"""
    return tag.isprintable() and "&" not in tag


def _of_result(start: Start | None) -> Start | None:
    """The start of a piece before `</result></message>`; None where another result may begin or end in it."""
    if start is None or _RESULT.match(start[-1]) is None:
        return None
    if start[-1].count("<result") > 1 or "</result" in start[-1]:
        return None
    return (*start[:-1], f"{start[-1]}</result>")


def _run(plain: Plain, end: bytes) -> Run:
    tags = end.decode()
    messages = [f"{one.lstrip()}{tags}" for one in end.join(plain.messages).decode().split(tags)]
    return Run(messages, list(plain.starts))
