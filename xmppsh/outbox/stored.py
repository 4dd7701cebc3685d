"""The rows of the outbox, as they are read."""

from __future__ import annotations

from xmppsh.outbox.queue import Entry, Fate
from xmppsh.plain import dataclass
from xmppsh.xmlio.build import Xml


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session that some process has opened.

    acked: the server's h for what we sent; handled: ours for what it sent; owner: the process (owner.py); started, and
    written, when its last stored stanza left: seconds since the epoch.
    """

    id: int
    account: str
    full_jid: str
    sm_id: str | None
    location: str | None
    max_s: int | None
    handled: int
    acked: int
    started: float
    owner: str
    written: float


@dataclass(frozen=True, slots=True)
class StoredStanza:
    """A stanza without a final fate; wire: its number in its session; stored: seconds since the epoch."""

    row: int
    session: int | None
    xml: str
    kind: str
    stanza_id: str
    recipient: str
    fate: str
    position: int | None
    wire: int | None
    stored: float
    owner: str

    def entry(self) -> Entry:
        """As the queue wants it back."""
        return Entry(
            0, Xml(self.xml), self.kind, self.stanza_id, self.recipient, Fate(self.fate), self.row, self.position
        )
