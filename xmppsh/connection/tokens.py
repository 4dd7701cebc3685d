"""FAST tokens (XEP-0484), in a file of the state folder that is readable by its owner alone.

A token is as good as a password, so it does not let in who gives a wrong one: beside it stand 16 bits of a slow hash of
the password that it was got with. They tell next to nothing of the password.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

from xmppsh.config.kept import KeptFile
from xmppsh.protocol.fast import HASHES, Client, Token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from xmppsh.texts import Log

MAX_ACCOUNTS = 64
ROUNDS = 4096
CHECK_BYTES = 2


class KeptTokens:
    """The token of one account (a bare JID), and the id that the account has here. now: seconds since 1970."""

    def __init__(self, path: Path, account: str, password: str, log: Log, now: Callable[[], float] = time.time) -> None:
        self._file, self._log = KeptFile(path, _is_entry, log), log
        self._account, self._password, self._now = account, password, now

    def client(self) -> Client:
        """Who we are, with a token that is likely to be good."""
        entry = self._file.read().get(self._account)
        if entry is None:
            return Client(_new_id())
        token = Token(entry["mechanism"], entry["token"], entry["expiry"], entry["by"])
        is_good = self._is_for_us(entry) and not self._has_expired(token)
        return Client(entry["id"], token if is_good else None)

    def note(self, client: Client, token: Token | None) -> None:
        """The server has issued a token to this one, or takes none any more (None)."""
        if token is not None:
            self.put(client.id, token)
        elif client.token is not None:
            self._log(1, "the server does not take the FAST token any more: the password goes on")
            self.drop(client.token)

    def put(self, client_id: str, token: Token) -> None:
        """Keep it in the place of the former one."""
        entries = self._file.read()
        entries.pop(self._account, None)
        entries[self._account] = {
            "id": client_id,
            "mechanism": token.mechanism,
            "token": token.secret,
            "expiry": token.expiry,
            "by": token.by,
            "check": self._check(token.secret),
        }
        self._file.write(dict(list(entries.items())[-MAX_ACCOUNTS:]))

    def drop(self, token: Token) -> None:
        """Forget it, unless another process has put a newer one there."""
        entries = self._file.read()
        entry = entries.get(self._account)
        if entry is not None and entry["token"] == token.secret:
            entries[self._account] = {**entry, "token": ""}
            self._file.write(entries)

    def _is_for_us(self, entry: dict[str, Any]) -> bool:
        return bool(entry["token"]) and bool(entry["check"] == self._check(entry["token"]))

    def _has_expired(self, token: Token) -> bool:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._now()))
        return token.expiry != "" and token.expiry[: len(moment)] <= moment  # XEP-0082 writes UTC

    def _check(self, secret: str) -> str:
        slow = hashlib.pbkdf2_hmac("sha256", self._password.encode(), secret.encode(), ROUNDS)
        return slow[:CHECK_BYTES].hex()


def _new_id() -> str:
    """A UUID v4 (RFC 9562 §5.4), without the module that costs an import."""
    data = bytearray(os.urandom(16))
    data[6], data[8] = data[6] & 0x0F | 0x40, data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _is_entry(entry: Any) -> bool:
    match entry:
        case {"id": str(), "mechanism": str() as name, "token": str(), "expiry": str(), "by": str(), "check": str()}:
            return name.rpartition("-")[0] in HASHES
    return False
