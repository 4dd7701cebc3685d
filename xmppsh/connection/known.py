"""What servers offered the last time (protocol/ahead.py), in a file of the state folder: no secrets, readable by us.

It is never trusted: it only says what to write early, and each answer is checked. A server that was surprised is taken
step by step for a week; the mechanism that it took stays known, as the least that it must offer.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh.config.kept import KeptFile
from xmppsh.protocol.ahead import Known, Rung

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from xmppsh.protocol.stream import Stream
    from xmppsh.texts import Log

MAX_SERVERS = 64
CAUTION_S = 7 * 24 * 3600


class KnownServers:
    """The entries of a file, by account (a bare JID). now: seconds since 1970."""

    def __init__(self, path: Path, log: Log, now: Callable[[], float] = time.time) -> None:
        self._file, self._now = KeptFile(path, _is_entry, log), now

    def get(self, account: str) -> Known | None:
        """What is known, if anything."""
        entry = self._file.read().get(account)
        if entry is None:
            return None
        rung = Rung(entry["rung"])
        if rung is Rung.NOTHING and not 0 <= self._now() - entry["seen"] < CAUTION_S:
            rung = Rung.BIND
        mechanisms, bindings = frozenset(entry["mechanisms"]), frozenset(entry["bindings"])
        tokens = None if entry.get("tokens") is None else frozenset(entry["tokens"])
        return Known(mechanisms, bindings, entry["mechanism"], entry["acks"], entry["max_bytes"], rung, tokens)

    def put(self, account: str, known: Known) -> None:
        """Remember it."""
        entries = self._file.read()
        entries[account] = {
            "seen": self._now(),
            "mechanisms": sorted(known.mechanisms),
            "bindings": sorted(known.bindings),
            "mechanism": known.mechanism,
            "acks": known.acks,
            "max_bytes": known.max_bytes,
            "rung": int(known.rung),
            "tokens": None if known.tokens is None else sorted(known.tokens),
        }
        newest = sorted(entries.items(), key=lambda item: item[1]["seen"])[-MAX_SERVERS:]
        self._file.write(dict(newest))

    def learn(self, account: str, former: Known | None, stream: Stream) -> None:
        """The stream is live: remember what its server offered. former: what it was begun with."""
        learned = stream.learned
        if former is not None and (former.rung is Rung.NOTHING or learned.rung < former.rung):
            learned = replace(learned, rung=former.rung)
        if learned != former:
            self.put(account, learned)

    def mistrust(self, account: str, stream: Stream) -> None:
        """This stream went ahead of the server's answers, and ended: the next one waits for them."""
        if (known := stream.config.known) is not None:
            self.put(account, replace(known, rung=Rung.NOTHING))


def _are_names(*names: object) -> bool:
    return all(isinstance(name, str) for name in names)


def _is_entry(entry: Any) -> bool:
    match entry:
        case {
            "seen": int() | float(),
            "mechanisms": list() as mechanisms,
            "bindings": list() as bindings,
            "mechanism": str(),
            "acks": bool(),
            "max_bytes": int() as max_bytes,
            "rung": 0 | 1 | 2,
        }:
            tokens = entry.get("tokens") or []
            return max_bytes > 0 and isinstance(tokens, list) and _are_names(*mechanisms, *bindings, *tokens)
    return False
