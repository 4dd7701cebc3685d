"""What `pipe` reads: stanzas as XML, messages as JSON objects, or lines that are bodies; each with its place."""

from __future__ import annotations

import codecs
import json
import re
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from xmppsh.commands.bodies import BOM, MAX_BODY_BYTES
from xmppsh.commands.kinds import parse_address
from xmppsh.commands.pipe_apart import Apart
from xmppsh.errors import DataError, UsageError, XmlError, XmppshError
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.plain import PlainReader
from xmppsh.xmlio.reader import StanzaReader, read_element
from xmppsh.xmlio.stanzas import MESSAGE_TYPES, Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from xmppsh.model import Element, Jid
    from xmppsh.output.streams import InputStream
    from xmppsh.xmlio.apart import Read
    from xmppsh.xmlio.plain import Plain
    from xmppsh.xmlio.splitter import Limits

Kind = Literal["auto", "xml", "json", "lines"]
KINDS: tuple[Kind, ...] = ("auto", "xml", "json", "lines")
TEXTS = ("body", "subject", "thread", "lang")  # of a JSON object, each a string
LONG_BYTES = 512 * 1024  # of input, which is worth a process of its own
_STANZA = re.compile(rb"\n\s*(?=<(?:message|presence|iq)[\s/>])")


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
            if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise DataError("the input is UTF-16, not UTF-8", hint="iconv -f UTF-16 -t UTF-8")
            first = head.decode("utf-8", "replace").removeprefix(BOM).lstrip()[:1]
            self._kind = "xml" if first in ("<", "") else "json" if first == "{" else "lines"
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

    async def _by_lines(self, head: bytes) -> AsyncGenerator[Element]:
        number, rest, more = 0, head, True
        while more:
            chunk = await self._source.read()
            more = bool(chunk)
            *lines, rest = (rest + chunk).split(b"\n") if more else [*rest.split(b"\n"), b""]
            for line in lines:
                number += 1
                if line.strip() and (stanza := self._of_line(line.removesuffix(b"\r"), number)) is not None:
                    yield stanza
            if len(rest) > MAX_BODY_BYTES:
                raise XmlError(f"it is longer than {MAX_BODY_BYTES} bytes", line=number + 1, column=1)

    def _of_line(self, line: bytes, number: int) -> Element | None:
        self._line = line
        try:
            text = line.decode("utf-8")
            if number == 1:
                text = text.removeprefix(BOM)
            stanza = (
                self._of_json(text)
                if self._kind == "json"
                else read_element(self._message(text, self._to), self._limits)
            )
            return _moved(stanza, number - stanza.line)
        except UnicodeDecodeError as error:
            self._fault(XmlError("it is not UTF-8", line=number, column=error.start + 1))
        except json.JSONDecodeError as error:
            self._fault(XmlError(f"it is not JSON: {error.msg.lower()}", line=number, column=error.colno))
        except XmppshError as error:
            reason = error.reason if isinstance(error, XmlError) else str(error)  # its place is in the string, not here
            self._fault(XmlError(reason, line=number, column=1))
        return None

    @staticmethod
    def _message(body: str | None, to: Jid | None, **facts: Any) -> str:
        stanza_id = facts.pop("id", None) or new_id()
        message = Message(body, **facts)
        return message.xml("" if to is None else str(to), stanza_id)

    def _of_json(self, text: str) -> Element:
        """`{"to", "body", "type", "subject", "thread", "lang", "id"}`, or `{"xml": "<message/>"}`."""
        given = json.loads(text)
        if not isinstance(given, dict):
            raise DataError("a JSON object is wanted")
        if unknown := set(given) - {"xml", "to", "type", "id", *TEXTS}:
            raise DataError(f"{min(unknown)!r} is not a field of a message")
        if wrong := [name for name, value in given.items() if value is not None and not isinstance(value, str)]:
            raise DataError(f"{wrong[0]!r} is not text")
        if given.get("xml") is not None:
            stanza = read_element(given["xml"], self._limits)
            if not stanza.is_stanza:
                raise DataError(f"<{stanza.kind}> is not a stanza")
            return stanza
        if (kind := given.get("type") or "chat") not in MESSAGE_TYPES:
            raise DataError(f"{kind!r} is not a type of a message", hint=", ".join(MESSAGE_TYPES))
        to = parse_address(given["to"]) if given.get("to") else self._to
        if to is None:
            raise DataError("it has no recipient (to)", hint="--to JID")
        texts = {name: given.get(name) for name in TEXTS if name != "body"}
        return read_element(self._message(given.get("body"), to, type=kind, id=given.get("id"), **texts), self._limits)


def _moved(stanza: Element, lines: int) -> Element:
    return stanza if lines == 0 else replace(stanza, line=stanza.line + lines)


def _placed(error: XmlError, lines: int) -> XmlError:
    if error.line is None or lines == 0:
        return error
    return XmlError(error.reason, condition=error.condition or "", line=error.line + lines, column=error.column)
