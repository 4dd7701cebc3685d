"""The hash of the password, begun before the server asks for it: while Python loads the rest, and on another core.

What SCRAM hashes a password with (salt and rounds, RFC 5802 §5.1) a server keeps with the account, so it is mostly what
it was the last time. That alone is written down: the server tells it to whoever names the account. Nothing that is made
of the password leaves this process, since it would do in its place. A hash that does not fit is thrown away.
"""

from __future__ import annotations

import hashlib
import time
from _thread import allocate_lock, start_new_thread  # `threading` costs milliseconds
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

from xmppsh.config.kept import KeptFile
from xmppsh.protocol.saslprep import NotAllowed, saslprep
from xmppsh.protocol.scram import HASHES, MAX_ITERATIONS, MIN_ITERATIONS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from xmppsh.texts import Log

MAX_ACCOUNTS = 64
OFTEN_S = 24 * 3600  # a salt that changes again within a day is another one each time
FORGET_S = 30 * 24 * 3600  # after which a server is given another chance


class Hashing:
    """Hashes one account's password. path: of the file with the salts; it counts whole seconds since 1970."""

    def __init__(self, path: Path, account: str, log: Log) -> None:
        self._file, self._account = KeptFile(path, _is_entry, log), account
        self._former: dict[str, Any] = {}
        self._wanted: tuple[str, bytes, bytes, int] | None = None  # hash, password, salt, rounds
        self._hashing = allocate_lock()  # held while it is hashed
        self._result = b""
        self._asked: tuple[str, bytes, int] | None = None

    def begin(self, password: str) -> None:
        """Hash it as it was asked for the last time, in a daemon thread; nothing is waited for."""
        self._former = self._file.read()
        entry = self._former.get(self._account)
        if entry is None or entry["varies"]:
            return
        try:
            prepared = saslprep(password)[0].encode()
        except NotAllowed:
            return  # the login tells of it
        self._wanted = (entry["hash"], prepared, a2b_base64(entry["salt"]), entry["rounds"])
        self._hashing.acquire()
        start_new_thread(self._work, self._wanted)

    def _work(self, name: str, password: bytes, salt: bytes, rounds: int) -> None:
        try:
            self._result = hashlib.pbkdf2_hmac(name, password, salt, rounds)
        finally:
            self._hashing.release()

    def pbkdf2(self, name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
        """The same as `hashlib.pbkdf2_hmac`; waits for what was begun, where that is it."""
        self._asked = (name, salt, rounds)
        if self._wanted == (name, password, salt, rounds):
            with self._hashing:
                return self._result
        return hashlib.pbkdf2_hmac(name, password, salt, rounds)

    def remember(self) -> None:
        """The server has proved itself: what it asked for is what it will ask for. Where it asked for no hash, as with
        a token, none is begun the next time."""
        former, now = self._former.get(self._account), int(time.time())
        if self._asked is None:
            if former is not None and not former["varies"]:
                self._file.write({name: entry for name, entry in self._former.items() if name != self._account})
            return
        name, salt, rounds = self._asked
        entry = {"hash": name, "salt": b2a_base64(salt, newline=False).decode(), "rounds": rounds}
        if former is not None:
            age_s = now - former["seen"]
            is_same = {key: former[key] for key in entry} == entry
            if is_same or (former["varies"] and 0 <= age_s < FORGET_S):
                return
            entry["varies"] = 0 <= age_s < OFTEN_S
        entries = {**self._former, self._account: {"varies": False, **entry, "seen": now}}
        self._file.write(dict(sorted(entries.items(), key=lambda item: item[1]["seen"])[-MAX_ACCOUNTS:]))


def _is_entry(entry: Any) -> bool:
    match entry:
        case {"hash": str() as name, "salt": str() as salt, "rounds": int() as rounds, "seen": int(), "varies": bool()}:
            try:
                a2b_base64(salt, strict_mode=True)
            except ValueError:
                return False
            return name in HASHES.values() and MIN_ITERATIONS <= rounds <= MAX_ITERATIONS
    return False
