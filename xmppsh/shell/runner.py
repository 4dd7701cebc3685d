"""Commands of the registry inside the shell: the same definitions, on the session that is open."""

from __future__ import annotations

import contextlib
import importlib
import io
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from xmppsh.commands import COMMANDS
from xmppsh.errors import UsageError
from xmppsh.shell.failure import usage_error

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.commands.base import Work
    from xmppsh.output.streams import InputStream
    from xmppsh.session.session import Session

# Commands that would hold the shell or its streams, and what does their work here.
REFUSED = {
    "connect": "the shell is open already: /quit, then xmppsh connect JID",
    "listen": "the shell prints what arrives by itself",
    "pipe": "the shell's lines are its input: xmppsh pipe runs outside",
    "playground": "xmppsh playground runs outside the shell",
}
BUILTINS = {
    "to": ("/to [JID]", "Send what is typed to JID; without JID, to nobody."),
    "help": ("/help [COMMAND]", "This list, or a command's own help."),
    "quit": ("/quit", "Close the stream and leave (Ctrl-D)."),
}
# What a single command may set; everything else was settled when the session was opened.
OF_A_COMMAND = frozenset({"format", "template", "color", "verbose", "quiet", "dry_run"})


def available() -> dict[str, str]:
    """The commands that run here, each with its line of help."""
    return {name: entry.help for name, entry in COMMANDS.items() if name not in REFUSED}


async def run(app: App, session: Session, stdin: InputStream, name: str, tail: str) -> None:
    """Run a command of the registry on the open session; raises what it raises, and UsageError."""
    work = parse(name, tail)
    if isinstance(work, str):
        await app.stdout.write(work)
        return
    for option in work.options:
        if option not in OF_A_COMMAND:
            raise UsageError(
                f"/{name}: --{option.replace('_', '-')} belongs to the session, which is open already",
                hint="give it to xmppsh connect",
            )
    own = replace(app, settings=app.settings.with_values(**work.options), shared=session, stdin=stdin)
    own.check_output()
    await work.run(own)


def parse(name: str, tail: str) -> Work | str:
    """The parsed command, or the text of its help when it was asked for that. Raises UsageError."""
    command = find(name)
    try:
        words = send_words(command, tail) if name == "send" else shlex.split(tail)
    except ValueError as error:
        raise UsageError(f"/{name}: {str(error).lower()}", hint="close the quote, or write \\ before it") from None
    shown = io.StringIO()
    try:
        with contextlib.redirect_stdout(shown):  # click prints help by itself
            context = command.make_context(f"/{name}", words)
            work: Work = command.invoke(context)
    except click.exceptions.Exit:
        return shown.getvalue()
    except click.ClickException as error:
        raise usage_error(error, name) from None
    return work


def find(name: str) -> click.Command:
    """Import a command; raises UsageError when there is none, or none that runs here."""
    if name in REFUSED:
        raise UsageError(f"/{name} does not run in the shell: {REFUSED[name]}")
    entry = COMMANDS.get(name)
    if entry is None:
        raise UsageError(f"/{name} is not a command", hint="/help lists them; // at the start sends a slash")
    command: click.Command = getattr(importlib.import_module(entry.module), name)
    return command


def send_words(command: click.Command, tail: str) -> list[str]:
    """The words of `/send [OPTIONS] TO TEXT`: TEXT stays as it stands, quotes, dashes, spaces and all.

    One white space ends TO; what comes behind it is the text.
    """
    stream = io.StringIO(tail)
    lexer = shlex.shlex(stream, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    options: list[str] = []
    while (word := lexer.get_token()) is not None:
        if word.startswith("-") and word not in ("-", "--"):
            options.append(word)
            if _takes_next(command, word) and (value := lexer.get_token()) is not None:
                options.append(value)
            continue
        to = lexer.get_token() if word == "--" else word
        text = stream.read()
        return [*options, "--", *([] if to is None else [to]), *([text] if text else [])]
    return options


def _takes_next(command: click.Command, word: str) -> bool:
    """Is the word behind this option its value?"""
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


def help_text(name: str | None) -> str:
    """All commands, or the help of one."""
    if name is not None:
        name = name.removeprefix("/")
        if name in BUILTINS:
            usage, meaning = BUILTINS[name]
            return f"{usage}\n  {meaning}\n"
        command = find(name)
        return command.get_help(click.Context(command, info_name=f"/{name}")) + "\n"
    rows = [*BUILTINS.values(), *((f"/{name}", text) for name, text in available().items())]
    width = max(len(usage) for usage, _ in rows)
    listed = "".join(f"  {usage:{width}}  {meaning}\n" for usage, meaning in rows)
    return (
        "TEXT goes to the target, //TEXT sends a slash, <XML> is sent as a stanza once it is closed.\n"
        f"{listed}/help COMMAND tells more.\n"
    )
