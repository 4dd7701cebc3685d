"""Where an inbox keeps what waits for its reader, and how its next run knows what was handed on."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from xmppsh import ns
from xmppsh.config.paths import STATE_HINT, file_name
from xmppsh.errors import IoError
from xmppsh.outbox.inbox_store import Arrival, InboxStore
from xmppsh.outbox.lately import Lately
from xmppsh.outbox.owner import Owner
from xmppsh.session.repeats import own_stanza_id
from xmppsh.texts import os_reason
from xmppsh.xmlio.build import element

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from xmppsh.model import Jid

BATCH = 100  # stanzas that are read from the file at a time
PRUNE_EVERY = 1000  # stanzas handed on
MAX_NOTED = 4096  # characters of a stanza that was printed; of a longer one its stanza-id alone is noted


class InboxFile:
    """Where an inbox keeps what waits; the file is opened when it is there already, or something is to be stored.

    account: the own bare JID. reader: which command of which address reads. max_bytes: of XML that waits. lately: notes
    what was handed on without having been stored.
    """

    def __init__(
        self, path: Path, owner: Owner, account: str, reader: str, max_bytes: int, lately: Lately | None = None
    ) -> None:
        self.max_bytes = max_bytes
        self.count = self.size = 0  # stanzas that wait, and their XML
        self.reader = reader
        self._path, self._owner, self._account, self._lately = path, owner, account, lately
        self._former: set[str] | None = None  # the stanza-ids of what a killed run had handed on
        self._opened: InboxStore | None = None
        self._next: deque[Arrival] = deque()
        self._last = self._handed_on = 0

    @classmethod
    def of(cls, state: Path, jid: Jid, command: str, max_bytes: int, on_trouble: Callable[[str], None]) -> InboxFile:
        """For a command that reads as `jid`, below the state folder. on_trouble: see Lately."""
        folder, account, reader = state / "inbox", str(jid.bare), f"{command} {jid}"
        path = folder / f"{file_name(account)}.sqlite"
        lately = Lately(folder, reader, on_trouble)
        return cls(path, Owner(folder / "locks", "reader"), account, reader, max_bytes, lately)

    def recall(self) -> set[str]:
        """Claim what a dead process left; the stanza-ids of all that is known. Raises IoError."""
        if self._former is None:
            self._former = self._handed_on_by_former()
        return self._former | (self._store.stanza_ids() if self._path.exists() else set())

    def _handed_on_by_former(self) -> set[str]:
        if self._lately is None:
            return set()
        try:
            noted = self._lately.recall()
        except OSError as error:
            hint = STATE_HINT if isinstance(error, PermissionError) else "move it away"
            raise IoError(f"{error.filename or self._path.parent}: {os_reason(error)}", hint=hint) from error
        return {found for xml in noted if (found := _stanza_id_if_any(xml, self._account))}

    def note_handed_on(self, stanzas: Sequence[str]) -> None:
        """These were handed on and dealt with, and are not acknowledged yet; what has no stanza-id cannot be known
        again."""
        if self._lately is not None:
            self._lately.note([self._short(xml) for xml in stanzas if ns.SID in xml])

    def _short(self, xml: str) -> str:
        if len(xml) <= MAX_NOTED:
            return xml
        facts = {"xmlns": ns.SID, "by": self._account, "id": own_stanza_id(xml, self._account)}
        return element("message", None, element("stanza-id", facts))

    def end(self, *, is_acked: bool) -> None:
        """Nothing more is handed on. is_acked: the server knows that all of it was."""
        if self._lately is not None:
            self._lately.close(forget=is_acked)

    @property
    def _store(self) -> InboxStore:
        if self._opened is None:
            self._owner.take(self._account, self._path)
            self._opened = InboxStore(self._path, self.reader, self._owner.name)
            self._opened.claim(self._owner.is_alive)
            self._owner.forget_dead()
            self.count, self.size = self._opened.size()
        return self._opened

    @property
    def is_full(self) -> bool:
        """Does as much wait as may?"""
        return self.size >= self.max_bytes

    def add(self, arrivals: list[Arrival], read: list[Arrival]) -> None:
        """Store what arrived, and that others were `read` without having been stored. Raises IoError."""
        if read:
            self._store.note_read(read)
        self._store.add(arrivals)
        self.count += len(arrivals)
        self.size += sum(len(one.xml) for one in arrivals)

    def next(self) -> Arrival | None:
        """The next one to hand on."""
        if not self.ahead(1):
            return None
        self._last = self._next[0].row
        return self._next.popleft()

    def ahead(self, most: int) -> list[Arrival]:
        """The next ones to hand on, at most so many; they stay the next ones."""
        if self.count and not self._next:
            self._next.extend(self._store.waiting(self._last, BATCH))
        return list(islice(self._next, most))

    def texts(self) -> list[str]:
        """The XML of those that wait."""
        return [one.xml for one in self._store.waiting(0, self.count)] if self.count else []

    def skip(self, count: int) -> None:
        """So many of them were handed on and dealt with."""
        skipped = [self._next.popleft() for _ in range(count)]
        if skipped:
            self._last = skipped[-1].row
            self.read(*skipped)

    def read(self, *arrivals: Arrival) -> None:
        """They were handed on and dealt with."""
        self._store.read(*arrivals)
        self.count -= len(arrivals)
        self.size -= sum(len(one.xml) for one in arrivals)
        before, self._handed_on = self._handed_on, self._handed_on + len(arrivals)
        if before // PRUNE_EVERY != self._handed_on // PRUNE_EVERY:
            self._store.prune()

    def close(self) -> None:
        """Close the file; what waits in it is the next run's."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        self._owner.close()


def _stanza_id_if_any(xml: str, by: str) -> str:
    """The same of what may be torn: nothing of it was synced before a power cut."""
    try:
        return own_stanza_id(xml, by)
    except ParseError:
        return ""
