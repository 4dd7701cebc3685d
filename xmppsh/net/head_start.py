"""A TCP connection that is begun before the program is loaded: its round trip passes while Python imports the rest.

It goes to the place that took us last time for what was asked then, and it says nothing by itself: who dials (dial.py)
takes it where the plan of this time leads to the very same address and port, else it is closed.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from xmppsh.config.kept import KeptFile

if TYPE_CHECKING:
    from pathlib import Path

    from xmppsh.texts import Log

MAX_PLACES = 64
MAX_AGE_S = 24 * 3600  # who knows who is there tomorrow
FRESH_S = 5.0  # a server does not wait for ever for our first byte


class HeadStart:
    """The place of one account in a file of the state folder. asked: what was asked for, which may be nothing."""

    def __init__(self, path: Path, account: str, asked: str, log: Log) -> None:
        self._file, self._account, self._asked = KeptFile(path, _is_entry, log), account, asked
        self._begun: tuple[str, int, socket.socket] | None = None
        self.begun_at = 0.0  # in the loop's time
        self._former: dict[str, Any] = {}

    def begin(self) -> None:
        """Connect to where we were the last time; nothing is waited for, and no failure counts.

        Linux alone: there a second connect() tells what became of the first one.
        """
        if sys.platform != "linux":
            return
        self._former = self._file.read()
        entry = self._former.get(self._account)
        if entry is None or entry["asked"] != self._asked or not 0 <= time.time() - entry["seen"] < MAX_AGE_S:
            return
        address, port = entry["address"], entry["port"]
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # such as BlockingIOError: it is under way
            sock.connect((address, port))
        self._begun, self.begun_at = (address, port, sock), time.monotonic()

    def take(self, address: str, port: int) -> socket.socket | None:
        """The connection to this place, which may still be on its way; None where none was begun, or long ago."""
        if self._begun is None or self._begun[:2] != (address, port):
            return None
        if time.monotonic() - self.begun_at > FRESH_S:
            return None
        sock, self._begun = self._begun[2], None
        return sock

    def remember(self, address: str, port: int) -> None:
        """This place took us."""
        self.close()
        now, former = time.time(), self._former.get(self._account)
        entry = {"asked": self._asked, "address": address, "port": port, "seen": now}
        if former is not None and {**former, "seen": now} == entry and now - former["seen"] < MAX_AGE_S / 2:
            return
        entries = {**self._former, self._account: entry}
        self._file.write(dict(sorted(entries.items(), key=lambda item: item[1]["seen"])[-MAX_PLACES:]))

    def close(self) -> None:
        """Give up what nobody has taken."""
        if self._begun is not None:
            self._begun[2].close()
            self._begun = None


def _is_entry(entry: Any) -> bool:
    match entry:
        case {"asked": str(), "address": str(), "port": int(), "seen": int() | float()}:
            return True
    return False
