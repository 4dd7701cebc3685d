"""Commands as click has them: their help, their completion, and the words that words.py leaves to it."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import click

from xmppsh import __version__
from xmppsh.config.schema import SETTINGS, Setting
from xmppsh.config.values import nearest
from xmppsh.errors import UsageError, XmppshError
from xmppsh.registry import params
from xmppsh.registry.base import OPTIONS, Declared, HelpAsked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from click.shell_completion import CompletionItem

    from xmppsh.registry.base import Command, Work


@cache
def click_command(command: Command) -> click.Command:
    """A command of ours for click, which gives its `Work`."""

    def parsed(**arguments: Any) -> Work:
        return command.work(arguments, click.get_current_context().find_root().meta.get(OPTIONS, {}))

    own = [_parameter(one) if isinstance(one, Declared) else one for one in command.parameters]
    return _Command(
        command.path[-1],
        callback=parsed,
        params=[*own, help_option(), *global_options(hidden=True)],
        help=command.help,
        short_help=command.spec.help,
        epilog="Options for the account, the server, trust and output: xmppsh --help",
        add_help_option=False,
    )


def _parameter(declared: Declared) -> click.Parameter:
    facts = dict(declared.facts)
    if (kind := facts.get("type")) is not None:
        facts["type"] = params.BY_NAME[kind] if isinstance(kind, str) else click.Choice(kind)
    if (kind := facts.get("shell_complete")) is not None:
        facts["shell_complete"] = params.BY_NAME[kind].shell_complete
    if (setting := facts.pop("setting", None)) is not None:
        facts |= {"callback": _remembering(setting), "expose_value": False}
    return click.Option(declared.names, **facts) if declared.is_option else click.Argument(declared.names, **facts)


def _remembering(setting: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def remember(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value is not None:
            ctx.find_root().meta.setdefault(OPTIONS, {})[setting] = value

    return remember


class _Command(click.Command):
    """A command whose global options complete as its own do, though its help leaves them out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words; an error of click's parser knows whose they are, so that its hint names this help."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """The options that begin so."""
        return [*super().shell_complete(ctx, incomplete), *hidden_options(self, ctx, incomplete)]


def hidden_options(command: click.Command, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """The options that begin so and that the help does not list."""
    from click.shell_completion import CompletionItem

    if not incomplete.startswith("-"):
        return []
    return [
        CompletionItem(name, help=param.help)
        for param in command.get_params(ctx)
        if isinstance(param, click.Option) and param.hidden
        for name in param.opts
        if name.startswith(incomplete)
    ]


def help_option() -> click.Option:
    """`-h`, `--help`: raises HelpAsked; click's own would print by itself."""
    return _asking(["-h", "--help"], "Show this help and exit.", lambda ctx: ctx.get_help() + "\n")


def _version_option() -> click.Option:
    return _asking(["-V", "--version"], "Show the version.", lambda _: f"xmppsh {__version__}\n", hidden=True)


def _asking(
    names: list[str], about: str, text: Callable[[click.Context], str], *, hidden: bool = False
) -> click.Option:
    """An option that shows a text, and nothing else is done."""

    def show(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            raise HelpAsked(text(ctx))

    return click.Option(
        names, is_flag=True, is_eager=True, expose_value=False, callback=show, help=about, hidden=hidden
    )


def usage_error(error: click.ClickException, asked: str, place: str = "") -> UsageError:
    """What click found wrong with a command line. To try: the option that was meant, otherwise the help, as `asked`."""
    if not isinstance(error, click.NoSuchOption):
        return UsageError(place + " ".join(error.format_message().split()).rstrip("."), hint=asked)
    near = nearest(error.option_name.lstrip("-"), [one.lstrip("-") for one in error.possibilities or ()])
    if not near and error.ctx is not None and any(one.nargs == -1 for one in error.ctx.command.params):
        asked += ", or -- before words that begin with -"
    return UsageError(place + error.message.rstrip("."), hint=f"--{near}" if near else asked)


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """An option for each setting; they stand before or after the command name, and so does --version."""
    return [*(_option(setting, hidden=hidden) for setting in SETTINGS if not setting.file_only), _version_option()]


class _GlobalOption(click.Option):
    """An option that is there twice in each command line, and mostly not given: then there is nothing to work out."""

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Remember the value, when there is one."""
        return super().handle_parse_result(ctx, opts, args) if self.name in opts else (None, args)


def _option(setting: Setting, *, hidden: bool) -> click.Option:
    def remember(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value not in (None, (), False, 0):
            given = ctx.find_root().meta.setdefault(OPTIONS, {})
            given[setting.name] = _parsed(setting, value)

    names = [*([setting.short] if setting.short else []), setting.option, setting.name]
    kinds: dict[str, Any] = {"is_flag": True} if setting.flag else {"count": True} if setting.count else {}
    if not kinds:
        kinds = {"metavar": setting.metavar, "multiple": setting.many, "type": str, "default": None}
    help_text = f"{setting.help} [{setting.env}]"
    complete = None if setting.flag or setting.count else partial(_complete_setting, setting)
    return _GlobalOption(
        names,
        help=help_text,
        expose_value=False,
        callback=remember,
        hidden=hidden,
        shell_complete=complete,
        **kinds,
    )


def _complete_setting(
    setting: Setting, ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    from click.shell_completion import CompletionItem

    if setting.is_path:
        return [CompletionItem(incomplete, type="file")]
    if setting.name == "jid":
        return params.JID.shell_complete(ctx, param, incomplete)
    return [CompletionItem(word) for word in setting.choices if word.startswith(incomplete)]


def _parsed(setting: Setting, value: Any) -> Any:
    if setting.flag or setting.count:
        return value
    try:
        return tuple(setting.parse(one) for one in value) if setting.many else setting.parse(value)
    except XmppshError as error:
        prefix = "" if str(error).startswith("--") else f"{setting.option}: "
        raise UsageError(f"{prefix}{error}", hint=error.hint) from None
