"""Where files live, and which modes they must have: folders 0700, files 0600.

A service may have no home, no name and hardly a right: systemd's own folders come first, then the XDG base
directories, then the home. A path from the environment that is empty or relative is never used (XDG base directory
specification), since the working directory of a service is anybody's.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.config.ours import refuse_foreign_folder, why_closed
from xmppsh.errors import ConfigError, IoError, NoInputError
from xmppsh.plain import dataclass
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    Env = Mapping[str, str]

PROGRAM = "xmppsh"
_HARMLESS = dict.fromkeys(map(ord, "@._-~"), "x")  # as letters and digits are (RFC 3986 §2.3)


@dataclass(frozen=True)
class _Kind:
    """of_service: systemd's variable, whose folder is ours alone; of_user: XDG's; below_home: where it is else."""

    of_service: str
    of_user: str
    below_home: str


CONFIG = _Kind("CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME", ".config")
STATE = _Kind("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")
STATE_FOLDERS = ("locks", "outbox", "inbox", "history", "roster")
STATE_HINT = "set STATE_DIRECTORY or XDG_STATE_HOME to a folder that this user may write"


def file_name(name: str) -> str:
    """What the file of an account or a profile is called: percent-encoded where a file system might not take it."""
    if name.isascii() and name.translate(_HARMLESS).isalnum():
        return name
    from urllib.parse import quote  # it takes long to load

    return quote(name, safe="@.")


def home(env: Env) -> Path | None:
    """The user's home: HOME, or else what the user database says; None where neither names one. `/` is nobody's."""
    named = _absolute(env.get("HOME"))
    if named is None:
        try:
            named = _absolute(pwd.getpwuid(os.getuid()).pw_dir)
        except KeyError:  # a container may run under any number
            return None
    return None if named == Path("/") else named


def config_file(env: Env) -> Path | None:
    """`config.toml` in the folder of the configuration; None where no folder is named."""
    folder = _folder(CONFIG, env)
    return None if folder is None else folder / "config.toml"


def writable_config(env: Env) -> Path:
    """The config file, which need not exist yet; raises IoError where no folder is named."""
    if (path := config_file(env)) is None:
        raise IoError("no folder for the config: there is no home", hint="set XDG_CONFIG_HOME")
    return path


def is_named(path: Path, env: Env) -> bool:
    """Was the folder of this config file named by a variable of its own? Else it is only where one would look."""
    below = home(env)
    return below is None or path != below / CONFIG.below_home / PROGRAM / "config.toml"


def state_folder(env: Env) -> Path | None:
    """The folder of outboxes and locks, which need not exist yet; None where no folder is named."""
    return _folder(STATE, env)


def writable_state(folder: Path | None) -> Path:
    """The state folder if something can be stored in it; else raises IoError, which names the variable to set."""
    if folder is None:
        raise IoError("no folder for the state: there is no home", hint=STATE_HINT)
    for inner in (folder / "locks", folder / "outbox"):
        if (reason := _unusable(inner)) is not None:
            raise IoError(f"{folder}: nothing can be stored here: {reason}", hint=STATE_HINT)
    return folder


def refuse_foreign_state(folder: Path) -> None:
    """Raise ConfigError when others could put a file or a link into the state folder."""
    refuse_foreign_folder(folder, STATE.of_user, STATE_FOLDERS)


def has_files(folder: Path | None, name: str) -> bool:
    """Is anything in the folder of that name below? What we may not enter is as good as empty."""
    try:
        return folder is not None and bool(os.listdir(folder / name))
    except OSError:
        return False


def expanded(text: str, env: Env) -> Path:
    """A path as a shell would read it: `~` is the home. Raises NoInputError when there is no such home."""
    if not text.startswith("~"):
        return Path(text)
    name, _, rest = text[1:].partition("/")
    try:
        base = home(env) if not name else Path(pwd.getpwnam(name).pw_dir)
    except KeyError:
        base = None
    if base is None:
        raise NoInputError(f"{text}: there is no such home", hint="write the path in full")
    return base / rest


def _is_private(path: Path, env: Env) -> bool:
    """Is it below our home, so that its mode is ours alone to choose?"""
    place = home(env)
    return place is not None and path.absolute().is_relative_to(place)


def refuse_readable_by_others(path: Path, what: str, env: Env, instead: str = "--password-fd N") -> None:
    """Raise ConfigError when others can reach a file with a secret, and we could change that. instead: what gives the
    secret without a file.

    Only regular files are judged, only our own, and none that a mount shows read-only: the secrets of a container are
    often readable for all, and are not ours to change.
    """
    try:
        found = os.stat(path)
        is_ours = found.st_uid == os.geteuid() and not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError as error:
        raise NoInputError(f"{path}: {os_reason(error)}") from error
    reached_by_others = found.st_mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH)
    if stat.S_ISREG(found.st_mode) and reached_by_others and is_ours:
        mend = f"chmod 600 {path}" if _is_private(path, env) else "a file of your own, of mode 600"
        raise ConfigError(
            f"{path} holds {what} and its mode is {stat.S_IMODE(found.st_mode):04o}: others can read it",
            hint=f"{mend}, or {instead}",
        )


def _folder(kind: _Kind, env: Env) -> Path | None:
    if (given := _absolute(env.get(kind.of_service, "").partition(":")[0])) is not None:  # several, by colons
        return given
    if (given := _absolute(env.get(kind.of_user))) is not None:
        return given / PROGRAM
    below = home(env)
    return None if below is None else below / kind.below_home / PROGRAM


def _absolute(text: str | None) -> Path | None:
    return Path(text) if text and text.startswith("/") else None


def _unusable(folder: Path) -> str | None:
    """Why nothing could be made in this folder, or in the nearest one above it that exists; None when it could.

    A file in a folder's place is left to who opens it: that is no question of rights.
    """
    for one in (folder, *folder.parents):
        try:
            is_there = one.exists()
        except PermissionError:
            return "permission denied"
        except OSError:
            return None
        if is_there:
            return why_closed(one, os.W_OK | os.X_OK) if one.is_dir() else None
    return None
