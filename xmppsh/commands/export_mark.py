"""How far an export is: kept in a file, so that a run that was killed goes on with nothing missing or doubled."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from typing import TYPE_CHECKING, Any

from xmppsh.config.ours import read_regular, refuse_foreign_file, write_aside
from xmppsh.errors import DataError, IoError
from xmppsh.texts import os_reason, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from xmppsh.xep.history import Archived


class ExportMark:
    """The archive's id of the last message that was printed, how long the output was then, and what is exported.

    query: what is exported, of whom; ids of another archive or query mean nothing there. count: how many messages are
    printed, by the runs before as well.
    """

    def __init__(self, path: Path | None, fd: int, query: Mapping[str, str | None]) -> None:
        self._path, self._fd, self._query = path, fd, dict(query)
        self._after: str | None = None
        self._stamp: str | None = None  # of the message with that id
        self._resumed_at: str | None = None
        self.count = 0

    def restore(self) -> str | None:
        """The id after which to go on, None for the beginning; what a killed run has written after it is cut off.
        Raises IoError where another process writes the same output.

        The mark stands before the first message is printed: a run that is killed earlier than the first page is noted
        has doubled nothing.
        """
        if self._path is None:
            return None
        self._lock()
        refuse_foreign_file(self._path, "a checkpoint")
        if not self._path.exists():
            self._keep()
            return None
        kept = self._kept(self._path)
        if kept["query"] not in (None, self._query):  # None: of a version that did not note it
            raise DataError(
                f"{self._path} is the checkpoint of another export: {_told(kept['query'])}",
                hint="ask for the same messages again, or give another checkpoint",
            )
        self._cut(kept["file"])
        self._after, self._stamp, self.count = kept["after"], kept["stamp"], kept["count"]
        self._resumed_at = self._stamp
        return self._after

    def refuse_older(self, first: Archived) -> None:
        """Raise DataError where this run's first message is older than the last one that was printed: an ejabberd that
        does not know the id, being another server, begins anew without a word.
        """
        resumed_at, self._resumed_at = self._resumed_at, None  # later the server's clock may have been set back
        if resumed_at is not None and first.moment is not None and rfc3339(first.moment) < resumed_at:
            raise DataError(
                f"{self._path} is the checkpoint of another server: after its last message, of {resumed_at}, this one"
                f" has one of {rfc3339(first.moment)}",
                hint="begin anew, with another checkpoint and output",
            )

    def note(self, last: Archived, count: int) -> None:
        """Everything up to this message is printed, `count` of them just now."""
        self._after = last.archive_id
        self._stamp = None if last.moment is None else rfc3339(last.moment)
        self.count += count
        if self._path is not None:
            self._keep()

    def _lock(self) -> None:
        """Two runs at once would each cut off what the other one writes. It ends when the output is closed."""
        if self._file() is None:
            return
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = "stdout is a file that another process has locked, such as an export into it"
            raise IoError(text, hint="wait for its end") from error
        except OSError:
            pass  # not every network file system knows locks

    def _keep(self) -> None:
        assert self._path is not None
        where = {"after": self._after, "stamp": self._stamp, "file": self._file()}
        kept = {**where, "count": self.count, "query": self._query}
        try:
            write_aside(self._path.resolve(), json.dumps(kept).encode())  # a link stays a link
        except OSError as error:
            raise IoError(f"{self._path}: {os_reason(error)}") from error

    def _kept(self, path: Path) -> dict[str, Any]:
        try:
            kept = json.loads(read_regular(path))
            found = {"after": kept["after"], "file": kept["file"], "count": kept.get("count", 0)}
            found |= {name: kept.get(name) for name in ("query", "stamp")}
            if not all(isinstance(found[name], kinds) for name, kinds in KINDS.items()):
                raise TypeError
            if found["file"] is not None and [type(one) for one in found["file"]] != [int] * 3:
                raise TypeError
        except OSError as error:
            raise IoError(f"{path}: {os_reason(error)}") from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise IoError(f"{path} is damaged, or not the checkpoint of an export", hint="give another") from error
        return found

    def _file(self) -> list[int] | None:
        """Which file stdout is, and how long; None where it is none."""
        facts = os.fstat(self._fd)
        return [facts.st_dev, facts.st_ino, facts.st_size] if stat.S_ISREG(facts.st_mode) else None

    def _cut(self, known: list[int] | None) -> None:
        now = self._file()
        if known is None or now is None:
            return
        if known[:2] != now[:2] or known[2] > now[2]:
            raise IoError(
                f"{self._path} belongs to another output, or to a longer one",
                hint="append to the same file (>>), or give another checkpoint",
            )
        try:
            os.ftruncate(self._fd, known[2])
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            raise IoError(f"stdout: {os_reason(error)}") from error


KINDS = {"after": str | None, "file": list | None, "count": int, "query": dict | None, "stamp": str | None}


def _told(query: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in query.items() if value is not None)
