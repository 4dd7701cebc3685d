"""Writes the man pages in man/ from the registry, the settings and the exit codes: `python tests/arch/manual.py`."""

import inspect
from pathlib import Path

import click

from xmppsh.commands.topics import EXIT_CODES, SIGNALS
from xmppsh.config.schema import SETTING_GROUPS, SETTINGS
from xmppsh.registry import COMMANDS, SECTIONS
from xmppsh.registry.groups import load

FOLDER = Path(__file__).parents[2] / "man"
ABOUT = "the command-line shell for XMPP"


def escaped(text: str) -> str:
    """Text for troff: nothing in it is a request, and a hyphen can be searched for and copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def section(title: str, *parts: str) -> str:
    """A section; empty when nothing is in it."""
    return "\n".join([f".SH {title}", *parts]) if any(parts) else ""


def paragraphs(text: str) -> str:
    """The help of a command: paragraphs that flow, and those that stand as they are (an example, `\\b`)."""
    parts = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        stands = paragraph.startswith(("\b", "Example:"))
        words = escaped(paragraph.removeprefix("\b\n"))
        parts.append(f".nf\n{words}\n.fi" if stands else words)
    return "\n.PP\n".join(parts)


def item(term: str, *sentences: str) -> str:
    """A term, and what it means."""
    return f".TP\n.B {escaped(term)}\n" + escaped(" ".join(filter(None, sentences)) or " ")


def page(name: str, about: str, *sections: str) -> str:
    """One page."""
    head = f'.TH "{escaped(name.upper())}" 1 "" xmppsh "xmppsh"'
    return "\n".join([head, section("NAME", f"{escaped(name)} \\- {escaped(about)}"), *filter(None, sections), ""])


def command_page(path: tuple[str, ...]) -> tuple[str, str]:
    """The name of a command's page, and the page."""
    name, command = "-".join(("xmppsh", *path)), load(path)
    context = click.Context(command, info_name=f"xmppsh {' '.join(path)}", max_content_width=80)
    options = (one for one in command.params if isinstance(one, click.Option))
    records = (option.get_help_record(context) for option in options)
    return name, page(
        name,
        COMMANDS[path].help.rstrip("."),
        section(
            "SYNOPSIS", f".B {escaped(context.command_path)}", escaped(" ".join(command.collect_usage_pieces(context)))
        ),
        section("DESCRIPTION", paragraphs(command.help or "")),
        section("OPTIONS", *(item(*record) for record in records if record is not None)),
        section("SEE ALSO", ".BR xmppsh (1),", "which has the options of all commands, and the exit codes"),
    )


def main_page() -> str:
    """The page of the program: its commands, its settings, its exit codes."""
    commands = [
        part
        for key, title in SECTIONS.items()
        for part in (
            f".SS {title}",
            *(
                item("-".join(("xmppsh", *path)) + "(1)", spec.help)
                for path, spec in COMMANDS.items()
                if spec.section == key
            ),
        )
    ]
    options = []
    for key, title in SETTING_GROUPS.items():
        options.append(f".SS {title}")
        for setting in SETTINGS:
            if setting.group == key and not setting.file_only:
                names = ", ".join(filter(None, (setting.short, setting.option)))
                options.append(item(f"{names} {setting.metavar or ''}".rstrip(), setting.help, f"[{setting.env}]"))
    codes = [item(str(int(code)), meaning) for code, meaning in EXIT_CODES.items()]
    codes += [item(str(code), meaning) for code, meaning in SIGNALS.items()]
    usage = ["[OPTIONS] COMMAND [ARGS]...", ".br", ".B xmppsh", "JID [COMMAND [ARGS]...]"]
    text = (
        "Send, pipe, listen, ask and talk over XMPP. A success means that the server has acknowledged; whatever ends "
        "the program, its session is gone; every failure names its cause and what to try."
    )
    return page(
        "xmppsh",
        ABOUT,
        section("SYNOPSIS", ".B xmppsh", *usage),
        section("DESCRIPTION", escaped(text)),
        section("COMMANDS", *commands),
        section("OPTIONS", "They stand before or after the command. The variable in brackets does the same.", *options),
        section("EXIT STATUS", *codes),
        section("FILES", item("$XDG_CONFIG_HOME/xmppsh/config.toml", "Settings; their keys are the long option names."),
                item("$XDG_STATE_HOME/xmppsh", "Messages that wait, locks, the history of the shell.")),
    )  # fmt: skip


def pages() -> dict[str, str]:
    """File name → text, of all pages."""
    named = {"xmppsh": main_page(), **dict(map(command_page, COMMANDS))}
    return {f"{name}.1": text for name, text in named.items()}


def write() -> None:
    """Write them, and remove those of commands that are no more."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.1"):
        old.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
