"""`@command` makes a `Command` of an async handler; its words, once they are read, give a `Work` to run on an App."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from xmppsh.app.ports import DryRunEnds
from xmppsh.config.schema import MONITORS
from xmppsh.errors import UsageError
from xmppsh.plain import dataclass
from xmppsh.registry import COMMANDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import Any

    import click

    from xmppsh.app.app import App as App
    from xmppsh.config.schema import Settings
    from xmppsh.output.record import Record
    from xmppsh.registry import Path, Spec

    Check = Callable[[Mapping[str, Any]], None]
    Ask = Callable[[App, Mapping[str, Any]], Mapping[str, str]]
    Lacks = Callable[[Mapping[str, Any]], Mapping[str, str]]
    Handled = AsyncIterator[Record] | Awaitable[int | None]
    Handler = Callable[..., Handled]

OPTIONS = "xmppsh.options"  # the key in click's Context.meta
WITHOUT_CONFIG = ("config path", "help", "schema", "completion")  # they serve where the config file has a fault, too


@dataclass(frozen=True)
class Work:
    """A parsed command line: the command with its facts, its handler with the arguments, and the global options.

    lacks: gives the types of records that these arguments leave out, each with the option that it needs.
    """

    name: str
    spec: Spec
    handle: Callable[[App], Handled]
    options: Mapping[str, Any]
    arguments: Mapping[str, Any]
    ask: Callable[[App], None] = lambda _: None  # before the event loop runs, where Ctrl-C ends a prompt
    lacks: Lacks = lambda _: {}

    async def run(self, app: App) -> int | None:
        """Carry it out, and print its records, each before the handler goes on; the exit code where it has its own."""
        handled = self.handle(app)
        with suppress(DryRunEnds):
            if isinstance(handled, Awaitable):
                return await handled
            # Whatever ends it, its own `finally` blocks run now, and not when somebody collects the garbage.
            generator: Any = handled
            async with aclosing(generator) as records:
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
        from xmppsh.output.schema import name_of
        from xmppsh.output.template import fields_of
        from xmppsh.registry.record_types import all_fields, types_of

        types, lacks = types_of(self.spec), self.lacks(self.arguments)
        if template is not None and not types:
            raise UsageError(f"{self.name} prints no records, so there is no template (-F) for it")
        found = all_fields([one for one in types if name_of(one) not in lacks])
        left_out = {key: lacks[name_of(one)] for one in types if name_of(one) in lacks for key in all_fields([one])}
        if as_xml and "xml" not in found:
            needed = left_out.get("xml")
            raise UsageError(
                f"{self.name} does not print XML{_without(needed)}", hint=needed or "--format text or json"
            )
        for verb, field in fields_of(template or "").items():
            if field not in found:
                needed = left_out.get(field)
                sentence = f"-F: {verb} is {field!r}, which {self.name} does not print{_without(needed)}"
                raise UsageError(sentence, hint=needed or "-F %j")

    def settings(self, env: Mapping[str, str]) -> Settings:
        """The settings in force for this command line; raises UsageError or ConfigError."""
        from xmppsh.config.load import load, without_file

        return (without_file if self.name in WITHOUT_CONFIG else load)(self.options, env)


def _without(option: str | None) -> str:
    return "" if option is None else f" without {option}"


class HelpAsked(Exception):
    """`--help` was given: no error. text: the help."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class NothingAsked(Exception):
    """The command line has no words. help: what to show on stderr."""

    def __init__(self, help_text: str) -> None:
        super().__init__(help_text)
        self.help = help_text


@dataclass(frozen=True)
class Declared:
    """An option or an argument, with the facts that click's own decorators take.

    `type` and `shell_complete` are names of types of params.py, or `type` has the words that it may be, so that click
    need not be loaded where the words can be read without it (words.py). `setting` is a fact of ours: the value is not
    the handler's, it is that of the setting of this name, under a shorter name.
    """

    is_option: bool
    names: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the handler's parameter."""
        given = [name for name in self.names if not name.startswith("-")]
        return given[0] if given else max(self.names, key=len).lstrip("-").replace("-", "_")


def option(*names: str, **facts: Any) -> Callable[[Handler], Handler]:
    """Declare an option of a command; the same as click's."""
    return _declaring(Declared(True, names, facts))


def argument(name: str, **facts: Any) -> Callable[[Handler], Handler]:
    """Declare an argument of a command; the same as click's."""
    return _declaring(Declared(False, (name,), facts))


def _declaring(declared: Declared) -> Callable[[Handler], Handler]:
    def declare(handler: Handler) -> Handler:
        handler.__dict__.setdefault("__click_params__", []).append(declared)  # where click's decorators put theirs
        return handler

    return declare


class Command:
    """A handler with what is known of its command line. help: its docstring."""

    def __init__(self, path: Path, handler: Handler, check: Check | None, ask: Ask | None, lacks: Lacks | None) -> None:
        self.path, self.spec, self.help = path, COMMANDS[path], handler.__doc__
        self.parameters: list[Declared | click.Parameter] = [*reversed(handler.__dict__.get("__click_params__", []))]
        self._handler, self._check, self._ask, self._lacks = handler, check, ask, lacks or (lambda _: {})

    def work(self, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> Work:
        """What is to be done, once the words are read; raises UsageError."""
        if self._check is not None:
            self._check(arguments)
        secrets: dict[str, str] = {}

        def handle(app: App) -> Handled:
            return self._handler(app, **arguments, **secrets)

        def find_secrets(app: App) -> None:
            if self._ask is not None:
                secrets.update(self._ask(app, arguments))

        return Work(" ".join(self.path), self.spec, handle, options, arguments, find_secrets, self._lacks)


def command(
    *path: str, check: Check | None = None, ask: Ask | None = None, lacks: Lacks | None = None
) -> Callable[[Handler], Command]:
    """Make a command of a handler: an async generator of records whose first argument is the App.

    One that prints nothing may be a coroutine function, and may return an exit code. check: raises UsageError for
    arguments that do not fit together. ask: gives more arguments, which are secret, for which a person may be asked.
    lacks: gives the types of records that these arguments leave out, by name, each with the option that it needs.
    The registry has the other facts.
    """
    return lambda handler: Command(path, handler, check, ask, lacks)
