"""Who owns a row: a process, known by a lock that dies with it."""

from __future__ import annotations

import fcntl
import os
import secrets
from typing import TYPE_CHECKING

from xmppsh.errors import IoError, translate

if TYPE_CHECKING:
    from pathlib import Path


class Owner:
    """This process's lock file in a folder; its name is written into the rows that belong to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
        with translate(OSError, lambda reason: IoError(f"{folder}: {reason.lower()}")):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path(self.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    def is_alive(self, name: str) -> bool:
        """Does the process of that name still run? A dead one's lock file is removed."""
        if name == self.name:
            return True
        try:
            fd = os.open(self._path(name), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            # Taking a living process's stanzas would send them twice.
            raise IoError(f"{self._path(name)}: {(error.strerror or str(error)).lower()}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            self._path(name).unlink(missing_ok=True)
            return False
        finally:
            os.close(fd)

    def close(self) -> None:
        """Give the lock up."""
        self._path(self.name).unlink(missing_ok=True)
        os.close(self._fd)
