"""SRV records that stay true for a while: a later command need not ask for them again (RFC 1035 §3.2.1, RFC 2308).

One small JSON file (config/kept.py). It holds nothing beyond its TTL, and what it says is only ever where to dial: TLS
checks the same name either way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from xmppsh.config.kept import KeptFile
from xmppsh.resolve.lookup import Answer, Srv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from xmppsh.texts import Log

MAX_ANSWERS = 64  # a few domains of a few networks
MAX_RECORDS = 32  # of one answer
MAX_TTL_S = 24 * 3600


class SrvCache:
    """The answers in a file, for one set of name servers: another network may know other answers.

    log(level, text) is told when the file is of no use; now: seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        servers: Sequence[tuple[str, int]],
        log: Log,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file, self._now = KeptFile(path, _is_entry, log), now
        self._network = " ".join(f"{address}#{port}" for address, port in servers)

    def get(self, name: str) -> Answer | None:
        """What was answered for this name; its `ttl_s` is what is left."""
        entry = self._file.read().get(self._key(name))
        return None if entry is None else _answer(entry, self._now())

    def put(self, name: str, answer: Answer) -> None:
        """Remember an answer as long as it may be."""
        if not answer.ttl_s or answer.ttl_s < 0 or len(answer.records) > MAX_RECORDS:
            return
        now = self._now()
        entry = {
            "asked": now,
            "until": now + min(answer.ttl_s, MAX_TTL_S),
            "exists": answer.exists,
            "server": answer.server,
            "records": [[srv.priority, srv.weight, srv.port, srv.target] for srv in answer.records],
        }
        entries = {key: kept for key, kept in self._file.read().items() if _answer(kept, now) is not None}
        entries[self._key(name)] = entry
        newest = sorted(entries.items(), key=lambda item: item[1]["asked"])[-MAX_ANSWERS:]
        self._file.write(dict(newest))

    def forget(self, name: str) -> None:
        """Drop what was answered for this name: it led nowhere."""
        entries = self._file.read()
        if entries.pop(self._key(name), None) is not None:
            self._file.write(entries)

    def _key(self, name: str) -> str:
        return f"{name} {self._network}"


def _is_entry(entry: Any) -> bool:
    match entry:
        case {"asked": int() | float(), "until": int() | float(), "exists": bool(), "server": str(), "records": list()}:
            return all(_is_record(record) for record in entry["records"])
    return False


def _is_record(record: Any) -> bool:
    match record:
        case [int() as priority, int() as weight, int() as port, str()]:
            return all(0 <= number < 65536 for number in (priority, weight, port))
    return False


def _answer(entry: dict[str, Any], now: float) -> Answer | None:
    """The answer while it is true; a clock that was set back makes it none."""
    if not entry["asked"] <= now < entry["until"] <= entry["asked"] + MAX_TTL_S:
        return None
    records = tuple(Srv(*record) for record in entry["records"])
    return Answer(records, entry["exists"], int(entry["until"] - now), (), entry["server"])
