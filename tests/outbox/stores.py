"""What tests put into a store, and what they look at there."""

from typing import Any

from outbox.workload import ACCOUNT

from xmppsh.outbox.queue import Entry, Queue
from xmppsh.outbox.store import Store
from xmppsh.protocol.sm import Resumption
from xmppsh.xmlio.build import Xml


def entries(count: int, queue: Queue | None = None) -> list[Entry]:
    queue = queue or Queue()
    return [
        queue.add(Xml(f"<message id='m{place}'>é</message>"), "message", f"m{place}", "romeo@example.net", place)
        for place in range(1, count + 1)
    ]


def opened(store: Store) -> int:
    """A session that can be resumed."""
    session = store.open_session(ACCOUNT, f"{ACCOUNT}/x")
    store.note_resumption(session, Resumption("sm1", "there:5222", 60))
    return session


def told(store: Store, *names: str) -> list[tuple[Any, ...]]:
    """These facts of each stanza."""
    return [tuple(getattr(one, name) for name in names) for one in store.entries(ACCOUNT)]
