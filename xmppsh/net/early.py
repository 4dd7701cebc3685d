"""A TCP connection that is begun before the command line is understood: that takes as long as a round trip far away.

It goes where the same settings led the last time, and says what was said first there, in the clear; head_start.py takes
it from here, or closes it. The settings are compared as they stand, unread: some variables, the account's address, and
whether the config file has changed. Where a command line has any other option, nothing is begun here. Like
agent/thin.py this file loads next to nothing.
"""

from __future__ import annotations

import _socket
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "early.tsv"  # in the state folder; lines of settings, address, port, first words, and seconds since the epoch
COMMANDS = ("send", "ping", "iq")
# XMPPSH_…: what leads to a place, or to none. A proxy's may hold a password and is not compared: with it, none is.
VARIABLES = ("JID", "HOST", "PROFILE", "TLS", "IPV4", "IPV6", "RESOLVE", "DNS", "ANONYMOUS", "DRY_RUN")
MAX_BYTES = 32 * 1024
MAX_LINES = 32
MAX_AGE_S = 24 * 3600  # as of places.json
STATE = ("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")  # as in config/paths.py; a test holds them against it
CONFIG = ("CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME", ".config")


class Begun:
    """A connection on its way, with what was said on it."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port, self.at = address, port, time.monotonic()
        self.sock, self.said, self.has_failed = connecting(address, port), b"", False

    def speak(self, words: bytes) -> None:
        """Say this first, where the connection stands by now."""
        if words and not self.said:
            try:
                self.said = words[: self.sock.send(words)]
            except BlockingIOError:
                pass  # it is still on its way
            except OSError:  # who dials would not be told it a second time
                self.has_failed = True


class Early:
    """That of one run."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        self._settings = _settings(words, env)
        self._lines: list[str] = []  # of the file
        self._begun: Begun | None = None
        state = folder(env, *STATE)
        if self._settings and state and sys.platform == "linux":  # see head_start.py
            try:
                self._lines = _read(f"{state}/{NAME}")
                self._begin()
            except (OSError, ValueError):  # it is not there, or not what it should be: it costs time
                self._lines = []

    def _begin(self) -> None:
        for line in self._lines:
            settings, address, port, words, seen = line.rsplit("\t", 4)
            if settings == self._settings and 0 <= time.time() - float(seen) < MAX_AGE_S:
                self._begun = Begun(address, int(port))
                return self._begun.speak(words.encode())

    def take(self, address: str, port: int) -> Begun | None:
        """The connection to this place; one to another place is closed."""
        begun, self._begun = self._begun, None
        if begun is not None and (begun.has_failed or (begun.address, begun.port) != (address, port)):
            begun.sock.close()
            return None
        return begun

    def close(self) -> None:
        """Nobody takes it."""
        self.take("", 0)

    def with_place(self, address: str, port: int, words: str) -> bytes | None:
        """What the file is to hold from now on; None where nothing of it is new. words: what is said first there."""
        place, now = f"{self._settings}\t{address}\t{port}\t{words}\t", time.time()
        if not self._settings or any(
            line.startswith(place) and now - float(line[len(place) :]) < MAX_AGE_S / 2 for line in self._lines
        ):
            return None
        others = [line for line in self._lines if not line.startswith(f"{self._settings}\t")]
        return "".join(f"{line}\n" for line in [*others[1 - MAX_LINES :], f"{place}{int(now)}"]).encode()


def connecting(address: str, port: int) -> _socket.socket:
    """A socket on its way there; nothing is waited for, and no failure counts: a second connect() tells it (Linux)."""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    sock.setblocking(False)
    try:  # noqa: SIM105  # contextlib takes milliseconds to load, before the connection is begun
        sock.connect((address, port))
    except OSError:
        pass  # such as BlockingIOError: it is under way
    return sock


def _settings(words: Sequence[str], env: Mapping[str, str]) -> str:
    """What leads to a place, in one line without tabs; empty where nothing is to be begun."""
    left, jid, is_ours = iter(words), "", False
    for word in left:
        if word == "-j":
            jid = next(left, "")
        elif word.startswith("-"):
            return ""
        elif word in COMMANDS:
            is_ours = True
        elif not is_ours and "@" in word and not jid:
            jid = word  # it may stand before the command without `-j`
        elif not is_ours:
            return ""
    configs = folder(env, *CONFIG)
    if not is_ours or not configs or "XMPPSH_PROXY" in env:
        return ""
    config = f"{configs}/config.toml"
    try:
        facts = os.stat(config)
    except OSError:
        facts = None
    changed = None if facts is None else (config, facts.st_mtime_ns, facts.st_size, facts.st_ino)
    return repr((jid, *(env.get(f"XMPPSH_{name}") for name in VARIABLES), changed))


def folder(env: Mapping[str, str], of_service: str, of_user: str, below_home: str) -> str:
    """The same as in config/paths.py; empty where that would have to ask the user database, or there is none."""
    if (given := env.get(of_service, "").partition(":")[0]).startswith("/"):
        return given
    if (given := env.get(of_user, "")).startswith("/"):
        return f"{given}/xmppsh"
    home = env.get("HOME", "")
    return f"{home}/{below_home}/xmppsh" if home.startswith("/") and home != "/" else ""


def _read(path: str) -> list[str]:
    """The lines of a file of ours; raises OSError, ValueError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(fd)
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise PermissionError(path)
        return os.read(fd, MAX_BYTES).decode().splitlines()
    finally:
        os.close(fd)
