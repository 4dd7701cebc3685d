"""`config`: which settings are in force and who says so, where the file is, and changing a line of it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

import click
from click.shell_completion import CompletionItem

from xmppsh.config.load import document_of, settings_of
from xmppsh.config.paths import writable_config
from xmppsh.config.proxy import Proxy
from xmppsh.config.schema import BY_NAME, SETTINGS, Origin
from xmppsh.config.values import nearest
from xmppsh.errors import UsageError
from xmppsh.output import safe
from xmppsh.output.record import NOT_JSON, Record
from xmppsh.output.verbatim import Verbatim
from xmppsh.plain import dataclass
from xmppsh.registry.base import command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.app.app import App
    from xmppsh.config.document import Document
    from xmppsh.config.schema import Setting

OriginName = Literal["option", "environment", "profile", "config file", "default"]
ORIGINS: dict[Origin, OriginName] = {
    Origin.OPTION: "option",
    Origin.ENVIRONMENT: "environment",
    Origin.PROFILE: "profile",
    Origin.CONFIG_FILE: "config file",
    Origin.DEFAULT: "default",
}
MASKED = "***"
WITH_AN_EDITOR = "set XMPPSH_PROXY, or write the line with an editor: xmppsh config path names the file"


@dataclass(frozen=True, slots=True)
class SettingRecord(Record):
    """A setting and its value in force."""

    kind: Literal["setting"] = field(default="setting", init=False)
    """What it is."""
    key: str
    """Its key in the config file, which is its long option without the dashes."""
    value: str | None
    """The value as its environment variable has it, several separated by spaces; null: none. A password is `***`."""
    origin: OriginName
    """The layer that says so."""
    where: str | None
    """The option, the variable, or the file with the line; null for a default."""
    shows_origin: bool = field(metadata=NOT_JSON, repr=False)
    """Does the text tell who says so?"""

    def text(self) -> str:
        """One line."""
        told = f"  ({safe.line(self.where or self.origin)})" if self.shows_origin else ""
        return f"{self.key} = {safe.line(self.value or '')}{told}"


class SettingName(click.ParamType["Setting"]):
    """The key of a setting."""

    name = "KEY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Setting:
        """Raises UsageError."""
        setting = BY_NAME.get(str(value).replace("-", "_"))
        if setting is None:
            near = nearest(value, [one.key for one in SETTINGS])
            raise UsageError(f"{value!r} is not a setting", hint=near or "xmppsh config show --all lists them")
        return setting

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The keys that begin so."""
        return [CompletionItem(one.key, help=one.help) for one in SETTINGS if one.key.startswith(incomplete)]


@command("config", "show")
@click.option("--origin", is_flag=True, help="Also show where each comes from: option, variable, or file and line.")
@click.option("--all", "everything", is_flag=True, help="Include settings that have their default.")
async def config_show(app: App, origin: bool, everything: bool) -> AsyncIterator[SettingRecord]:
    """Show the settings that are not at their defaults.

    Options override the environment, which overrides a profile, which overrides the file.

    Example:  xmppsh config show --origin
    """
    settings, document = app.settings, document_of(app.console.env)
    for setting in SETTINGS:
        layer = settings.origin(setting.name)
        if setting.name == "profile" and settings.profile is not None and layer is Origin.DEFAULT:
            continue  # [profile.default] is in force because it is there
        if everything or layer is not Origin.DEFAULT:
            value = " ".join(words_of(setting, getattr(settings, setting.name))) or None
            where = _where(setting, layer, document, settings.profile)
            yield SettingRecord(setting.key, value, ORIGINS[layer], where, origin)


@command("config", "path")
async def config_path(app: App) -> AsyncIterator[Verbatim]:
    """Print where the config file is, or would be.

    Example:  $EDITOR "$(xmppsh config path)"
    """
    yield Verbatim(str(writable_config(app.console.env)))


def _fits(arguments: Any) -> None:
    setting, values, unset = arguments["setting"], arguments["values"], arguments["unset"]
    if setting.name == "password":
        raise UsageError("a password is never given on the command line", hint="xmppsh login, or password-command")
    if setting.name == "profile":
        raise UsageError("profile is not a key of the file", hint="--profile NAME before config set writes to it")
    if bool(values) == unset or (len(values) > 1 and not setting.many):
        raise UsageError(f"{setting.key} takes one value", hint=f"xmppsh config set {setting.key} {setting.metavar}")


@command("config", "set", check=_fits)
@click.argument("setting", metavar="KEY", type=SettingName())
@click.argument("values", metavar="[VALUE]…", nargs=-1)
@click.option("--unset", is_flag=True, help="Remove the key.")
async def config_set(app: App, setting: Setting, values: tuple[str, ...], unset: bool) -> None:
    """Change a line of the config file, or of a profile with -P NAME; all other lines stay as they are.

    Example:  xmppsh config set connect-timeout 30s
    """
    from xmppsh.config.edit import alone, changed, write

    app.refuse_dry_run("config set changes a file")
    profile = app.settings.profile if app.settings.origin("profile") < Origin.DEFAULT else None
    if setting.is_path:  # in the file it would be relative to that
        values = tuple(one if one.startswith("~") else str(app.console.path(one).absolute()) for one in values)
    value = None if unset else _value(setting, values)
    with alone(writable_config(app.console.env)):
        document = document_of(app.console.env)
        key = setting.key if document.line(setting.name, profile) is None else setting.name
        new = changed(document, key, value, profile)
        settings_of({} if profile is None else {"profile": profile}, {}, new)  # a fault is told before it is written
        write(new)


def _value(setting: Setting, values: tuple[str, ...]) -> bool | str | list[str]:
    if not setting.flag:
        for value in values:
            parsed = setting.parse(value)  # a usage error here, and no fault of the file
            if isinstance(parsed, Proxy) and parsed.password:
                raise UsageError("a proxy's password is never set on the command line", hint=WITH_AN_EDITOR)
        return list(values) if setting.many and len(values) > 1 else values[0]
    if values[0] not in ("true", "false"):
        raise UsageError(f"{setting.key} is true or false", hint=f"xmppsh config set {setting.key} true")
    return values[0] == "true"


def _where(setting: Setting, layer: Origin, document: Document, profile: str | None) -> str | None:
    match layer:
        case Origin.DEFAULT:
            return None
        case Origin.OPTION:
            return setting.option
        case Origin.ENVIRONMENT:
            return setting.env
    table = profile if layer is Origin.PROFILE else None
    line = document.line(setting.key, table) or document.line(setting.name, table)
    return str(document.path) if line is None else f"{document.path}:{line}"


def words_of(setting: Setting, value: Any) -> list[str]:
    """The words that would give the value again; of what is secret only that it is there."""
    match value:
        case None | ():
            return []
        case _ if setting.name == "password":
            return [MASKED]
        case bool():
            return ["true" if value else "false"]
        case float():
            return [f"{value:g}"]
        case tuple():
            return [_one(setting.name, one) for one in value]
    return [str(value)]


def _one(name: str, value: Any) -> str:
    """One of several values."""
    match name:
        case "pin":
            return f"sha256:{value}"
        case "resolve":
            return f"{value.name}:{value.port}:{','.join(value.addresses)}"
        case "dns":
            return ",".join(_place(*server) for server in value)
    return _place(*value)


def _place(host: str, port: int | None) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"
