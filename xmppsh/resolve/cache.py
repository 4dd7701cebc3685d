"""SRV records that stay true for a while: a later command need not ask for them again (RFC 1035 §3.2.1, RFC 2308).

One small JSON file. It holds nothing beyond its TTL, and what it says is only ever where to dial: TLS checks the same
name either way. A file that cannot be read counts as empty; one that cannot be written costs a question next time.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xmppsh.config.ours import open_private
from xmppsh.resolve.lookup import Answer, Srv
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from xmppsh.texts import Log

MAX_ANSWERS = 64  # a few domains of a few networks
MAX_RECORDS = 32  # of one answer
MAX_BYTES = 256 * 1024
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
        self._path, self._log, self._now = path, log, now
        self._complained = False
        self._network = " ".join(f"{address}#{port}" for address, port in servers)

    def get(self, name: str) -> Answer | None:
        """What was answered for this name; its `ttl_s` is what is left."""
        entry = self._read().get(self._key(name))
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
        entries = {key: kept for key, kept in self._read().items() if _answer(kept, now) is not None}
        entries[self._key(name)] = entry
        newest = sorted(entries.items(), key=lambda item: item[1]["asked"])[-MAX_ANSWERS:]
        self._write(dict(newest))

    def forget(self, name: str) -> None:
        """Drop what was answered for this name: it led nowhere."""
        entries = self._read()
        if entries.pop(self._key(name), None) is not None:
            self._write(entries)

    def _key(self, name: str) -> str:
        return f"{name} {self._network}"

    def _read(self) -> dict[str, Any]:
        try:
            with open(open_private(self._path, os.O_RDONLY), "rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ValueError(f"it is larger than {MAX_BYTES} bytes")
            document = json.loads(data)
            if not isinstance(document, dict) or not all(_is_entry(entry) for entry in document.values()):
                raise ValueError("it holds something else than answers")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            self._complain(f"{self._path} is ignored: {os_reason(error)}")
            return {}
        return document

    def _write(self, entries: dict[str, Any]) -> None:
        # Written aside and renamed: whoever reads at the same time sees the old file or the new one.
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                descriptor = open_private(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                with open(descriptor, "w", encoding="utf-8") as file:
                    json.dump(entries, file)
                os.replace(beside, self._path)
            finally:
                with suppress(FileNotFoundError):
                    beside.unlink()
        except OSError as error:
            self._complain(f"{self._path} cannot be written: {os_reason(error)}")

    def _complain(self, sentence: str) -> None:
        if not self._complained:
            self._log(1, sentence)
        self._complained = True


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
