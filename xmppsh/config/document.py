"""The config file as a document: its tables, and on which line a key of it stands."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import field
from typing import TYPE_CHECKING

from xmppsh.config.ours import read_regular, refuse_foreign_file, refuse_foreign_folder
from xmppsh.config.paths import refuse_readable_by_others
from xmppsh.errors import ConfigError
from xmppsh.plain import dataclass
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

HEADER = r"""\s*\[{1,2}\s*(?:profile\s*\.\s*["']?(?P<profile>[^"'\]]+?)["']?|(?P<other>[^\[\]]*?))\s*\]"""
KEY = r"""\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[\w-]+))\s*[=.]"""
MAX_BYTES = 1024 * 1024  # to read much more TOML takes a minute
FAULT_LINE = r"(?: \((?:at|on) )line (\d+), column (\d+)\)"


@dataclass(frozen=True)
class Document:
    """What the file at `path` says; empty where there is none."""

    path: Path
    text: str = ""
    tables: Mapping[str, Any] = field(default_factory=dict)

    def line(self, key: str, profile: str | None = None) -> int | None:
        """The line that gives the key its value, counted from 1; None where that is not plain to see.

        profile: in `[profile.NAME]`; None: at the top. An empty key is the header of the profile itself.
        """
        here: str | None = None
        for number, line in enumerate(self.text.splitlines(), 1):
            if (header := re.match(HEADER, line)) is not None:
                here = header["profile"] or f"[{header['other']}]"
                is_key = here == f"[{key}]" or (bool(key) and here.startswith(f"[{key}."))
                if is_key or (here == profile and not key):
                    return number
            elif here == profile and (found := re.match(KEY, line)) is not None and key in found.groups():
                return number
        return None

    def place(self, key: str, profile: str | None = None) -> str:
        """Where a key stands, to begin a sentence with: `PATH:3: [profile.work] timeout`."""
        line = self.line(key, profile) or self.line("", profile)
        table = "" if profile is None else f"[profile.{profile}]"
        return self._told(line, " ".join(word for word in (table, key) if word))

    def place_in_profiles(self, key: str) -> str:
        """The same for what stands in `[profile]` itself, beside the profiles: `PATH:3: [profile] timeout`."""
        return self._told(self.line(key, "[profile]") or self.line("profile"), f"[profile] {key}")

    def _told(self, line: int | None, what: str) -> str:
        return f"{self.path}{'' if line is None else f':{line}'}: {what}"


def read(path: Path, env: Mapping[str, str], is_named: bool) -> Document:
    """Read the config file; raises ConfigError (78).

    is_named: somebody said that it is there; else a folder that we may not enter holds none.
    """
    refuse_foreign_folder(path.parent, "XDG_CONFIG_HOME")
    try:
        if _is_null(path):
            return Document(path)
        data = read_regular(path, MAX_BYTES + 1)
    except FileNotFoundError:
        return Document(path)
    except OSError as error:
        if not is_named and isinstance(error, PermissionError) and not _is_seen(path):
            return Document(path)
        raise ConfigError(f"{path}: {os_reason(error)}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES // 1024} KiB: that is no config file")
    document = parsed(path, data)
    profiles = document.tables.get("profile", {})
    tables = [document.tables, *(profiles.values() if isinstance(profiles, dict) else ())]
    tables = [table for table in tables if isinstance(table, dict)]
    if any("password" in table for table in tables):
        refuse_readable_by_others(path, "a password", env)
    if any("@" in str(table.get("proxy")) for table in tables):
        refuse_readable_by_others(path, "a proxy's password", env, "XMPPSH_PROXY")
    refuse_foreign_file(path, "the config file")
    return document


def parsed(path: Path, data: bytes) -> Document:
    """The bytes of the file at `path` as a document; raises ConfigError with the line of the fault."""
    import tomllib  # many have no file

    try:
        text = data.decode("utf-8-sig")  # editors of Windows put a mark there
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        reason = f"byte {data[error.start]:#04x} is not UTF-8"
        raise ConfigError(f"{path}:{line}: not valid TOML: {reason}", hint="save it as UTF-8") from error
    try:
        return Document(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        reason = str(error).replace(" (at end of document)", "")
        at = re.search(FAULT_LINE, reason)
        line = int(at[1]) if at is not None else max(1, len(text.splitlines()))
        column = "" if at is None else f", column {at[2]}"
        reason = re.sub(FAULT_LINE, "", reason)
        raise ConfigError(f"{path}:{line}: not valid TOML: {reason[:1].lower()}{reason[1:]}{column}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML: it is nested too deeply") from error


def _is_null(path: Path) -> bool:
    """A link to /dev/null is how one says that there shall be nothing. Raises OSError."""
    facts = path.stat()
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == os.stat(os.devnull).st_rdev


def _is_seen(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return False
    return True
