"""What `pipe` reads: stanzas as XML, messages as JSON objects, or lines that are bodies; each with its place."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from xmppsh.app.sources import refuse_utf_16
from xmppsh.commands.pipe.apart import Apart
from xmppsh.commands.pipe.lines import Lines
from xmppsh.commands.send.bodies import BOM, MAX_BODY_BYTES
from xmppsh.errors import UsageError, XmlError, XmppshError
from xmppsh.xmlio.plain import PlainReader
from xmppsh.xmlio.reader import StanzaReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from xmppsh.model import Element, Jid
    from xmppsh.output.streams import InputStream
    from xmppsh.xmlio.apart import Read
    from xmppsh.xmlio.plain import Plain
    from xmppsh.xmlio.splitter import Limits

Kind = Literal["auto", "xml", "json", "lines"]
KINDS: tuple[Kind, ...] = ("auto", "xml", "json", "lines")
LONG_BYTES = 512 * 1024  # of input, which is worth a process of its own
_NAME = re.compile(r"[^\W\d][\w.:-]*")  # as much of XML 1.0 §2.3 as tells a mistake
_STANZA = re.compile(rb"\n\s*(?=<(?:message|presence|iq)[\s/>])")


def check_kind(kind: str, *, to: Jid | None, root: str | None) -> None:
    """Raise UsageError for an option that this kind of input has no use for."""
    if kind == "xml" and to is not None:
        raise UsageError("--to is for --input json and lines: a stanza has its own recipient")
    if kind in ("json", "lines") and root is not None:
        raise UsageError(f"--root is for --input xml: {kind} has no enclosing element")
    if root is not None and not _NAME.fullmatch(root):
        raise UsageError(
            f"--root: {root!r} is not the name of an element", hint="--root log, where <log> encloses them"
        )


class PipeInput:
    """The stanzas of the input, in order. A bad one raises XmlError with its place.

    skip: is told of a bad one instead, and reading goes on; None: it ends there. to: for the formats that have no
    recipient of their own. apart: the process that checks a long input.
    """

    def __init__(
        self,
        source: InputStream,
        kind: Kind,
        limits: Limits,
        *,
        root: str | None,
        to: Jid | None,
        skip: Callable[[XmppshError], None] | None,
    ) -> None:
        self._source, self._kind, self._limits = source, kind, limits
        self._root, self._to, self._skip = root, to, skip
        self._line = b""
        self._found: AsyncGenerator[Element | Plain] | None = None
        self.apart: Apart | None = None
        self._tried_apart = False

    async def close(self) -> None:
        """Read no more, and end what was begun to read it."""
        if self._found is not None:
            await self._found.aclose()
        if self.apart is not None:
            self.apart.close()

    def source(self, stanza: Element) -> bytes:
        """What the stanza that was read last is in the input: the line, or the element itself."""
        return stanza.xml.encode() if self._kind == "xml" else self._line

    def __aiter__(self) -> AsyncIterator[Element | Plain]:
        self._found = self._all()
        return self._found

    async def _all(self) -> AsyncGenerator[Element | Plain]:
        head = b""
        if self._kind == "auto":
            while not head.strip() and (chunk := await self._source.read()):
                head += chunk
            refuse_utf_16(head, "the input")
            first = head.decode("utf-8", "replace").removeprefix(BOM).lstrip()[:1]
            self._kind = "xml" if first in ("<", "") else "json" if first == "{" else "lines"
            if first:
                check_kind(self._kind, to=self._to, root=self._root)
        if self._kind == "lines" and self._to is None:
            raise UsageError("lines say nothing of their recipient", hint="--to JID, or --input xml or json")
        if self._kind != "xml":
            read: AsyncGenerator[Element | Plain] = self._by_lines(head)
        else:
            read = self._xml(head) if self._skip is None else self._sound_xml(head)
        async with aclosing(read) as found:
            async for one in found:
                yield one

    def _fault(self, error: XmlError) -> None:
        """Go on after a bad stanza, or raise it."""
        if self._skip is None:
            raise error
        self._skip(error)

    # ── XML ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _xml(self, head: bytes) -> AsyncGenerator[Element | Plain]:
        """Plain messages by the run; the first fault ends it."""
        async with aclosing(self._reads(head)) as reads:
            async for found, error in reads:
                for one in found:
                    yield one
                if error is not None:
                    raise error

    async def _reads(self, head: bytes) -> AsyncGenerator[Read]:
        """Input is read here, and as soon as it is long, in a process of its own."""
        reader = PlainReader(self._limits, root=self._root)
        chunk, more, read_bytes = head, True, 0
        while more:
            if read_bytes >= LONG_BYTES and (rest := reader.rest()) is not None and (apart := await self._helper()):
                async with aclosing(apart.read(self._source, self._limits, self._root, *rest)) as reads:
                    async for one in reads:
                        yield one
                return
            if reader.holds and not self._source.is_ready:
                yield reader.release()
                continue
            chunk = chunk or await self._source.read()
            more, read_bytes = bool(chunk), read_bytes + len(chunk)
            yield reader.feed(chunk, final=not more)
            chunk = b""

    async def _helper(self) -> Apart | None:
        """The process for long input, once it is there: what comes before that is not waited with."""
        if not self._tried_apart:
            self._tried_apart, self.apart = True, Apart.start()
        return self.apart if self.apart is not None and await self.apart.is_up() else None

    async def _sound_xml(self, head: bytes) -> AsyncGenerator[Element]:
        """Each stanza for itself; what is wrong is left out."""
        reader, before = StanzaReader(self._limits, root=self._root), 0
        read = 0  # lines of the input before this chunk
        chunk, more = head, True
        while more:
            chunk = chunk or await self._source.read()
            more = bool(chunk)
            stanzas, error = reader.feed_until_error(chunk, final=not more)
            for stanza in stanzas:
                yield _moved(stanza, before)
            rest = b""
            if error is not None:
                self._fault(_placed(error, before))
                reader = StanzaReader(self._limits, root=self._root)
                rest, before = self._after(chunk, (error.line or 1) + before - read, read)
                more = bool(rest) or more
            else:
                read += chunk.count(b"\n")
            if rest:
                read = before
            elif error is not None:
                read += chunk.count(b"\n")
                before = read
            chunk = rest

    @staticmethod
    def _after(chunk: bytes, line: int, read: int) -> tuple[bytes, int]:
        """The rest of a chunk from the next line that begins a stanza, and how many lines of the input are before it.

        line: of the fault, from 1, counted in the chunk.
        """
        at = 0
        for _ in range(max(0, line - 1)):
            at = chunk.find(b"\n", at) + 1
        found = _STANZA.search(chunk, at)
        if found is None:
            return b"", read
        return chunk[found.end() :], read + chunk.count(b"\n", 0, found.end())

    # ── JSON and lines ──────────────────────────────────────────────────────────────────────────────────────────

    async def _by_lines(self, head: bytes) -> AsyncGenerator[Element | Plain]:
        reader = Lines(is_json=self._kind == "json", to=self._to, limits=self._limits, skip=self._skip)
        read, rest, more = 0, head, True
        while more:
            chunk = await self._source.read()
            more = bool(chunk)
            *lines, rest = (rest + chunk).split(b"\n") if more else [*rest.split(b"\n"), b""]
            for one in reader.read(lines):
                self._line = reader.current
                yield one
            read += len(lines)
            if len(rest) > MAX_BODY_BYTES:
                raise XmlError(f"it is longer than {MAX_BODY_BYTES} bytes", line=read + 1, column=1)


def _moved(stanza: Element, lines: int) -> Element:
    return stanza if lines == 0 else replace(stanza, line=stanza.line + lines)


def _placed(error: XmlError, lines: int) -> XmlError:
    if error.line is None or lines == 0:
        return error
    return XmlError(error.reason, condition=error.condition or "", line=error.line + lines, column=error.column)
