"""The lines of a script or of a file, one after the other; XML stays open over several of them."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import TYPE_CHECKING

from xmppsh.errors import DataError, UsageError, XmlError, XmppshError
from xmppsh.shell.lines.failure import placed, with_text
from xmppsh.shell.lines.line import Xml, classify
from xmppsh.shell.lines.sent import Place
from xmppsh.shell.lines.xmlinput import XmlInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xmppsh.model import Element
    from xmppsh.session.session import Session
    from xmppsh.shell.lines.line import Blank, Command, Text
    from xmppsh.xmlio.splitter import Limits


class TooDeep(UsageError):
    """Lines stand for lines that stand for lines, without an end."""


class Lines:
    """carry_out, send: what a line means, and XML that is closed. file: its name, which errors tell; outer: the line
    that all these stand for.
    """

    def __init__(
        self,
        session: Session,
        limits: Limits,
        carry_out: Callable[[Blank | Command | Text, Place], Awaitable[None]],
        send: Callable[[list[Element], Place], Awaitable[None]],
        file: str | None = None,
        outer: Place | None = None,
    ) -> None:
        self._session, self._limits, self._carry_out, self._send = session, limits, carry_out, send
        self._file, self._outer = file, outer
        self._number = self._begun = 0  # this line, and the one with which the open element began
        self._xml: XmlInput | None = None

    @property
    def place(self) -> Place:
        """Where the line stands that was taken last."""
        return self._place(self._number)

    async def take(self, data: bytes) -> None:
        """Carry out the next line. What it raises names the line, unless the session is over."""
        self._number += 1
        if self._number == 1:
            data = data.removeprefix(BOM_UTF8)  # some editors begin a file with it
        text = self._text(data)
        line = classify(text.removesuffix("\r"))
        if self._xml is not None or isinstance(line, Xml):
            stanzas = self._closed(text)
            work = None if stanzas is None else self._send(stanzas, self._place(self._begun))
        else:
            work = None if text.startswith("#") else self._carry_out(line, self.place)
        try:
            if work is not None:
                await work
        except XmppshError as error:
            if self._session.is_over or (self._file is not None and isinstance(error, TooDeep)):
                raise
            raise placed(error, self._label(self._number)) from error

    def _text(self, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{self._label(self._number)}: not UTF-8 (byte {error.start + 1})") from error

    def _closed(self, text: str) -> list[Element] | None:
        """The XML that ends with this line; None while it is open."""
        if self._xml is None:
            self._begun = self._number
        xml, self._xml = self._xml or XmlInput(self._limits), None
        try:
            stanzas = xml.feed(text)
        except XmlError as error:
            raise self._in_file(error) from error
        self._xml = xml if stanzas is None else None
        return stanzas

    def end(self) -> None:
        """The last line was taken. Raises XmppshError where an element is still open."""
        if self._xml is not None:
            try:
                self._xml.end()
            except XmlError as error:
                raise self._in_file(error) from error

    def _in_file(self, error: XmlError) -> XmppshError:
        """The error with the file's line number in the place of the element's own."""
        if error.line is None:
            return placed(error, self._label(self._begun))
        label = self._label(self._begun + error.line - 1)
        return with_text(error, f"{label}, column {error.column}: {error.reason}", error.hint)

    def _label(self, number: int) -> str:
        return f"line {number}" if self._file is None else f"{self._file}, line {number}"

    def _place(self, number: int) -> Place:
        label, outer = self._label(number), self._outer
        if outer is None:
            return Place(label, number)
        return Place(f"{outer.label}: {label}" if outer.number else label, outer.number)
