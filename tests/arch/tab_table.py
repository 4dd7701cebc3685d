"""The table of the Tab key (cli/tab.py), from the commands as click has them; tests/arch/reference.py writes it."""

import click
from click.shell_completion import CompletionItem

from xmppsh.cli.main import build_group
from xmppsh.cli.tab import BREAK, EVERYWHERE, FILE, TOPICS, WORDS
from xmppsh.commands import topics
from xmppsh.commands.config import SettingName
from xmppsh.commands.help import _known
from xmppsh.config.schema import BY_NAME
from xmppsh.registry import COMMANDS, GROUPS, children
from xmppsh.registry.clicked import _GlobalOption
from xmppsh.registry.groups import group, load
from xmppsh.registry.params import (
    JID,
    KIND_NAMES,
    NICK,
    RECORD,
    WAIT,
    FileType,
    JidType,
    KindsType,
    MomentType,
    SecondsType,
)

__all__ = ["FILE", "table"]


def _kind(param: click.Parameter) -> str:
    """What the value of an option or argument is, for cli/tab.py."""
    again = "*" if getattr(param, "multiple", False) or param.nargs == -1 else ""
    if isinstance(param, click.Option) and (param.is_flag or param.count):
        return again + "flag"
    if isinstance(param, _GlobalOption):
        setting = BY_NAME[param.name or ""]
        choices = f"={'|'.join(setting.choices)}" if setting.choices else "any"
        return again + ("file" if setting.is_path else "jid" if setting.name == "jid" else choices)
    if isinstance(param.type, JidType) or param._custom_shell_complete == JID.shell_complete:
        return again + "jid"
    if isinstance(param.type, FileType | click.Path | click.File):
        return again + "file"
    if isinstance(param.type, click.Choice):
        return f"{again}={'|'.join(map(str, param.type.choices))}"
    if isinstance(param.type, SecondsType | MomentType):
        return again + "span"
    if isinstance(param.type, KindsType):
        return f"{again},{'|'.join(KIND_NAMES)}"
    if param.type in (RECORD, WAIT):
        return f"{again}={'|'.join(item.value for item in _completed(param))}"
    if isinstance(param.type, SettingName):
        return f"{again}{WORDS}{param.type.name}"
    if param._custom_shell_complete == _known:
        return again + "topic"
    if param.type is NICK:
        return again + "any"  # in the shell alone anybody is known to be there
    completes_itself = type(param.type).shell_complete is not click.ParamType.shell_complete
    return again + ("click" if completes_itself or param._custom_shell_complete else "any")


def _completed(param: click.Parameter) -> list[CompletionItem]:
    return param.type.shell_complete(click.Context(click.Command("none")), param, "")


def _options(command: click.Command, *, hidden: bool) -> list[str]:
    """The rows of its options; what is hidden is offered again, whether it was given or not."""
    rows = []
    for one in command.params:
        if isinstance(one, click.Option) and one.hidden == hidden:
            kind = f"*{_kind(one).removeprefix('*')}" if hidden else _kind(one)
            rows += [f"o\t{kind}\t{name}\t{one.name}\t{one.help or ''}" for name in (*one.opts, *one.secondary_opts)]
    return rows


def table() -> str:
    """The program, each group and each command, with what may stand behind it; EVERYWHERE has the global options."""
    sections = [(EVERYWHERE, _options(load(next(iter(COMMANDS))), hidden=True))]
    for path in sorted({(), *GROUPS, *COMMANDS}):
        command = load(path) if path in COMMANDS else build_group() if path == () else group(path, GROUPS[path])
        rows = [] if path in COMMANDS else [f"c\t{name}\t{one.help}" for name, one in children(path).items()]
        rows += [*_options(command, hidden=False), *(() if path else _options(command, hidden=True))]
        for argument in command.params:
            if isinstance(argument, click.Argument):
                rows += [f"a\t{_kind(argument)}"] * max(1, argument.nargs)
        sections.append((" ".join(path), rows))
    keys = [f"v\t{one.value}\t{one.help}" for one in SettingName().shell_complete(None, None, "")]
    sections += [(f"{WORDS}{SettingName.name}", keys), (TOPICS, [f"v\t{name}\t" for name in topics.TOPICS])]
    return "".join("\n".join([f"{BREAK}{name}", *rows, ""]) for name, rows in sections)
