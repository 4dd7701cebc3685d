"""Which value a setting has: option, environment, profile, config file, default. The first that has one wins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.config.document import Document, read
from xmppsh.config.paths import config_file, is_named
from xmppsh.config.schema import ALTERNATIVES, BY_NAME, OF_ACCOUNT, SETTINGS, Origin, Setting, Settings
from xmppsh.config.values import nearest
from xmppsh.errors import ConfigError, UsageError, XmppshError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from xmppsh.model import Jid

Layer = tuple[Origin, "Mapping[str, Any]"]  # where its values come from, and the values
NO_FILE = Path("config.toml")  # for the sentences where no folder is known; it is never opened
BEGINS_PROFILE = "[profile.NAME] begins a profile"
YES, NO = ("1", "y", "yes", "true", "on"), ("0", "n", "no", "false", "off")


def load(options: Mapping[str, Any], env: Mapping[str, str]) -> Settings:
    """Put the layers together; raises UsageError or ConfigError.

    options: what the command line gave, parsed; a setting that was not given is absent.
    """
    return settings_of(options, env, document_of(env))


def without_file(options: Mapping[str, Any], env: Mapping[str, str]) -> Settings:
    """The same without the config file and its profiles."""
    nothing = {"profile": None}
    return settings_of({**options, **nothing}, {**env, "XMPPSH_PROFILE": ""}, Document(config_file(env) or NO_FILE))


def settings_of(options: Mapping[str, Any], env: Mapping[str, str], document: Document) -> Settings:
    """The same with this document as the config file."""
    profile_name, layers = _layers(options, env, document)
    layers = _for_its_own_account(layers)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for origin, layer in reversed(layers):  # the nearest last: it overwrites
        values.update(layer)
        origins.update(dict.fromkeys(layer, origin))
    values["profile"] = profile_name
    settings = Settings(**values, origins=origins, folder=document.path.parent)
    return settings.without(_superseded(settings, document.path))


def document_of(env: Mapping[str, str]) -> Document:
    """The config file; an empty document where there is none. Raises ConfigError."""
    path = config_file(env)
    return Document(NO_FILE) if path is None else read(path, env, is_named(path, env))


def _for_its_own_account(layers: Sequence[Layer]) -> list[Layer]:
    """The layers without what proves who another account is.

    What stands in a file beside a `jid` serves that bare JID alone: no other server ever gets alice's password. A
    profile without a `jid` has the one of the file that it belongs to.
    """
    jid = _jid_of(layers)
    kept: list[Layer] = []
    for place, (origin, layer) in enumerate(layers):
        owner = _jid_of(layers[place:])
        if origin > Origin.ENVIRONMENT and jid is not None and owner is not None and owner.bare != jid.bare:
            layer = {name: value for name, value in layer.items() if name not in OF_ACCOUNT}
        kept.append((origin, layer))
    return kept


def _jid_of(layers: Sequence[Layer]) -> Jid | None:
    return next((layer["jid"] for _, layer in layers if "jid" in layer), None)


def _superseded(settings: Settings, path: Path) -> list[str]:
    """What a nearer layer puts out of force; raises UsageError or ConfigError where no layer is the nearer one."""
    superseded: list[str] = []
    for group in ALTERNATIVES:
        given = [name for name in group if getattr(settings, name) != BY_NAME[name].default]
        nearest = min(map(settings.origin, given), default=Origin.OPTION)
        superseded += [name for name in given if settings.origin(name) > nearest]
    if settings.ipv4 and settings.ipv6 and settings.origin("ipv4") == settings.origin("ipv6"):
        if settings.origin("ipv4") is Origin.OPTION:
            raise UsageError("-4 and -6 exclude each other")
        both = f"{settings.source('ipv4')} and {settings.source('ipv6')} exclude each other"
        raise UsageError(both) if settings.origin("ipv4") is Origin.ENVIRONMENT else ConfigError(f"{path}: {both}")
    return superseded


def _layers(options: Mapping[str, Any], env: Mapping[str, str], document: Document) -> tuple[str | None, list[Layer]]:
    environment = {setting.name: _from_env(setting, env[setting.env]) for setting in SETTINGS if env.get(setting.env)}
    profiles = document.tables.get("profile", {})
    if not isinstance(profiles, dict):
        raise ConfigError(f"{document.place('profile')} is not a table", hint="write [profile.NAME]")
    for key, table in profiles.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{document.place_in_profiles(key)} is not a profile", hint=BEGINS_PROFILE)
    name = options.get("profile") or environment.get("profile") or ("default" if "default" in profiles else None)
    layers: list[Layer] = [(Origin.OPTION, options), (Origin.ENVIRONMENT, environment)]
    if name is not None:
        if name not in profiles:
            others = f", or one that is there: {', '.join(profiles)}" if profiles else ""
            from shlex import quote

            raise ConfigError(
                f"{document.path} has no [profile.{name}]", hint=f"xmppsh login JID --as {quote(name)} makes it{others}"
            )
        layers.append((Origin.PROFILE, _from_table(profiles[name], document, name)))
    layers.append((Origin.CONFIG_FILE, _from_table(_without(document.tables, "profile"), document, None)))
    return name, layers


def _without(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


def _from_env(setting: Setting, text: str) -> Any:
    if setting.flag:
        if text.lower() not in (*YES, *NO):
            raise UsageError(f"{setting.env}: {text!r} is neither yes nor no", hint="1 or 0")
        return text.lower() in YES
    try:
        return tuple(setting.parse(word) for word in text.split()) if setting.many else setting.parse(text)
    except UsageError as error:
        raise UsageError(f"{setting.env}: {_reason(error, setting)}", hint=error.hint) from None


def _from_table(table: Mapping[str, Any], document: Document, profile: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in table.items():
        setting = BY_NAME.get(key.replace("-", "_"))
        if setting is None:
            hint = BEGINS_PROFILE if isinstance(value, dict) else _nearest(key)
            raise ConfigError(f"{document.place(key, profile)} is not a setting", hint=hint)
        if setting.name in values:
            raise ConfigError(f"{document.place(key, profile)} is there twice", hint=f"{setting.key}, once")
        values[setting.name] = _from_toml(setting, value, document.place(key, profile))
    return values


def _nearest(key: str) -> str:
    near = nearest(key, [setting.key for setting in SETTINGS])
    return f"{near} = …" if near else "xmppsh help environment lists the settings"


def _from_toml(setting: Setting, value: Any, place: str) -> Any:
    if setting.flag:
        if not isinstance(value, bool):
            raise ConfigError(f"{place} is neither true nor false")
        return value
    if not setting.many and isinstance(value, bool):
        raise ConfigError(f"{place} does not take true or false")
    if not setting.many and isinstance(value, (dict, list)):
        raise ConfigError(f"{place} is not a single value")
    entries = value if setting.many and isinstance(value, list) else [value]
    if not setting.is_number and not all(isinstance(entry, str) for entry in entries):
        raise ConfigError(f"{place} is not text", hint=f'{setting.key} = "…", with the quotes')
    try:
        parsed = tuple(setting.parse(str(entry)) for entry in entries)
    except XmppshError as error:
        raise ConfigError(f"{place}: {_reason(error, setting)}", hint=error.hint) from None
    return parsed if setting.many else parsed[0]


def _reason(error: XmppshError, setting: Setting) -> str:
    """What is wrong, without the option's name: it was given in another way."""
    return str(error).removeprefix(f"{setting.option}: ")
