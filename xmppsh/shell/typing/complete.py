"""The menu of the Tab key: commands, options and arguments from the registry; addresses, occupants, XML, files."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from prompt_toolkit.completion import Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from xmppsh.later import pattern
from xmppsh.output import safe
from xmppsh.registry import COMMANDS, GROUPS, Path, children
from xmppsh.shell.lines.builtins import BUILTINS
from xmppsh.shell.lines.line import Command, Text, Xml, classify, xml_start
from xmppsh.shell.lines.names import described, is_own, keeps_text
from xmppsh.shell.lines.words import at_the_end, half_typed
from xmppsh.shell.typing.vocabulary import CHILDREN, NAMESPACES, TOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prompt_toolkit.completion import CompleteEvent

    from xmppsh.shell.shown.people import People

MAX_SHOWN = 100  # a menu of more is read by nobody, and each row costs time
_NAMESPACE = pattern(r"<([\w:.-]+)[^<>]*\sxmlns=([\"'])([^\"'<>]*)$")
_NAME = pattern(r"<(/?)([\w:.-]*)$")
_TAG = pattern(r"<(/?)([\w:.-]+)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*?)(/?)>")


class LineCompleter(Completer):
    """people: whom the shell knows; the room that is written to is `people.current`. aliases: names for lines."""

    def __init__(self, people: People, aliases: Callable[[], Mapping[str, str]] = dict) -> None:
        self._people, self._aliases = people, aliases
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What could stand at the cursor."""
        found = iter(self._completions(document.text_before_cursor, complete_event))
        yield from islice(found, MAX_SHOWN)
        if next(found, None) is not None:
            # It inserts nothing: what the rows begin with is not what all begin with, and must not be typed for us.
            yield Completion("", display="…", display_meta="there are more: type on")

    def _completions(self, text: str, event: CompleteEvent) -> Iterable[Completion]:
        match classify(text):
            case Xml():
                return _xml(text)
            case Command(name, tail):
                if text == f"/{name}":
                    return _shown(_starting(self._commands(), f"/{name}"), len(text))
                at = None if keeps_text(name) else xml_start(tail)
                return _xml(tail[at:]) if at is not None else self._arguments(name, tail, event)
            case Text() if text == "/":
                return _shown(_starting(self._commands(), text), 1)
            case _:
                return self._occupants(text)

    def _commands(self) -> list[tuple[str, str]]:
        return sorted([*described(), *((f"/{name}", line) for name, line in self._aliases().items())])

    def _arguments(self, name: str, tail: str, event: CompleteEvent) -> Iterable[Completion]:
        from xmppsh.shell.typing.arguments import of_builtin, of_registry  # which load click

        words, incomplete, begin = at_the_end(tail)
        typed = len(tail) - begin  # with its quotes and backslashes, which are replaced as well
        if name == "watch" and tail.partition(" ")[2].startswith("/"):
            return self._completions(tail.partition(" ")[2], event)
        path: Path = (name,)
        while path in GROUPS and words:
            path, words = (*path, words[0]), words[1:]
        if path in GROUPS:
            below = [(one, facts.help) for one, facts in children(path).items()]
            if name in BUILTINS:  # /presence away is ours, /presence set is not
                below += [(item.value, item.help or "") for item in of_builtin(self._people, name, words, incomplete)]
            return _shown(_starting(below, incomplete), typed)
        if path == (name,) and is_own(name, tail):
            items = list(islice(of_builtin(self._people, name, words, incomplete), MAX_SHOWN + 1))
        elif path in COMMANDS and COMMANDS[path].not_in_shell is None:
            items = list(islice(of_registry(self._people, path, words, incomplete), MAX_SHOWN + 1))
        else:
            return ()
        option, equals, value = incomplete.rpartition("=") if incomplete.startswith("--") else ("", "", incomplete)
        if not tail.startswith(option + equals, begin):
            return ()  # its quotes begin before the value
        typed -= len(option + equals)
        if any(item.type == "file" for item in items):
            return self._of_folder(value, typed, event)
        return _shown([(item.value, item.help or "") for item in items], typed)

    def _of_folder(self, value: str, typed: int, event: CompleteEvent) -> Iterator[Completion]:
        for one in self._files.get_completions(Document(value), event):
            yield Completion(_quoted(value + one.text), -typed, display=one.display)

    def _occupants(self, text: str) -> Iterator[Completion]:
        """The nicks of the room that is written to, for the word before the cursor."""
        current = self._people.current
        if current not in self._people.rooms:
            return
        before, _, word = text.rpartition(" ")
        end = " " if before else ": "
        for nick in self._people.occupants(current or ""):
            if nick.casefold().startswith(word.casefold()):
                yield Completion(nick + end, -len(word), display=safe.line(nick), display_meta="occupant")


def _starting(rows: Iterable[tuple[str, str]], begin: str) -> list[tuple[str, str]]:
    return [(value, about) for value, about in rows if value.startswith(begin)]


def _shown(rows: Iterable[tuple[str, str]], replaced: int) -> Iterator[Completion]:
    """The rows of the menu. What is inserted is quoted where it would fall into several words."""
    for value, about in rows:
        end = "" if value.endswith(("=", ":", "/")) else " "
        yield Completion(_quoted(value) + end, -replaced, display=safe.line(value), display_meta=safe.line(about))


def _quoted(value: str) -> str:
    is_word = not re.search(r"[\s'\"\\]", value) or half_typed(value) == [value]
    return value if is_word else "'" + value.replace("'", "'\\''") + "'"


# ── XML ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _xml(text: str) -> Iterator[Completion]:
    if (found := _NAMESPACE().search(text)) is not None:
        element, quote, begun = found.groups()
        for namespace, about in NAMESPACES.items():
            names = about[0]
            if begun in namespace and (element in names or not names):
                yield Completion(namespace + quote, -len(begun), display=namespace, display_meta=about[1])
    elif (name := _NAME().search(text)) is not None:
        parents = _open_elements(text)
        parent = parents[-1] if parents else None
        if name[1]:
            if parent is not None:
                yield Completion(f"{parent}>", -len(name[2]), display=f"</{parent}>")
            return
        known = TOP if parent is None else CHILDREN.get(parent, ())
        yield from (Completion(one, -len(name[2])) for one in known if one.startswith(name[2]))


def _open_elements(text: str) -> list[str]:
    """The elements that are open at the end of the text, the innermost last."""
    names: list[str] = []
    for closing, name, _, empty in _TAG().findall(text):
        if closing and names:
            names.pop()
        elif not closing and not empty:
            names.append(name)
    return names
