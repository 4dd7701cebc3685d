"""Where files live (XDG), and which modes they must have: folders 0700, files 0600."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from xmppsh.errors import ConfigError, NoInputError


def config_file(env: dict[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/xmppsh/config.toml`."""
    base = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME", "~")).expanduser() / ".config")
    return Path(base) / "xmppsh" / "config.toml"


def state_folder(env: dict[str, str]) -> Path:
    """`$XDG_STATE_HOME/xmppsh`: outboxes, locks."""
    base = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME", "~")).expanduser() / ".local" / "state")
    return Path(base) / "xmppsh"


def refuse_readable_by_others(path: Path, what: str) -> None:
    """Raise ConfigError when group or others can read a file that holds a secret; only regular files are judged."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise NoInputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"{path} holds {what} and its mode is {stat.S_IMODE(mode):04o}: others can read it",
            hint=f"chmod 600 {path}",
        )
