"""`Storage`: the state folder of a command: outboxes, inboxes, and the locks that tell which programs live."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from xmppsh.config.paths import has_files, refuse_foreign_state, state_folder, writable_state
from xmppsh.errors import DeadlineExceeded, IoError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from xmppsh.app.console import Console
    from xmppsh.connection.hashing import Hashing
    from xmppsh.ghosts.guard import Guard
    from xmppsh.model import Jid
    from xmppsh.net.head_start import HeadStart
    from xmppsh.outbox.journal import Journal

POLL_S = 0.05


class Storage:
    """What is kept on disk.

    head_start, hashing: what a one-shot began early, its connection and its hash. guard: of a command whose session
    outlives its socket; it is told who owns what. left_open: a session of this process ended, and its server was not
    told.
    """

    def __init__(self, console: Console) -> None:
        self.guard: Guard | None = None
        self.head_start: HeadStart | None = None
        self.hashing: Hashing | None = None
        self.left_open = False
        self._console = console

    @cached_property
    def state(self) -> Path:
        """The folder of outboxes and locks; raises IoError, which names the variable to set, when there is none.

        Raises ConfigError when others could write there.
        """
        return writable_state(self.folder)

    @cached_property
    def state_if_any(self) -> Path | None:
        """The same for what can do without: None when there is none, which `-v` tells."""
        try:
            return self.state
        except IoError as error:
            self._console.log(1, f"nothing is kept on disk: {error}; {error.hint}")
            return None

    @cached_property
    def folder(self) -> Path | None:
        """Where it would be, whether or not it is there and can be written; raises ConfigError when others could."""
        if (folder := state_folder(self._console.env)) is not None:
            refuse_foreign_state(folder)
        return folder

    @property
    def locks(self) -> Path:
        """The folder of the locks that tell which processes live."""
        return self.state / "locks"

    @property
    def has_locks(self) -> bool:
        """Has any program left a lock? Then nothing more has to be loaded to know that there is nothing."""
        return has_files(self.folder, "locks")

    @asynccontextmanager
    async def changing(self, timeout_s: float) -> AsyncIterator[None]:
        """For who reads what the server keeps, and then changes a part of it: of the programs of this machine one at a
        time, so that none overwrites what another has just written. Raises DeadlineExceeded.
        """
        if (folder := self.state_if_any) is None:
            yield
            return
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            await _locked(fd, timeout_s)
            yield
        finally:
            os.close(fd)

    def journal(self, jid: Jid, path: Path | None = None) -> Journal:
        """The account's outbox on disk, or a checkpoint file, which keeps every stanza.

        Raises IoError where the folder of a checkpoint file does not exist: its name may be mistyped.
        """
        if path is not None and not path.parent.is_dir():
            raise IoError(f"{path}: the folder {path.parent} does not exist")
        from xmppsh.outbox.journal import Journal, account_file
        from xmppsh.outbox.owner import Owner

        state, account, owner = self.state, str(jid.bare), Owner(self.locks)
        if self.guard is not None:
            self.guard.watch(owner.name)
        on_moved = self._console.warn if path is None else None  # a checkpoint file is the user's
        return Journal(path or account_file(state, account), owner, account, everything=bool(path), on_moved=on_moved)


async def _locked(fd: int, timeout_s: float) -> None:
    """Wait for the lock without a thread, which could not be stopped from taking it later."""
    import fcntl

    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await asyncio.sleep(POLL_S)
                except OSError:
                    return None  # not every network file system knows locks
    except TimeoutError:
        text = f"another xmppsh has been changing what the server keeps for {timeout_s:g} s"
        raise DeadlineExceeded(text, layer="io", hint="xmppsh sessions list") from None
