"""The words of a line as sh has them, but for the backslashes that belong to an address."""

from __future__ import annotations

import io
import shlex

# What stands in a localpart for a character that none may have (XEP-0106 §4), after its backslash.
OF_AN_ADDRESS = ("20", "22", "26", "27", "2f", "3a", "3c", "3e", "40", "5c")


class Lexer(shlex.shlex):
    r"""Reads word by word. `d\27artagnan@example.org` stays as it is: sh would make another address of it.

    rest: what was not read yet, as it stands.
    """

    state: str | None  # of shlex, which does not tell its type

    def __init__(self, text: str) -> None:
        self._text = io.StringIO(text)
        super().__init__(self._text, posix=True)
        self.whitespace_split, self.commenters = True, ""
        self.escape = _Escape(self, self._text)  # type: ignore[assignment]

    def position(self) -> int:
        """How many characters were read."""
        return self._text.tell()

    def rest(self) -> str:
        """Read all of it."""
        return self._text.read()


class _Escape:
    """The backslash, where it quotes."""

    def __init__(self, lexer: Lexer, text: io.StringIO) -> None:
        self._lexer, self._text = lexer, text

    def __contains__(self, character: str) -> bool:
        if character != "\\" or self._lexer.state == "\\":
            return character == "\\"
        at = self._text.tell()
        following = self._text.read(2)
        self._text.seek(at)
        is_begun = 0 < len(following) < 2 and following in "2345"  # it is being typed
        return not is_begun and following.lower() not in OF_AN_ADDRESS


def split(text: str) -> list[str]:
    """All words. Raises ValueError for a quote that is not closed."""
    return list(Lexer(text))


def half_typed(text: str) -> list[str]:
    """All words, of which the last one may be half typed."""
    words, last, at = at_the_end(text)
    return [*words, last] if at < len(text) else words


def at_the_end(text: str) -> tuple[list[str], str, int]:
    """The words that are ended; the one after them, which may be half typed; where that one begins, with its quotes."""
    lexer = Lexer(text)
    words: list[str] = []
    while True:
        at = lexer.position()
        at += len(text[at:]) - len(text[at:].lstrip(lexer.whitespace))
        try:
            word = lexer.get_token()
        except ValueError:
            return words, lexer.token + ("\\" if lexer.state == "\\" else ""), at
        if word is None or lexer.state != " ":
            return words, word or "", at
        words.append(word)
