"""`pipe --checkpoint` proves that the input is the same one: a digest of it is kept beside how far it is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from xmppsh.errors import DataError
from xmppsh.xmlio.reader import END

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EACH_UP_TO = 64  # every stanza of a short input is proved, of a long one every 64th that is sent by itself


class Proof:
    """former: how far an earlier run has proved it, and the digest there. keep: stores a new one."""

    def __init__(self, former: tuple[int, bytes] | None, keep: Callable[[int, bytes], None]) -> None:
        self._former, self._keep = former, keep
        self._digest = hashlib.sha256()
        self._position = 0

    def took(self, source: bytes) -> None:
        """A stanza of the input, as it stands there; raises DataError where it is not that of the earlier run."""
        self._digest.update(source)
        self._position += 1
        if self._former is not None and self._position == self._former[0] and self._digest.digest() != self._former[1]:
            raise DataError(
                f"the input is not the one that the checkpoint is of: its first {self._position} stanzas differ",
                hint="the same input again, or another --checkpoint for this one",
            )

    def took_batch(self, messages: Sequence[bytes]) -> None:
        """Plain messages of the input (xmlio/plain.py)."""
        for message in messages:
            self.took(message.lstrip() + END)

    def note(self, *, is_batch: bool = False) -> None:
        """What was taken is sent next."""
        if is_batch or self._position <= EACH_UP_TO or self._position % EACH_UP_TO == 0:
            self._keep(self._position, self._digest.digest())
