"""Changing one line of the config file; the others stay as they are, comments too."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from xmppsh.config.document import HEADER, Document, parsed
from xmppsh.config.ours import NOT_REGULAR, make_folder, open_private
from xmppsh.errors import ConfigError, IoError
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BARE = re.compile(r"[A-Za-z0-9_-]+")
COMMENT = re.compile(r"""(?:[^#"']|"(?:\\.|[^"\\])*"|'[^']*')*?(?P<comment>\s*#.*)?""")  # after a value, not in it


def toml(value: bool | str | list[str]) -> str:
    """A value as TOML has it."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return ("false", "true")[value] if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def changed(document: Document, key: str, value: bool | str | list[str] | None, profile: str | None) -> Document:
    """The document with another value, at the top or in a profile; None takes the key away.

    Raises ConfigError where the key stands in a way that no single line can change.
    """
    lines = document.text.splitlines(keepends=True)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += end
    line = [] if value is None else [f"{key} = {toml(value)}{end}"]
    if (number := document.line(key, profile)) is not None:
        lines[number - 1 : number] = [text.removesuffix(end) + _comment(lines[number - 1]) + end for text in line]
    elif profile is None:
        headers = (place for place, text in enumerate(lines) if re.match(HEADER, text))
        lines[(first := next(headers, len(lines))) : first] = line
    elif (number := document.line("", profile)) is not None:
        lines[number:number] = line
    elif line:
        name = profile if BARE.fullmatch(profile) else toml(profile)
        lines += [end] * bool(lines) + [f"[profile.{name}]{end}", *line]
    wanted = _with(document.tables, key, value, profile)
    with suppress(ConfigError):
        new = parsed(document.path, "".join(lines).encode())
        if new.tables == wanted:
            return new
    raise ConfigError(f"{document.place(key, profile)} cannot be changed in one line", hint=f"edit {document.path}")


def _comment(line: str) -> str:
    """What stands after the value of a line, with the space before it."""
    found = COMMENT.fullmatch(line.rstrip("\r\n"))
    return (found and found["comment"]) or ""


def _with(tables: Any, key: str, value: Any, profile: str | None) -> dict[str, Any]:
    found = dict(tables)
    if profile is not None:
        profiles = dict(found.get("profile", {}))
        if value is not None or profile in profiles:
            found["profile"] = {**profiles, profile: _with(profiles.get(profile, {}), key, value, None)}
    elif value is None:
        found.pop(key, None)
    else:
        found[key] = value
    return found


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else changes the config file while this lasts: who reads it in here overwrites nothing. Raises IoError."""
    try:
        make_folder(path.parent)
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise IoError(f"{error.filename or path}: {os_reason(error)}") from error
    try:
        with suppress(OSError):  # not every network file system knows locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def write(document: Document) -> None:
    """Put the document in the place of the file, as a whole or not at all; raises IoError.

    A new file is for us alone; one that was there keeps its mode, and a link stays a link.
    """
    path = document.path.resolve()
    if path.exists() and not path.is_file():
        raise IoError(f"{document.path}: {NOT_REGULAR}")
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        make_folder(path.parent)
        try:
            with open(open_private(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
                file.write(document.text.encode())
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), _mode(path))
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise IoError(f"{document.path}: {os_reason(error)}") from error


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o600
