"""`@command` turns an async handler into click's; click only parses, and gives a `Work` to run on an App."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from xmppsh.config.schema import SETTINGS, Setting
from xmppsh.errors import UsageError, XmppshError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from xmppsh.commands.app import App as App
    from xmppsh.config.load import Settings

OPTIONS = "xmppsh.options"  # the key in click's Context.meta


@dataclass(frozen=True)
class Work:
    """A parsed command line: which handler with which arguments; `account` when it logs in, `guarded` when its session
    outlives its socket."""

    name: str
    run: Callable[[App], Awaitable[None]]
    account: bool
    guarded: bool
    options: Mapping[str, Any]

    def settings(self, env: Mapping[str, str]) -> Settings:
        """The settings in force for this command line."""
        from xmppsh.config.load import load

        return load(self.options, env)


def command(
    name: str, short_help: str, *, account: bool = True, guarded: bool = False
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a click command of an async handler whose first argument is the App."""

    def make(handler: Callable[..., Awaitable[None]]) -> click.Command:
        def parsed(**arguments: Any) -> Work:
            options = click.get_current_context().find_root().meta.get(OPTIONS, {})
            return Work(name, lambda app: handler(app, **arguments), account, guarded, options)

        parsed.__doc__ = handler.__doc__
        parameters = [*reversed(getattr(handler, "__click_params__", [])), *global_options(hidden=True)]
        return click.Command(
            name,
            callback=parsed,
            params=parameters,
            help=handler.__doc__,
            short_help=short_help,
            epilog="Options for the account, the connection and the output: xmppsh --help",
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    return make


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """An option for each setting; they stand before or after the command name."""
    return [_option(setting, hidden=hidden) for setting in SETTINGS if not setting.file_only]


def _option(setting: Setting, *, hidden: bool) -> click.Option:
    def remember(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value not in (None, (), False, 0):
            given = ctx.find_root().meta.setdefault(OPTIONS, {})
            given[setting.name] = _parsed(setting, value)

    names = [*([setting.short] if setting.short else []), setting.option, setting.name]
    if setting.name in ("ipv4", "ipv6"):
        names = [setting.short or "", setting.name]
    kinds: dict[str, Any] = {"is_flag": True} if setting.flag else {"count": True} if setting.count else {}
    if not kinds:
        kinds = {"metavar": setting.metavar, "multiple": setting.many, "type": str, "default": None}
    help_text = f"{setting.help} [{setting.env}]"
    return click.Option(names, help=help_text, expose_value=False, callback=remember, hidden=hidden, **kinds)


def _parsed(setting: Setting, value: Any) -> Any:
    if setting.flag or setting.count:
        return value
    try:
        return tuple(setting.parse(one) for one in value) if setting.many else setting.parse(value)
    except XmppshError as error:
        prefix = "" if str(error).startswith("--") else f"{setting.option}: "
        raise UsageError(f"{prefix}{error}", hint=error.hint) from None
