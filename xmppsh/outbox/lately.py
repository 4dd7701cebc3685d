"""What a reader has printed last: after `kill -9` its next run does not print it again.

A server gives back what a dead session had not acknowledged, and an acknowledgement stands for up to a hundred
messages. So each one is written down as soon as it is printed. Two files take turns, so that the last KEPT are there at
least. Nothing is synced: what was written outlives the process, and after a power cut a few may be printed again.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.config.ours import make_folder, open_private, read_private, write_all, write_aside
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

KEPT = 5_000  # stanzas: what an archive gave may come from the store as well, and ejabberd keeps as many for a session
END = "\0"  # after each stanza; no XML has it


class Lately:
    """The files of one reader; they are made with the first stanza.

    reader: which command of which address reads (`listen romeo@example.net`). on_trouble: is told once why nothing is
    written down any more.
    """

    def __init__(self, folder: Path, reader: str, on_trouble: Callable[[str], None]) -> None:
        name = hashlib.sha256(reader.encode()).hexdigest()[:16]
        self._folder, self._on_trouble = folder, on_trouble
        self._paths = [folder / f"{name}.printed-{number}" for number in range(2)]
        self._recalled: list[os.stat_result] = []  # the files that were there
        self._files: list[int] = []  # the one that is written to, and the one before it
        self._count = 0  # stanzas in that one
        self._is_broken = False

    def recall(self) -> list[str]:
        """The XML of what the last run printed, where it was killed, and for a while of the one before it."""
        found: list[str] = []
        for path in self._paths:
            with suppress(FileNotFoundError):
                self._recalled.append(path.stat())
                *whole, _ = read_private(path).split(END.encode())  # the last one may have been cut
                found += [one.decode(errors="replace") for one in whole]
        return found

    def note(self, stanzas: Sequence[str]) -> None:
        """The XML of what was printed just now."""
        if self._is_broken or not stanzas:
            return
        try:
            if not self._files:
                self._begin()
            elif self._count >= KEPT:
                self._turn()
            write_all(self._files[0], "".join([f"{one}{END}" for one in stanzas]).encode())
        except OSError as error:
            self._is_broken = True
            self._on_trouble(os_reason(error))
        self._count += len(stanzas)

    def _begin(self) -> None:
        """With what a killed run has left, which may come yet."""
        left = "".join([f"{one}{END}" for one in self.recall()])
        make_folder(self._folder)
        write_aside(self._paths[0], left.encode())  # another one, where a process that we have replaced still writes
        self._paths[1].unlink(missing_ok=True)
        for path in self._paths:
            self._files.append(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))

    def _turn(self) -> None:
        self._files.reverse()
        os.ftruncate(self._files[0], 0)
        self._count = 0

    def close(self, *, forget: bool) -> None:
        """Write no more. forget: nothing of it comes again, so the files go (those of another process stay)."""
        ours = [*map(os.fstat, self._files), *self._recalled]
        for path in self._paths if forget else []:
            with suppress(OSError):  # at worst it is there still, and recognises what nobody sends again
                if any(os.path.samestat(path.stat(), one) for one in ours):
                    path.unlink()
        for fd in self._files:
            os.close(fd)
        self._files, self._is_broken = [], True
