"""Commands of the registry inside the shell: the same definitions, on the session that is open."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from xmppsh.errors import UsageError
from xmppsh.registry import COMMANDS, GROUPS, Path, children
from xmppsh.registry.base import HelpAsked
from xmppsh.registry.groups import load, unknown
from xmppsh.shell.lines.builtins import BUILTINS, ELSEWHERE
from xmppsh.shell.lines.failure import usage_error
from xmppsh.shell.lines.line import xml_start
from xmppsh.shell.lines.names import OF_A_COMMAND, here, is_own
from xmppsh.shell.lines.records import ShellPrinter
from xmppsh.shell.lines.words import Lexer, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.app.app import App
    from xmppsh.model import Jid
    from xmppsh.registry.base import Work
    from xmppsh.session.session import Session
    from xmppsh.shell.lines.desk import Desk


async def run(
    app: App, session: Session, desk: Desk, name: str, tail: str, on_sent: Callable[[str, str, Jid], None]
) -> None:
    """Run a command of the registry on the open session; raises what it raises, and UsageError.

    on_sent: is told of each message of `/send`, as App has it.
    """
    work = parse(name, tail)
    if isinstance(work, str):
        await app.console.stdout.write(work)
        return
    for option in work.options:
        if option not in OF_A_COMMAND:
            raise UsageError(
                f"/{name}: --{option.replace('_', '-')} belongs to the session, which is open already",
                hint="give it to xmppsh connect",
            )
    own = app.for_command(app.settings.with_values(**work.options), session, desk.stdin)
    if desk.output is not None:
        own.console.stdout = desk.output
    if not own.printer.is_for_programs:
        own.printer = ShellPrinter(desk)
    own.on_sent = None if own.settings.dry_run else on_sent
    own.printer.check()
    work.check_output()
    await work.run(own)
    if work.name in ("bookmarks add", "bookmarks remove") and not own.settings.dry_run:
        desk.people.mark_room(str(work.arguments["room"].bare), is_marked=work.name == "bookmarks add")


def parse(name: str, tail: str) -> Work | str:
    """The parsed command, or the text of its help when it was asked for that. Raises UsageError."""
    path, tail = find(name, tail)
    if isinstance(path, str):
        return path
    command, label = load(path), " ".join(path)
    try:
        words = text_words(command, tail) if COMMANDS[path].tail == "text" else split_words(tail)
    except ValueError as error:
        raise UsageError(f"/{label}: {str(error).lower()}", hint="close the quote, or write \\ before it") from None
    try:
        work: Work = command.invoke(command.make_context(f"/{label}", words))
    except HelpAsked as asked:
        return asked.text
    except click.ClickException as error:
        raise usage_error(error, label) from None
    return work


def find(name: str, tail: str) -> tuple[Path | str, str]:
    """The command that a line names, and what follows; in place of the command the help of a group that stands alone.

    Raises UsageError when there is none, or none that runs here.
    """
    path: Path = (name,)
    while path in GROUPS:
        word, _, rest = tail.lstrip().partition(" ")
        if word in ("", "-h", "--help"):
            return group_help(path), ""
        if word not in children(path):
            raise unknown(word, here(path), path, "/")
        path, tail = (*path, word), rest
    if path not in COMMANDS:
        error = unknown(name, here(()) | BUILTINS.keys(), prefix="/")
        others = "/help lists them; // at the start sends a slash"
        hint = ELSEWHERE.get(name) or (error.hint if error.hint != "/help" else others)
        raise UsageError(f"/{name} is not a command", hint=hint)
    if (why := COMMANDS[path].not_in_shell) is not None:
        raise UsageError(f"/{' '.join(path)} does not run in the shell: {why}")
    return path, tail


def group_help(path: Path) -> str:
    """The commands of a group."""
    rows = [(f"/{' '.join([*path, name])}", below.help) for name, below in children(path).items()]
    width = max(len(usage) for usage, _ in rows)
    listed = "".join(f"  {usage:{width}}  {meaning}\n" for usage, meaning in rows)
    return f"{GROUPS[path].help}\n{listed}/help {' '.join(path)} COMMAND shows more.\n"


def split_words(tail: str) -> list[str]:
    """The words of a tail as sh has them; XML that no quote encloses is one word to the end, as it stands."""
    at = xml_start(tail)
    if at is not None and (at == 0 or tail[at - 1].isspace()):
        with suppress(ValueError):  # the XML stands inside a quote
            return [*split(tail[:at]), tail[at:]]
    return split(tail)


def text_words(command: click.Command, tail: str) -> list[str]:
    """The words of `/send [OPTIONS] TO TEXT`: TEXT stays as it stands, quotes, dashes, spaces and all.

    One white space ends TO; what comes after it is the text.
    """
    lexer = Lexer(tail)
    options: list[str] = []
    while (word := lexer.get_token()) is not None:
        if word.startswith("-") and word not in ("-", "--"):
            options.append(word)
            if _takes_next(command, word) and (value := lexer.get_token()) is not None:
                options.append(value)
            continue
        to = lexer.get_token() if word == "--" else word
        text = lexer.rest()
        return [*options, "--", *([] if to is None else [to]), *([text] if text else [])]
    return options


def _takes_next(command: click.Command, word: str) -> bool:
    """Is the word after this option its value?"""
    with_value = {
        name
        for param in command.params
        if isinstance(param, click.Option) and not (param.is_flag or param.count)
        for name in param.opts
    }
    if word.startswith("--"):
        return word in with_value
    for position, letter in enumerate(word[1:], start=2):
        if f"-{letter}" in with_value:
            return position == len(word)  # otherwise the value is the rest of the word
    return False


def help_text(words: list[str]) -> str:
    """All commands, or the help of one."""
    if words:
        name, tail = words[0].removeprefix("/"), " ".join(words[1:])
        if is_own(name, tail):
            facts = BUILTINS[name]
            return f"{facts.usage}\n  {facts.help}\n\n  Example:  {facts.example}\n"
        path, _ = find(name, tail)
        if isinstance(path, str):
            return path
        command, label = load(path), " ".join(path)
        text = command.get_help(click.Context(command, info_name=f"/{label}", max_content_width=80, terminal_width=80))
        return text.replace(f"xmppsh {label}", f"/{label}") + "\n"
    names = here(())
    commands = ((f"/{name}", facts.help) for name, facts in children(()).items() if name in names)
    own = ((facts.usage, facts.help) for facts in BUILTINS.values())
    rows = [*commands, *own]  # what a newcomer needs stands where the list ends, beside the prompt
    width = max(len(usage) for usage, _ in rows)
    listed = "".join(f"  {usage:{width}}  {meaning}\n" for usage, meaning in rows)
    return (
        f"{listed}TEXT goes to the target, //TEXT sends a slash, <XML> is sent as a stanza once it is closed.\n"
        "/help COMMAND shows more. The Tab key completes. To begin: /to JID, then type a message.\n"
    )
