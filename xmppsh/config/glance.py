"""Which account a config file names, at a glance: without a parser of TOML, whose loading the Tab key would wait for.

It reads what nearly all config files are: a setting a line, profiles, comments. Whatever else a file holds makes it
`Unclear`; config/load.py is asked then, which is also who tells of a faulty one. It imports nothing but os.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

MAX_BYTES = 64 * 1024
DEFAULT = "default"  # the profile that is in force when none is named
BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")  # a key without quotes
STRANGE = frozenset("'\"\\")  # quotes in a value, or an escape


class Unclear(Exception):
    """A glance does not tell."""


def account(path: str, profile: str, known: Container[str]) -> str:
    """The `jid` in force, as it is written there; empty for none.

    profile: the one that was named, or empty. known: the settings that may stand there, with `_` for `-`; one that is
    not among them is Unclear, as are a profile that is not there and a file of which others could be the writers.
    """
    settings: dict[tuple[str, str], str] = {}  # by profile and key; those at the top are of none
    here, seen = "", {""}
    for line in _lines(path):
        if line.startswith("["):
            here = _profile(line)
            if here in seen:
                raise Unclear
            seen.add(here)
            continue
        key, value = _setting(line)
        if key not in known or (here, key) in settings:
            raise Unclear
        settings[here, key] = value
    name = profile or (DEFAULT if DEFAULT in seen else "")
    if name not in seen:
        raise Unclear
    return settings.get((name, "jid")) or settings.get(("", "jid"), "")


def _lines(path: str) -> list[str]:
    """Those that say something; none for no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError:
        raise Unclear from None
    try:
        with open(fd, encoding="utf-8") as file:
            facts = os.fstat(fd)
            if facts.st_mode & 0o170022 != 0o100000 or facts.st_uid != os.geteuid() or facts.st_size > MAX_BYTES:
                raise Unclear
            lines = [line.strip(" \t") for line in file.read().split("\n")]
    except (OSError, ValueError):
        raise Unclear from None
    return [line for line in lines if line and not line.startswith("#")]


def _profile(line: str) -> str:
    name = line.removeprefix("[profile.").removesuffix("]")
    if line != f"[profile.{name}]" or not name or not BARE.issuperset(name):
        raise Unclear
    return name


def _setting(line: str) -> tuple[str, str]:
    """A key and its value; of a string what stands between the quotes."""
    key, equals, value = (part.strip(" \t") for part in line.partition("="))
    is_string = len(value) > 1 and value[0] == value[-1] == '"'
    value = value[1:-1] if is_string else value
    is_plain = not STRANGE & set(value) and value.isprintable() and (is_string or BARE.issuperset(value))
    if not equals or not key or not BARE.issuperset(key) or not is_plain or not value:
        raise Unclear
    return key.replace("-", "_"), value
