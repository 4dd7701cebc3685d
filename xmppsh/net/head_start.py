"""A TCP connection that is begun before the program is loaded: its round trip passes while Python imports the rest.

It goes to the place that took us last time for what was asked then. Who dials (dial.py) takes it where the plan of this
time leads to the very same address and port, else it is closed. Once it stands, it says what we said first the last
time, so that a second round trip passes: the header and `<starttls/>` in the clear, in which nothing is secret and no
more of us than the domain. Where this time's stream would begin in another way, it is closed as well. Both may have
been done before the settings were read (early.py).
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from xmppsh.config.kept import KeptFile
from xmppsh.config.ours import replace_private
from xmppsh.net.early import NAME, Begun
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from xmppsh.model import TlsMode
    from xmppsh.net.attempts import Attempt
    from xmppsh.net.early import Early
    from xmppsh.texts import Log

MAX_PLACES = 64
MAX_WORDS = 2048  # characters
MAX_AGE_S = 24 * 3600  # who knows who is there tomorrow
FRESH_S = 5.0  # a server does not wait for ever for our first byte


class HeadStart:
    """The place of one account in a file of the state folder. asked: what was asked for, which may be nothing.

    early: what may have been begun before the settings were read.
    """

    def __init__(self, path: Path, account: str, asked: str, log: Log, early: Early | None = None) -> None:
        self._early, self._folder, self._log = early, path.parent, log
        self._file, self._account, self._asked = KeptFile(path, _is_entry, log), account, asked
        self._begun: Begun | None = None
        self.wanted = b""  # how this time's stream begins in the clear
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
        place = entry["address"], entry["port"]
        self._begun = (None if self._early is None else self._early.take(*place)) or Begun(*place)
        self.speak()

    def speak(self) -> None:
        """Say what was said first the last time, where the connection stands by now."""
        if self._begun is not None:
            self._begun.speak(self._former[self._account].get("words", "").encode())
            if self._begun.has_failed:
                self.close()

    @property
    def place(self) -> tuple[str, int, TlsMode] | None:
        """Where a connection was begun to: address, port, and how TLS came there the last time; None where none was."""
        if self._begun is None:
            return None
        return self._begun.address, self._begun.port, self._former[self._account].get("tls")

    def take(self, address: str, port: int, tls: TlsMode) -> Begun | None:
        """The connection to this place, which may still be on its way; None where none was begun, or long ago, or where
        another thing was said than what is wanted there."""
        begun = self._begun
        if begun is None or (begun.address, begun.port) != (address, port):
            return None
        if time.monotonic() - begun.at > FRESH_S:
            return None
        if begun.said and not (tls == "starttls" and self.wanted.startswith(begun.said)):
            return None
        self._begun = None
        return begun

    def remember(self, attempt: Attempt) -> None:
        """This place took us."""
        self.remember_place(attempt.address, attempt.candidate.port, attempt.candidate.tls)

    def remember_place(self, address: str, port: int, tls: TlsMode) -> None:
        """The same."""
        self.close()
        now, former = time.time(), self._former.get(self._account)
        entry = {"asked": self._asked, "address": address, "port": port, "tls": tls, "seen": now}
        words = entry["words"] = self.wanted.decode() if tls == "starttls" else ""
        self._remember_early(address, port, words)
        if former is not None and {**former, "seen": now} == entry and now - former["seen"] < MAX_AGE_S / 2:
            return
        entries = {**self._former, self._account: entry}
        self._file.write(dict(sorted(entries.items(), key=lambda item: item[1]["seen"])[-MAX_PLACES:]))

    def _remember_early(self, address: str, port: int, words: str) -> None:
        if self._early is not None and (text := self._early.with_place(address, port, words)) is not None:
            try:
                replace_private(self._folder / NAME, text)
            except OSError as error:
                self._log(1, f"{self._folder / NAME} cannot be written: {os_reason(error)}")

    def close(self) -> None:
        """Give up what nobody has taken."""
        if self._begun is not None:
            self._begun.sock.close()
            self._begun = None


def _is_entry(entry: Any) -> bool:
    match entry:
        case {"asked": str(), "address": str(), "port": int(), "seen": int() | float()}:
            words = entry.get("words", "")
            is_mode = entry.get("tls", "direct") in ("direct", "starttls", "off")
            return is_mode and isinstance(words, str) and len(words) <= MAX_WORDS
    return False
