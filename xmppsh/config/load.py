"""Which value a setting has: option, environment, profile, config file, default. The first that has one wins."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xmppsh.config.ours import refuse_foreign_file, refuse_foreign_folder
from xmppsh.config.paths import config_file, is_named, refuse_readable_by_others
from xmppsh.config.schema import ALTERNATIVES, BY_NAME, OF_ACCOUNT, SETTINGS, Origin, Setting, Settings
from xmppsh.errors import ConfigError, UsageError, XmppshError
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xmppsh.model import Jid

Layer = tuple[Origin, "Mapping[str, Any]"]  # where its values come from, and the values
NO_FILE = Path("config.toml")  # for the sentences where no folder is known; it is never opened
YES, NO = ("1", "y", "yes", "true", "on"), ("0", "n", "no", "false", "off")


def load(options: Mapping[str, Any], env: Mapping[str, str]) -> Settings:
    """Put the layers together; raises UsageError or ConfigError.

    options: what the command line gave, parsed; a setting that was not given is absent.
    """
    path = config_file(env)
    document = {} if path is None else _read(path, is_named(path, env))
    path = path or NO_FILE
    profile_name, layers = _layers(options, env, document, path)
    layers = _for_its_own_account(layers)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for origin, layer in reversed(layers):  # the nearest last: it overwrites
        values.update(layer)
        origins.update(dict.fromkeys(layer, origin))
    values["profile"] = profile_name
    settings = Settings(**values, origins=origins, folder=path.parent)
    return settings.without(_superseded(settings, path))


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


def _layers(
    options: Mapping[str, Any], env: Mapping[str, str], document: dict[str, Any], path: Path
) -> tuple[str | None, list[Layer]]:
    environment = {setting.name: _from_env(setting, env[setting.env]) for setting in SETTINGS if env.get(setting.env)}
    profiles = document.get("profile", {})
    if not isinstance(profiles, dict):
        raise ConfigError(f"{path}: profile is not a table", hint="write [profile.NAME]")
    name = options.get("profile") or environment.get("profile") or ("default" if "default" in profiles else None)
    layers: list[Layer] = [(Origin.OPTION, options), (Origin.ENVIRONMENT, environment)]
    if name is not None:
        if name not in profiles:
            raise ConfigError(f"{path} has no [profile.{name}]", hint="xmppsh --profile NAME takes one that is there")
        layers.append((Origin.PROFILE, _from_table(profiles[name], path, f"[profile.{name}] ")))
    layers.append((Origin.CONFIG_FILE, _from_table(_without(document, "profile"), path, "")))
    return name, layers


def _without(table: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


def _read(path: Path, is_named: bool) -> dict[str, Any]:
    """The document. is_named: somebody said that it is there; else a folder that we may not enter holds none."""
    try:
        refuse_foreign_folder(path.parent, "XDG_CONFIG_HOME")
        refuse_foreign_file(path, "the config file")
        with path.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        if not is_named and isinstance(error, PermissionError) and not _is_seen(path):
            return {}
        raise ConfigError(f"{path}: {os_reason(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    profiles = document.get("profile", {})
    tables = [document, *(profiles.values() if isinstance(profiles, dict) else ())]
    if any(isinstance(table, dict) and "password" in table for table in tables):
        refuse_readable_by_others(path, "a password")
    return document


def _is_seen(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return False
    return True


def _from_env(setting: Setting, text: str) -> Any:
    if setting.flag:
        if text.lower() not in (*YES, *NO):
            raise UsageError(f"{setting.env}: {text!r} is neither yes nor no", hint="1 or 0")
        return text.lower() in YES
    try:
        return tuple(setting.parse(word) for word in text.split()) if setting.many else setting.parse(text)
    except UsageError as error:
        raise UsageError(f"{setting.env}: {error}", hint=error.hint) from None


def _from_table(table: Any, path: Path, place: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {place.strip()} is not a table")
    values: dict[str, Any] = {}
    for key, value in table.items():
        setting = BY_NAME.get(key.replace("-", "_"))
        if setting is None:
            raise ConfigError(f"{path}: {place}{key} is not a setting")
        values[setting.name] = _from_toml(setting, value, f"{path}: {place}{key}")
    return values


def _from_toml(setting: Setting, value: Any, place: str) -> Any:
    if setting.flag:
        if not isinstance(value, bool):
            raise ConfigError(f"{place} is neither true nor false")
        return value
    if not setting.many and isinstance(value, (dict, list, bool)):
        raise ConfigError(f"{place} is not a single value")
    entries = value if setting.many and isinstance(value, list) else [value]
    if not setting.is_number and not all(isinstance(entry, str) for entry in entries):
        raise ConfigError(f"{place} is not text", hint=f'{setting.key} = "…", with the quotes')
    try:
        parsed = tuple(setting.parse(str(entry)) for entry in entries)
    except XmppshError as error:
        raise ConfigError(f"{place}: {error}", hint=error.hint) from None
    return parsed if setting.many else parsed[0]
