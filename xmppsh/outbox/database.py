"""A SQLite file of ours: made with the right modes, refused when it is damaged or another program's, errors of ours."""

from __future__ import annotations

import _sqlite3 as sqlite3  # what `sqlite3` wraps: that one loads datetime
import os
from _thread import allocate_lock
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from xmppsh.config.ours import make_folder, open_private, refuse_foreign_file, why_closed
from xmppsh.errors import IoError
from xmppsh.outbox.damage import DamagedStore
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future, ThreadPoolExecutor
    from pathlib import Path
    from typing import NoReturn

MIN_FILE_BYTES = 512  # SQLite's smallest page
# Measured with the rows of `pipe`: a third less time for a commit than with 4 KiB pages and a checkpoint at 4 MiB, and
# not more for a row of one message.
PAGE_BYTES, CHECKPOINT_PAGES = 8192, 2000
BUSY_S = 30.0  # for the transaction of another process: a disk that is busy takes its commit late
MAGIC = b"SQLite format 3\0"
# The files that this process has open, by device and inode. POSIX takes all of a process's locks on a file when it
# closes any descriptor of it (https://sqlite.org/howtocorrupt.html §2.2): another process would then fold the journal
# in and remove it while we write to it. So nobody looks at the bytes of such a file but SQLite.
_in_use: Counter[tuple[int, int]] = Counter()
_opening = allocate_lock()


class Database:
    """One file in WAL mode. Every method commits before it returns; raises IoError (74) when the disk does not take it.
    One that does not wait leaves the commit to a thread: `committing` ends with it, or with the IoError, and what is
    done to the file next waits for that.

    application, version: what the file is marked with (SQLite's application_id and user_version). schema: the
    statements that make the tables, and add those that are missing in a file of a version from `oldest` on.
    """

    def __init__(self, path: Path, application: int, version: int, schema: str, oldest: int | None = None) -> None:
        self.path, self._application = path, application
        self._is_durable: bool | None = None  # are transactions synced? None: as SQLite has it
        self.committing: Future[None] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._versions = range(version if oldest is None else oldest, version + 1)
        with self._guarded():
            make_folder(path.parent)
            self._refuse_foreign()
            with _opening:
                self._refuse_remains()
                self._database = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
                self._identity = _identity(path)
                _in_use[self._identity] += 1
            try:
                self._set_up(application, version, schema)
            except BaseException:  # whatever ends it, the file is in use no more
                self.close()
                raise

    def _set_up(self, application: int, version: int, schema: str) -> None:
        found = self._check_kind()
        if not found:
            self.path.chmod(0o600)  # an empty file that was there
        self._database.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        # Debian's SQLite fills each page with zeros that is not used any more, and writes that to the disk: as much
        # again as what is stored. FAST does it where a page is written anyway.
        self._database.execute("PRAGMA secure_delete = FAST")
        self._database.execute("PRAGMA foreign_keys = ON")
        if found != version:
            marks = f"PRAGMA application_id = {application};\nPRAGMA user_version = {version};"
            self._database.executescript(f"BEGIN IMMEDIATE;\n{schema}\n{marks}\nCOMMIT;")

    def _check_kind(self) -> int:
        """The file's version, 0 of a new one. Raises IoError when it is something else than what is wanted."""
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        is_ours = application == self._application and version in self._versions
        if not is_ours and (application, version) != (0, 0):
            raise IoError(f"{self.path}: written by another version of xmppsh", hint="move the file away")
        if application == 0 and tables:
            raise IoError(f"{self.path} is a database of another program", hint="give another file")
        return int(version)

    def _refuse_foreign(self) -> None:
        """A file or journal that somebody else has put there is no outbox; ours is made here, with its mode."""
        for suffix in ("", "-wal", "-shm", "-journal"):
            path = self.path.with_name(self.path.name + suffix)
            refuse_foreign_file(path, "a file of messages")
            if path.is_symlink() and not path.exists():
                raise IoError(f"{path} is a link that leads nowhere", hint="move it away, or give another file")
            if path.exists() and not path.is_file():
                raise IoError(f"{path} is not a regular file", hint="move it away, or give another file")
        with suppress(FileExistsError):
            os.close(open_private(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL))

    def _refuse_remains(self) -> None:
        """SQLite would take a file that lost its bytes for a new one, and its journal with it; and it would read zeros
        where a part of the last page is missing."""
        if not self.path.exists() or _in_use[_identity(self.path)]:
            return
        size_bytes = self.path.stat().st_size
        if 0 < size_bytes < MIN_FILE_BYTES or (size_bytes == 0 and self._has_bytes("-wal")):
            self._refuse("beginning")
        with self.path.open("rb") as file:
            header = file.read(18)
        page_bytes = int.from_bytes(header[16:18], "big")  # https://sqlite.org/fileformat.html §1.3.2; 1: 65536
        is_torn = header.startswith(MAGIC) and size_bytes % max(MIN_FILE_BYTES, page_bytes) != 0
        if is_torn and not self._has_bytes("-wal") and not self._has_bytes("-journal"):
            self._refuse("end")

    def _has_bytes(self, suffix: str) -> bool:
        file = self.path.with_name(self.path.name + suffix)
        return file.exists() and file.stat().st_size > 0

    def _refuse(self, part: str) -> NoReturn:
        raise DamagedStore(
            f"{self.path}: the file is damaged, its {part} is missing",
            hint="move it away with its -wal; what it held is not known",
        )

    def close(self) -> None:
        """Close the file; SQLite folds its journal in."""
        if self._thread is not None:
            self._thread.shutdown()
        with _opening:
            self._database.close()
            _in_use[self._identity] -= 1

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Use the file in here."""
        if self.committing is not None:
            self.committing.exception()  # who began it is told
            self.committing = None
        with self._translated():
            yield

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """What is asked in here, and fetched, is of one moment, whatever other processes write meanwhile."""
        with self._guarded():
            self._database.execute("BEGIN")
            with self._undoing():
                yield self._database
                self._database.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # a bug of ours
        except sqlite3.OperationalError as error:
            hint = "is the disk full?" if "full" in str(error) or "I/O" in str(error) else None
            raise IoError(f"{self.path}: {self._reason(error)}", hint=hint) from error
        except sqlite3.DatabaseError as error:
            raise DamagedStore(f"{self.path}: {error}", hint="move the file away; what it held is not known") from error
        except OSError as error:
            raise IoError(f"{error.filename or self.path}: {os_reason(error)}") from error

    def _reason(self, error: sqlite3.OperationalError) -> str:
        """Where the file is not ours to write, SQLite tells that, but not why."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            return "another process keeps it locked"
        if code not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            return str(error)
        return why_closed(self.path) or why_closed(self.path.parent) or str(error)

    @contextmanager
    def _transaction(self, *, durable: bool, waits: bool = True) -> Iterator[sqlite3.Connection]:
        with self._guarded():
            if durable is not self._is_durable:
                self._database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._is_durable = durable
            self._database.execute("BEGIN IMMEDIATE")
            with self._undoing():
                yield self._database
                if waits:
                    self._database.execute("COMMIT")
            if not waits:
                from concurrent.futures import ThreadPoolExecutor  # and with it logging: who stores one message waits

                self._thread = self._thread or ThreadPoolExecutor(1)
                self.committing = self._thread.submit(self._commit)

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        """Whatever happens in here, half a transaction does not stay."""
        try:
            yield
        except BaseException:  # a cancelled command leaves no half of it either; it is raised again
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _commit(self) -> None:
        """In the thread. SQLite lets Python's other threads run while it waits for the disk."""
        with self._translated(), self._undoing():
            self._database.execute("COMMIT")


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino
