"""The texts that `send` sends: from the command line, from the whole of stdin, or line by line as it comes."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.errors import DataError, NoInputError, UsageError, XmppshError
from xmppsh.xmlio.build import NOT_XML

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Literal

    from xmppsh.output.streams import InputStream

    Control = Literal["refuse", "strip", "show"]

MAX_BODY_BYTES = 1024 * 1024  # of stdin; the stanza's own limit is smaller
MAX_BATCH = 32 * 1024  # characters of one message of --batch
BOM = "\ufeff"
# Colours and cursor movements (ECMA-48 §5.4), titles of windows: what programs write for terminals, as a whole.
_ESCAPE_SEQUENCE = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_]"


class Cleaner:
    """What becomes of characters that XML cannot carry, and of bytes that are not UTF-8.

    refuse: DataError; strip: they are left out, terminal escape sequences as a whole, and counted; show: `\\x1b`.
    """

    def __init__(self, control: Control) -> None:
        self.control = control
        self.stripped = self.lines = 0

    def decoded(self, data: bytes, what: str) -> str:
        """The text of some bytes; `what` is how to call them in an error."""
        if self.control == "refuse":
            from xmppsh.app.sources import decoded  # a text of the command line needs it not

            return self.cleaned(decoded(data, what, "--control strip leaves such bytes out"), what)
        return self.cleaned(data.decode("utf-8", "surrogateescape"), what)

    def cleaned(self, text: str, what: str = "the text") -> str:
        """The text as it can be sent; `what` is how to call it in an error."""
        if text.isprintable() or (wrong := re.search(NOT_XML, text)) is None:
            return text
        if self.control == "refuse":
            raise DataError(
                f"{what} holds U+{ord(wrong.group()):04X} at character {wrong.start() + 1}, which XML cannot carry",
                hint="--control strip leaves such characters out, --control show keeps them visible",
            )
        if self.control == "show":
            return re.sub(NOT_XML, lambda match: _visible(match.group()), text)
        kept = re.sub(NOT_XML, "", re.sub(_ESCAPE_SEQUENCE, "", text))
        self.stripped += len(text) - len(kept)
        self.lines += 1
        return kept


def _visible(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # a byte that was not UTF-8
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def preformatted(text: str) -> str:
    """A block that clients show as it stands (XEP-0393 §5.1.2)."""
    return f"```\n{text}\n```"


def without_ends(text: str) -> str:
    """The text of a file without its byte order mark and its last line end, be it from Unix or from Windows."""
    text = text.removeprefix(BOM)
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def from_words(words: tuple[str, ...], cleaner: Cleaner) -> str:
    """TEXT of the command line."""
    text = " ".join(words)
    if cleaner.control == "refuse":
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError("the text on the command line is not UTF-8") from error
    return cleaner.cleaned(text)


async def whole(stdin: InputStream, cleaner: Cleaner) -> str:
    """All of stdin, without its last line end; what stands inside is sent as it is."""
    try:
        data = await stdin.read_all(MAX_BODY_BYTES)
    except NoInputError as error:
        error.hint = "give TEXT, or <FILE"
        raise
    except DataError as error:
        raise DataError(str(error), hint="send --attach FILE sends a file of any size") from error
    return without_ends(cleaner.decoded(data, "stdin"))


class Lines:
    """The lines of stdin, without the blank ones unless `empty` is set.

    fault: what ended them before their end; they were sent up to there. count: how many were read.
    """

    def __init__(self, stdin: InputStream, cleaner: Cleaner, batch_s: float | None, *, empty: bool = False) -> None:
        self.fault: XmppshError | None = None
        self._stdin, self._cleaner, self._batch_s, self._empty = stdin, cleaner, batch_s, empty
        self.count = 0

    async def __aiter__(self) -> AsyncIterator[str]:
        texts = self._texts() if self._batch_s is None else self._batches(self._batch_s)
        try:
            async for text in texts:
                yield text
        except DataError as error:
            self.fault = error

    async def _texts(self) -> AsyncIterator[str]:
        rest = b""
        while chunk := await self._stdin.read():
            *complete, rest = (rest + chunk).split(b"\n")
            for line in complete:
                if (text := self._text(line)) or self._empty:
                    yield text
            if len(rest) > MAX_BODY_BYTES:
                raise DataError(f"line {self.count + 1} of stdin is longer than {MAX_BODY_BYTES} bytes")
        if text := self._text(rest):
            yield text

    def _text(self, line: bytes) -> str:
        self.count += 1
        text = self._cleaner.decoded(line.removesuffix(b"\r"), f"line {self.count} of stdin")
        if self.count == 1:
            text = text.removeprefix(BOM)
        return text if text.strip() else ""

    async def _batches(self, batch_s: float) -> AsyncIterator[str]:
        """Lines that come within `batch_s` of the first one, as one text."""
        texts = self._texts()
        coming: asyncio.Future[str | None] = asyncio.ensure_future(anext(texts, None))
        batch: list[str] = []
        try:
            while (first := await coming) is not None:
                batch = [first]
                coming = asyncio.ensure_future(anext(texts, None))
                with suppress(TimeoutError):
                    async with asyncio.timeout(batch_s):
                        while sum(map(len, batch)) < MAX_BATCH and (more := await asyncio.shield(coming)) is not None:
                            batch.append(more)
                            coming = asyncio.ensure_future(anext(texts, None))
                yield "\n".join(batch)
                batch = []
        except DataError:
            if batch:
                yield "\n".join(batch)
            raise
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


def refuse_nothing(body: str, *, empty: bool, is_stdin: bool) -> None:
    """Raise DataError for an empty body that was not asked for. is_stdin: where it was looked for."""
    if body or empty:
        return
    if is_stdin:
        raise DataError("there is nothing to send: stdin holds no text", hint="give TEXT, or --empty if that is meant")
    raise DataError("there is nothing to send: TEXT is empty", hint="is a variable unset? --empty if it is meant")


def check_text_options(words: tuple[str, ...], *, lines: bool, batch_s: float | None) -> None:
    """Raise UsageError for options that contradict each other."""
    if lines and words:
        raise UsageError("--lines takes the text from stdin, and makes the ids")
    if batch_s is not None and not lines:
        raise UsageError("--batch is for --lines")
