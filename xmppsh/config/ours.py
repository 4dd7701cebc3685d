"""Whose a folder or a file is, looked at before it is used.

Who else can write the folder of the state or of the configuration can put a link there that sends our writes somewhere,
or a command that we would run. The user that we run as and root are trusted, nobody else.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.errors import ConfigError, ExitCode, IoError
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from pathlib import Path

    from xmppsh.errors import Layer

ROOT = 0
NOT_REGULAR = "not a regular file"
HINT = "name a folder of your own, by {variable}"


class ForeignFile(IoError):
    """A file of ours that another user owns, has put a link to, or may write."""

    exit_code = ExitCode.CONFIG
    layer: Layer = "config"


def refuse_foreign_folder(folder: Path, variable: str, inner: tuple[str, ...] = ()) -> None:
    """Raise ConfigError (78) for a folder that another user owns, has put a link to, or may write.

    variable: what names such a folder, for the hint. inner: what in it is judged as well. A folder that is not there
    yet is judged by the one above it: who owns that may rename what is in it. One that all may write is at fault there
    when it is ours and not like /tmp: a container's volumes are often open to all, and not ours to change. Further up
    only links are looked at: who owns one may send us elsewhere at any time.
    """
    hint = HINT.format(variable=variable)
    _refuse_foreign(folder, hint, is_above=False)
    for number, path in enumerate(folder.parents):
        if number == 0 or os.path.islink(path):
            _refuse_foreign(path, hint, is_above=True)
    for name in inner:
        _refuse_foreign(folder / name, hint, is_above=False)


def _refuse_foreign(path: Path, hint: str, *, is_above: bool) -> None:
    for facts in _facts(path):
        if not _is_trusted(facts):
            kind = "a link of" if stat.S_ISLNK(facts.st_mode) else "a folder of"
            raise ConfigError(f"{path} is {kind} another user (uid {facts.st_uid})", hint=hint)
        is_left_open = is_above and (facts.st_mode & stat.S_ISVTX or facts.st_uid != os.geteuid())
        if stat.S_ISDIR(facts.st_mode) and not is_left_open and _others_write(path, facts):
            raise ConfigError(f"{path} can be written by other users", hint=f"chmod go-w {path}, or {hint}")


def refuse_foreign_file(path: Path, what: str) -> None:
    """Raise ForeignFile (78) for a file that another user owns, has put a link to, or may write. what: it is for us."""
    for facts in _facts(path):
        if not _is_trusted(facts):
            raise ForeignFile(f"{path} is {what} and belongs to another user (uid {facts.st_uid})")
        if stat.S_ISREG(facts.st_mode) and _others_write(path, facts):
            raise ForeignFile(f"{path} is {what} and can be written by other users", hint=f"chmod go-w {path}")


def why_closed(path: Path, access: int = os.W_OK) -> str | None:
    """Why we may not write something that is there, as the end of a sentence; None where we may."""
    if os.access(path, access):
        return None
    try:
        return "read-only file system" if os.statvfs(path).f_flag & os.ST_RDONLY else "permission denied"
    except OSError as error:
        return os_reason(error)


def open_private(path: str | Path, flags: int, mode: int = 0o600) -> int:
    """Open a file of ours, made with `mode`; raises OSError for a link, for what is no regular file, and for a file of
    another user.
    """
    try:
        fd = _open_regular(path, flags | os.O_NOFOLLOW, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link", str(path)) from None
        raise
    if _is_trusted(os.fstat(fd)):
        return fd
    os.close(fd)
    raise PermissionError(errno.EPERM, "it belongs to another user", str(path))


def read_private(path: Path) -> bytes:
    """What stands in a file of ours; raises OSError as `open_private` does."""
    with open(open_private(path, os.O_RDONLY), "rb") as file:
        return file.read()


def read_regular(path: Path, max_bytes: int = -1) -> bytes:
    """What stands in a file that the user may have put elsewhere, with a link here; raises OSError."""
    with open(_open_regular(path, os.O_RDONLY), "rb") as file:
        return file.read(max_bytes)


def _open_regular(path: str | Path, flags: int, mode: int = 0o600) -> int:
    """Never waits: to open a named pipe or a device may take for ever."""
    try:
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a pipe that nobody reads, a socket
            raise OSError(errno.ENXIO, NOT_REGULAR, str(path)) from None
        raise
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.ENXIO, NOT_REGULAR, str(path))


def write_all(fd: int, data: bytes) -> None:
    """Write it whole: a disk that is nearly full takes a part, and refuses the next one by an OSError."""
    while data:
        data = data[os.write(fd, data) :]


def make_folder(folder: Path) -> None:
    """Make a folder of ours where it is missing, and those above it. Raises OSError, which names what stands there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        for path in (*reversed(folder.parents), folder):
            if os.path.islink(path) and not os.path.exists(path):
                raise OSError(errno.ENOENT, "it is a link that leads nowhere", str(path)) from None
            if not os.path.isdir(path):
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
        raise


def replace_private(path: Path, data: bytes) -> None:
    """Write a file of ours anew, mode 0600, its folder made where it is missing. Raises OSError."""
    make_folder(path.parent)
    write_aside(path, data)


def write_aside(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file anew, aside and renamed: whoever reads at the same time sees the old one or the new one, and no link
    that waits in a folder of others is followed. Raises OSError.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(open_private(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_output(path: Path, data: bytes) -> None:
    """Write a file that the user names, as a whole or not at all; what is no file, such as a pipe, as it comes.

    Its mode is 0600 (cli/supervise.py), or that of the file that was there. Raises OSError.
    """
    mode = path.stat().st_mode if path.exists() else stat.S_IFREG | 0o666
    if stat.S_ISREG(mode):
        write_aside(path.resolve(), data, stat.S_IMODE(mode))
    else:
        path.write_bytes(data)


def _facts(path: Path) -> list[os.stat_result]:
    """Of the link, where it is one, and of what it leads to; none where nothing is there or may be seen."""
    found: list[os.stat_result] = []
    with suppress(OSError):  # who opens it tells why that is impossible
        found.append(path.lstat())
        if stat.S_ISLNK(found[0].st_mode):
            found.append(path.stat())
    return found


def _is_trusted(facts: os.stat_result) -> bool:
    return facts.st_uid in (os.geteuid(), ROOT)


def _others_write(path: Path, facts: os.stat_result) -> bool:
    """May somebody beside us and our own group write it? What a mount shows read-only nobody can."""
    foreign_group = facts.st_mode & stat.S_IWGRP and facts.st_gid not in (os.getegid(), ROOT)
    return bool(facts.st_mode & stat.S_IWOTH or foreign_group) and not os.statvfs(path).f_flag & os.ST_RDONLY
