"""`@command` turns an async handler into click's; click only parses, and gives a `Work` to run on an App."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import click

from xmppsh import __version__
from xmppsh.commands import COMMANDS
from xmppsh.config.schema import MONITORS, SETTINGS, Setting
from xmppsh.errors import UsageError, XmppshError
from xmppsh.plain import dataclass
from xmppsh.session.session_port import DryRunEnds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from click.shell_completion import CompletionItem

    from xmppsh.commands import Spec
    from xmppsh.commands.app import App as App
    from xmppsh.config.schema import Settings
    from xmppsh.output.record import Record

    Check = Callable[[Mapping[str, Any]], None]
    Ask = Callable[[App, Mapping[str, Any]], Mapping[str, str]]
    Handled = AsyncIterator[Record] | Awaitable[int | None]

OPTIONS = "xmppsh.options"  # the key in click's Context.meta


@dataclass(frozen=True)
class Work:
    """A parsed command line: the command with its facts, its handler with the arguments, and the global options."""

    name: str
    spec: Spec
    handle: Callable[[App], Handled]
    options: Mapping[str, Any]
    arguments: Mapping[str, Any]
    ask: Callable[[App], None] = lambda _: None  # before the event loop runs, where Ctrl-C ends a prompt

    async def run(self, app: App) -> int | None:
        """Carry it out, and print its records, each before the handler goes on; the exit code where it has its own."""
        handled = self.handle(app)
        with suppress(DryRunEnds):
            if isinstance(handled, Awaitable):
                return await handled
            # Whatever ends it, its own `finally` blocks run now, and not when somebody collects the garbage.
            async with aclosing(cast("AsyncGenerator[Record, None]", handled)) as records:
                async for record in records:
                    await app.print(record)
        return app.code

    @property
    def account(self) -> bool:
        """Does it log in?"""
        return self.spec.session != "none"

    @property
    def guarded(self) -> bool:
        """Does its session outlive its socket, so that a guard must watch it?"""
        return self.spec.session == "lasting" or any(self.arguments.get(name) for name in self.spec.lasting_with)

    def check_output(self) -> None:
        """Raise UsageError for an output that was asked for on this command line and that the command does not have.

        The config file and the environment speak to all commands: what does not fit one of them is not its fault.
        """
        template, as_xml = self.options.get("template"), self.options.get("format") == "xml"
        if self.options.get("format") in MONITORS and not self.spec.monitors:
            raise UsageError(f"{self.name} does not print for monitors: doctor does", hint="--format text or json")
        if template is None and not as_xml:
            return
        from xmppsh.commands.record_types import all_fields, has_xml, types_of
        from xmppsh.output.template import fields_of

        types = types_of(self.spec)
        if as_xml and not any(map(has_xml, types)):
            raise UsageError(f"{self.name} does not print XML", hint="--format text or json")
        if template is not None and not types:
            raise UsageError(f"{self.name} prints no records, so there is no template (-F) for it")
        for verb, field in fields_of(template or "").items():
            if field not in all_fields(types):
                raise UsageError(f"-F: {verb} is {field!r}, which {self.name} does not print", hint="-F %j")

    def settings(self, env: Mapping[str, str]) -> Settings:
        """The settings in force for this command line."""
        from xmppsh.config.load import load

        return load(self.options, env)


class HelpAsked(Exception):
    """`--help` was given: no error. text: the help."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def command(
    *path: str, check: Callable[[Mapping[str, Any]], None] | None = None, ask: Ask | None = None
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a click command of a handler: an async generator of records whose first argument is the App.

    One that prints nothing may be a coroutine function, and may return an exit code. check: raises UsageError for
    arguments that do not fit together. ask: gives more arguments, which are secret, for which a person may be asked.
    The registry has the other facts.
    """
    spec = COMMANDS[path]

    def make(handler: Callable[..., Handled]) -> click.Command:
        def parsed(**arguments: Any) -> Work:
            if check is not None:
                check(arguments)
            options = click.get_current_context().find_root().meta.get(OPTIONS, {})
            secrets: dict[str, str] = {}

            def handle(app: App) -> Handled:
                return handler(app, **arguments, **secrets)

            def find_secrets(app: App) -> None:
                if ask is not None:
                    secrets.update(ask(app, arguments))

            return Work(" ".join(path), spec, handle, options, arguments, find_secrets)

        parsed.__doc__ = handler.__doc__
        parameters = [*reversed(getattr(handler, "__click_params__", [])), help_option(), *global_options(hidden=True)]
        return _Command(
            path[-1],
            callback=parsed,
            params=parameters,
            help=handler.__doc__,
            short_help=spec.help,
            epilog="Options for the account, the server, trust and output: xmppsh --help",
            add_help_option=False,
        )

    return make


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
    return _asking(["-h", "--help"], "Show this and end.", lambda ctx: ctx.get_help() + "\n")


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
    if setting.name in ("ipv4", "ipv6"):
        names = [setting.short or "", setting.name]
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

    from xmppsh.commands.known import cached_addresses

    if setting.is_path:
        return [CompletionItem(incomplete, type="file")]
    if setting.name == "jid":
        own = cached_addresses({}, os.environ)
        return [CompletionItem(jid, help=about or None) for jid, about in own if jid.startswith(incomplete)]
    return [CompletionItem(word) for word in setting.choices if word.startswith(incomplete)]


def _parsed(setting: Setting, value: Any) -> Any:
    if setting.flag or setting.count:
        return value
    try:
        return tuple(setting.parse(one) for one in value) if setting.many else setting.parse(value)
    except XmppshError as error:
        prefix = "" if str(error).startswith("--") else f"{setting.option}: "
        raise UsageError(f"{prefix}{error}", hint=error.hint) from None
