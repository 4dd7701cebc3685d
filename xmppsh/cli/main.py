"""The command line's root: global options, and the commands, each imported when it is named."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from xmppsh.commands import COMMANDS
from xmppsh.commands.base import global_options

if TYPE_CHECKING:
    from xmppsh.commands.base import Work


class LazyGroup(click.Group):
    """Lists commands without importing them; `xmppsh user@host` is `xmppsh connect user@host`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry.module), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """An address in the place of a command means `connect`."""
        if args and args[0] not in COMMANDS and ("@" in args[0] or args[0].lower().startswith("xmpp:")):
            args = ["connect", *args]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, from the list alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def build_group() -> LazyGroup:
    """The root command."""
    return LazyGroup(
        "xmppsh",
        params=global_options(hidden=False),
        help="The command-line shell for XMPP.\n\nxmppsh user@host opens the shell; each command works there too.",
        epilog="Exit codes, formats and examples: the manual. A command's own options: xmppsh COMMAND --help",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        no_args_is_help=True,
    )


def parse(arguments: list[str]) -> Work | None:
    """Read a command line; None when it asked for help or the like and has its answer. Raises click's exceptions."""
    result: Any = build_group().main(args=arguments, prog_name="xmppsh", standalone_mode=False)
    return result if not isinstance(result, int) else None
