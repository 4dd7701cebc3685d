"""The tree of commands as click sees it, made from the registry: a command is imported when it is named."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from xmppsh.config.schema import SETTING_GROUPS, SETTINGS
from xmppsh.errors import UsageError, XmppshError
from xmppsh.output.failure import lacking
from xmppsh.registry import COMMANDS, SECTIONS, Group, Path, Spec, children
from xmppsh.registry.base import OPTIONS
from xmppsh.registry.clicked import click_command, global_options, help_option, hidden_options
from xmppsh.registry.kinds import is_account, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from click.shell_completion import CompletionItem

WIDTH = 80  # columns of every help text


def load(path: Path) -> click.Command:
    """Import a command of the registry; raises XmppshError (70) when its module cannot be imported."""
    try:
        module = importlib.import_module(COMMANDS[path].module)
    except ImportError as error:
        raise lacking(error) or XmppshError(
            f"xmppsh {' '.join(path)} cannot be loaded: {error}", hint="install xmppsh again: something is missing"
        ) from error
    return click_command(getattr(module, "_".join(path).replace("-", "_")))


class CommandGroup(click.Group):
    """The commands below a path of the registry."""

    def __init__(self, path: Path, **attributes: Any) -> None:
        super().__init__(path[-1] if path else "xmppsh", add_help_option=False, **attributes)
        self.path = path

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of what stands directly below."""
        return list(children(self.path))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, or make one group."""
        below = children(self.path).get(cmd_name)
        if below is None:
            return None
        path = (*self.path, cmd_name)
        return load(path) if isinstance(below, Spec) else group(path, below)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UsageError for a name that is no command, with the one that was meant."""
        if args and args[0] not in children(self.path):
            raise unknown(args[0], children(self.path), self.path)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """The commands and options that begin so, from the registry: no command is imported for it."""
        from click.shell_completion import CompletionItem

        rows = [(name, below.help) for name, below in children(self.path).items() if name.startswith(incomplete)]
        options = [*click.Command.shell_complete(self, ctx, incomplete), *hidden_options(self, ctx, incomplete)]
        return [*(CompletionItem(name, help=about) for name, about in rows), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, from the registry alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, below.help) for name, below in children(self.path).items()])


def group(path: Path, facts: Group) -> CommandGroup:
    """A group of the registry."""
    return CommandGroup(
        path,
        help=facts.help,
        params=[help_option(), *global_options(hidden=True)],
        epilog=f"xmppsh {' '.join(path)} COMMAND --help shows more about one of them.",
    )


def unknown(name: str, known: Iterable[str], path: Path = (), prefix: str = "xmppsh ") -> UsageError:
    """The error for a word that is no command.

    known: the words that could stand here; prefix: what the user writes before a command.
    """
    import difflib  # nobody mistypes all the time

    near = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    whole = " ".join([*path, name])
    if near:
        asked = prefix + " ".join([*path, near[0]])
    else:
        asked = " ".join(("/help", *path) if prefix == "/" else ("xmppsh", *path, "--help"))
    return UsageError(f"{whole!r} is not a command", hint=asked)


class Root(CommandGroup):
    """`xmppsh`: the global options, an address in the place of a command, and the commands in sections.

    without_command: what to do when no command is given: its words, or None to show the help.
    """

    def __init__(self, without_command: Callable[[dict[str, Any]], list[str] | None]) -> None:
        super().__init__(
            (),
            params=[help_option(), *global_options(hidden=False)],
            help="The command-line shell for XMPP.\n\nxmppsh user@host opens the shell; each command works there too.",
            epilog="More: xmppsh help COMMAND, or exit-codes, formats, environment, recipes.",
            no_args_is_help=False,
        )
        self._without_command = without_command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the global options; `JID COMMAND…` is `-j JID COMMAND…`, and `JID` alone is `connect JID`."""
        given = list(args)
        rest = super().parse_args(ctx, args)
        # click keeps the command's name apart from its words in this private list (8.5), and offers no other way
        # to put a command there; without the list this raises AttributeError.
        words = [*ctx._protected_args, *rest]
        if words and words[0] not in children(()) and is_account(words[0]):
            ctx._protected_args, ctx.args = [], []
            if not any(word in children(()) for word in words[1:]) and not ctx.resilient_parsing:
                return self._set_words(ctx, ["connect", *words])
            ctx.meta.setdefault(OPTIONS, {})["jid"] = parse_address(words[0])
            return super().parse_args(ctx, words[1:])
        if not words and not ctx.resilient_parsing:
            instead = self._without_command(ctx.meta.get(OPTIONS, {}))
            if instead is None:
                if not given:
                    raise click.exceptions.NoArgsIsHelpError(ctx)
                raise UsageError("no command is given", hint="xmppsh --help")
            return self._set_words(ctx, instead)
        return rest

    @staticmethod
    def _set_words(ctx: click.Context, words: list[str]) -> list[str]:
        ctx._protected_args, ctx.args = words[:1], words[1:]
        return ctx.args

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, the commands by section, then the options by group."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        for section, title in SECTIONS.items():
            rows = [(name, below.help) for name, below in children(()).items() if below.section == section]
            with formatter.section(title):
                formatter.write_dl(rows)
        by_name = {param.name: param for param in self.get_params(ctx)}
        for name, title in SETTING_GROUPS.items():
            names = [setting.name for setting in SETTINGS if setting.group == name and setting.name in by_name]
            records = [by_name[one].get_help_record(ctx) for one in names]
            with formatter.section(title):
                formatter.write_dl([record for record in records if record is not None])
        with formatter.section("Other options"):
            formatter.write_dl([("-V, --version", "Show the version."), ("-h, --help", "Show this help and exit.")])
        self.format_epilog(ctx, formatter)
