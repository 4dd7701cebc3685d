"""Reads a plain command line by the table of a command's parameters, without click: to import that takes longer than to
log in. Whatever is not plain (help, a fault, an abbreviation, a type of click's own) is left to click, which has the
same table (clicked.py): each option is defined once, and one place finds fault."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from xmppsh.config.schema import SETTINGS, Setting
from xmppsh.errors import XmppshError
from xmppsh.registry import COMMANDS
from xmppsh.registry.base import Command, Declared
from xmppsh.registry.kinds import READERS, is_account, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from xmppsh.registry.base import Work

PLAIN = ("send", "ping", "iq", "connect")  # what is quick otherwise, and is declared without click


class NotPlain(Exception):
    """Click is to read it."""


def plain_work(words: list[str]) -> Work | None:
    """What a command line wants, or None where click has to read it."""
    if not any(name in words for name in PLAIN):
        return None
    try:
        options, name, left = _before_command(words)
        command: Command = getattr(importlib.import_module(COMMANDS[name,].module), name)
        given, rest = _split(command, left)
        options |= _settings(given)
        arguments = dict(_arguments(command, given, rest))
        for one in command.parameters:
            if isinstance(one, Declared) and "setting" in one.facts and (value := arguments.pop(one.name)) is not None:
                options[one.facts["setting"]] = value
    except (NotPlain, XmppshError):  # click tells of it
        return None
    return command.work(arguments, options)


def _before_command(words: list[str]) -> tuple[dict[str, Any], str, list[str]]:
    """The settings that stand before the command, which may be an address as well; its name, and what follows it."""
    settings: dict[str, Any] = {}
    given: dict[str, list[str]] = {}
    left = iter(words)
    for word in left:
        if word[:1] == "-":
            _take(word, left, _setting_options(), given)
            continue
        settings, given = settings | _settings(given), {}  # what stands later counts
        if word in PLAIN:
            return settings, word, [*left]
        if (word,) in COMMANDS or not is_account(word) or "jid" in settings:
            break
        settings["jid"] = parse_address(word)
    raise NotPlain


def _setting_options() -> dict[str, tuple[str, bool]]:
    """Under which name each option of the settings is kept, and whether it is a flag."""
    options: dict[str, tuple[str, bool]] = {}
    for setting in SETTINGS:
        if not setting.file_only:
            names = filter(None, [setting.short, setting.option])
            options |= dict.fromkeys(names, (setting.option, setting.flag or setting.count))
    return options


def _split(command: Command, words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The texts that each option was given (a flag's are empty), a setting's by its long option; and the arguments."""
    options = _setting_options()
    for one in command.parameters:
        if not isinstance(one, Declared):
            raise NotPlain
        if one.is_option and "flag_value" not in one.facts:  # one that may stand without a value is not plain
            options |= {name: (one.name, "is_flag" in one.facts) for name in one.names if name.startswith("-")}
    given: dict[str, list[str]] = {}
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            rest += left
        elif word[:1] != "-" or word == "-":
            rest.append(word)
        else:
            _take(word, left, options, given)
    return given, rest


def _take(word: str, left: Iterator[str], options: dict[str, tuple[str, bool]], given: dict[str, list[str]]) -> None:
    """Note an option, with its value where it has one."""
    name, equals, text = word.partition("=") if word.startswith("--") else (word, "", "")
    if name not in options or (equals and options[name][1]):
        raise NotPlain
    key, is_flag = options[name]
    given.setdefault(key, []).append(text if equals else "" if is_flag else _next(left))


def _next(words: Iterator[str]) -> str:
    for word in words:
        return word
    raise NotPlain


def _arguments(command: Command, given: dict[str, list[str]], rest: list[str]) -> Iterator[tuple[str, Any]]:
    """What the handler gets."""
    left = iter(rest)
    for one in command.parameters:
        assert isinstance(one, Declared)
        facts = one.facts
        if one.is_option:
            yield one.name, _option(one, given.get(one.name, []))
        elif facts.get("nargs") == -1:
            if not (words := tuple(left)):
                raise NotPlain
            yield one.name, words
        else:
            text = next(left, None)
            if text is None and facts.get("required", True):
                raise NotPlain
            yield one.name, None if text is None else _read(one, text)
    if next(left, None) is not None:
        raise NotPlain


def _option(one: Declared, texts: list[str]) -> Any:
    if one.facts.get("is_flag"):
        return bool(texts)
    if "multiple" in one.facts:
        return tuple(_read(one, text) for text in texts)
    text: str | None = texts[-1] if texts else one.facts.get("default")
    return None if text is None else _read(one, text)


def _read(one: Declared, text: str) -> Any:
    kind = one.facts.get("type", "TEXT")
    if kind in READERS:
        return READERS[kind](text)
    if text not in kind or isinstance(kind, str):
        raise NotPlain
    return text


def _settings(given: dict[str, list[str]]) -> dict[str, Any]:
    return {one.name: _setting(one, given[one.option]) for one in SETTINGS if one.option in given}


def _setting(setting: Setting, texts: list[str]) -> Any:
    if setting.flag:
        return True
    if setting.count:
        return len(texts)
    return tuple(setting.parse(text) for text in texts) if setting.many else setting.parse(texts[-1])
