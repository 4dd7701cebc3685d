"""What the arguments of a command may be, for the Tab key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem, ShellComplete

from xmppsh.errors import XmppshError
from xmppsh.registry import COMMANDS, Path
from xmppsh.registry.groups import load
from xmppsh.shell.lines.builtins import BUILTINS
from xmppsh.shell.lines.names import OF_A_COMMAND, described

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from xmppsh.shell.shown.people import People

_OPTION = re.compile(r"--([\w-]+)")


def of_registry(people: People, path: Path, words: list[str], incomplete: str) -> Iterator[CompletionItem[str]]:
    """Of a command of the registry."""
    command = load(path)
    if COMMANDS[path].tail == "text" and words and not _awaits_value(command, words):
        return  # what follows is a message
    try:
        found = ShellComplete(command, {"obj": people}, "", "").get_completions(words, incomplete)
    except XmppshError:
        return  # a word before the cursor is wrong, which is told when the line is entered
    hidden = {name for param in command.params if getattr(param, "hidden", False) for name in param.opts}
    for item in found:
        option = _OPTION.fullmatch(item.value)
        # What was settled when the session was opened cannot be given to one of its commands.
        if item.value in hidden and (option is None or option[1].replace("-", "_") not in OF_A_COMMAND):
            continue
        yield item


def of_builtin(people: People, name: str, words: list[str], incomplete: str) -> Iterator[CompletionItem[str]]:
    """Of one of the shell's own."""
    kinds = BUILTINS[name].arguments
    kind = kinds[len(words)] if len(words) < len(kinds) else ""
    begin = incomplete.casefold()
    match kind:
        case "jid":
            known = people.addresses(incomplete)
            yield from (CompletionItem(jid, help=about) for jid, about in known if jid.casefold().startswith(begin))
        case "room":
            yield from (CompletionItem(jid, help=about) for jid, about in people.room_addresses(incomplete))
        case "command":
            bare = incomplete.removeprefix("/")
            rows = ((one[1:], about) for one, about in described())
            yield from (CompletionItem(one, help=about) for one, about in rows if one.startswith(bare))
        case "file":
            yield CompletionItem(incomplete, type="file")
        case _ if kind:
            yield from (CompletionItem(word) for word in kind.split("|") if word.startswith(incomplete))


def _awaits_value(command: click.Command, words: list[str]) -> bool:
    """Do the words consist of options alone, so that the recipient is still to come?"""
    takes = {
        name for param in command.params if not getattr(param, "is_flag", True) for name in param.opts if name[0] == "-"
    }
    expects = False
    for word in words:
        if not expects and not word.startswith("-"):
            return False
        expects = not expects and word in takes
    return True
