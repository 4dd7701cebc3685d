"""Journals as living and dead processes leave them."""

import os
from collections.abc import Callable

from xmppsh.outbox.journal import Journal
from xmppsh.outbox.queue import Queue
from xmppsh.protocol.sm import Resumption
from xmppsh.xmlio.build import Xml

ACCOUNT = "juliet@example.org"
FULL = f"{ACCOUNT}/balcony"
Begin = Callable[..., Journal]


def fill(queue: Queue, count: int, kind: str = "message") -> None:
    for _ in range(count):
        number = queue.last_number + 1
        queue.add(Xml(f"<{kind}/>"), kind, f"m{number}", "romeo@example.net", number)


def crash(journal: Journal) -> None:
    """As a killed process leaves it: nothing is closed, and nobody holds the lock."""
    journal.store.close()
    journal._store = None
    if journal._run is not None:
        os.close(journal._run)
        journal._run = None
    assert journal.owner._fd is not None
    os.close(journal.owner._fd)
    journal.owner._fd = None


def open_session(journal: Journal, sm_id: str = "sm1") -> None:
    journal.bound(FULL)
    journal.opened(Resumption(sm_id))
