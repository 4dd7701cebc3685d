"""The command line's root: what it means to give no command, and how the words are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from xmppsh.registry.base import HelpAsked, NothingAsked
from xmppsh.registry.clicked import usage_error
from xmppsh.registry.groups import WIDTH, Root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.errors import UsageError
    from xmppsh.registry.base import Work


def build_group() -> Root:
    """The root command."""
    return Root(_without_command)


def _without_command(options: Mapping[str, Any]) -> list[str] | None:
    """At a terminal and with a known account the shell opens, as psql does."""
    from xmppsh.config.load import load

    if not all(os.isatty(fd) for fd in (0, 1)):
        return None
    return ["connect"] if load(options, os.environ).jid is not None else None


def parse(arguments: list[str]) -> Work | str:
    """Read a command line: what to do, or the text of the help that was asked for.

    Raises UsageError, and NothingAsked where there are no words.
    """
    try:
        work: Work = build_group().main(
            args=arguments, prog_name="xmppsh", standalone_mode=False, max_content_width=WIDTH, terminal_width=WIDTH
        )
    except HelpAsked as asked:
        return asked.text
    except click.exceptions.NoArgsIsHelpError as error:
        raise NothingAsked(error.format_message() + "\n") from None
    except click.ClickException as error:
        raise _usage_error(error) from None
    except click.Abort:
        raise KeyboardInterrupt from None
    return work


def _usage_error(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "xmppsh"
    return usage_error(error, f"{path} --help")
