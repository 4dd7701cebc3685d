"""Colours of the line that is typed: commands that exist, options, XML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prompt_toolkit.lexers import Lexer

from xmppsh.shell.lines.line import Command, Xml, classify, xml_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import StyleAndTextTuples

_XML = re.compile(
    r"(?P<comment><!--.*?(?:-->|$))"
    r"|(?P<tag></?[\w:.-]+|/?>|<\?xml|\?>)"
    r"|(?P<value>\"[^\"]*\"?|'[^']*'?)"
    r"|(?P<name>[\w:.-]+(?==))"
    r"|(?P<entity>&[\w#]+;)"
    r"|(?P<text>[^<>\"'&=\w]+|.)",
    re.DOTALL,
)
_WORDS = re.compile(r"(?P<option>(?<!\S)-[\w-]+)|(?P<quoted>\"[^\"]*\"?|'[^']*'?)|(?P<text>\s+|\S)")


class LineLexer(Lexer):
    """is_command(text): does a command of that name exist? keeps_text(name): what follows it is a message."""

    def __init__(self, is_command: Callable[[str], bool], keeps_text: Callable[[str], bool]) -> None:
        self._is_command, self._keeps_text = is_command, keeps_text

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The coloured text of each line."""
        lines: list[StyleAndTextTuples] = [[]]
        for style, text in self._pieces(document.text):
            first, *others = text.split("\n")
            lines[-1].append((style, first))
            lines.extend([(style, other)] for other in others)
        return lambda number: lines[number] if number < len(lines) else []

    def _pieces(self, text: str) -> Iterator[tuple[str, str]]:
        match classify(text):
            case Xml():
                yield from _marked(_XML, text)
            case Command(name, _):
                yield ("class:command" if self._is_command(name) else "class:unknown"), text[: len(name) + 1]
                tail = text[len(name) + 1 :]
                at = None if self._keeps_text(name) else xml_start(tail)
                yield from _marked(_WORDS, tail if at is None else tail[:at])
                if at is not None:
                    yield from _marked(_XML, tail[at:])
            case _:
                yield "", text


def _marked(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    for match in pattern.finditer(text):
        yield f"class:{match.lastgroup}" if match.lastgroup != "text" else "", match.group()
