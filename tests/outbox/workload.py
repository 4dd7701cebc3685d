"""What a session does to its store, step by step, the same for the same seed: for crashes at any moment of it.

As a program: `python -m outbox.workload FILE SEED STEPS` runs it and prints, as one line, each step that is over.
"""

import random
import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

from xmppsh.outbox.queue import Fate, Queue
from xmppsh.outbox.store import Store
from xmppsh.protocol.sm import MODULUS, Resumption
from xmppsh.xmlio.build import Xml

ACCOUNT = "juliet@example.org"
Content = tuple[Any, ...]
EMPTY: Content = ((), (), 0)


def content(store: Store) -> Content:
    """Everything the store says, without the clock."""
    stanzas = map(
        attrgetter("row", "session", "xml", "kind", "stanza_id", "recipient", "fate", "position", "wire", "owner"),
        store.entries(ACCOUNT),
    )
    sessions = map(attrgetter("id", "full_jid", "sm_id", "handled", "acked", "owner"), store.sessions(ACCOUNT))
    return (tuple(stanzas), tuple(sessions), store.confirmed)


class Workload:
    """A session over and over: stored, sent, acked; cut, resumed, lost and settled; claimed by another process."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self._random = path, random.Random(seed)
        self.queue = Queue()
        self.store = Store(path, "workload")
        self.finished: dict[str, str] = {}  # stanza id → the fate its row had last
        self._session: int | None = None
        self._sent = self._acked = self._handled = self._number = 0

    def steps(self, count: int) -> Iterator[tuple[str, bool]]:
        """Do `count` steps; each is told when it is over: its name, and whether it promised to survive a power loss."""
        self.store.begin(ACCOUNT)
        yield "begin", True
        for _ in range(count):
            if self._session is None:
                yield from self._open()
                continue
            often = {self._write: 10, self._finish: 8, self._note_handled: 4}
            seldom = {self._repeat: 1, self._lose: 1, self._reopen: 0.5, self._hand_over: 0.5}
            steps = {**often, **seldom}
            chosen = self._random.choices(list(steps), list(steps.values()))[0]
            yield from chosen()

    def _open(self) -> Iterator[tuple[str, bool]]:
        self._sent = self._acked = self._random.choice([0, MODULUS - 3, 2**31 - 1])
        self._handled = 0
        name = f"sm{self._random.getrandbits(32)}"
        self._session = self.store.open_session(ACCOUNT, f"{ACCOUNT}/{name}")
        yield "open_session", True
        self.store.note_resumption(self._session, Resumption(name, None, 120))
        yield "note_resumption", True

    def _write(self) -> Iterator[tuple[str, bool]]:
        new = []
        for _ in range(self._random.randint(1, 6)):
            self._number += 1
            body = "x" * self._random.choice([20, 200, 3000, 9000])
            xml = Xml(f"<message id='m{self._number}'><body>{body}</body></message>")
            new.append(self.queue.add(xml, "message", f"m{self._number}", "romeo@example.net", self._number))
        sent = self.queue.take(self._random.randint(0, 8))
        self.store.write(ACCOUNT, new, self._session, sent, self._sent + 1)
        self._sent += len(sent)
        yield "write", True

    def _finish(self) -> Iterator[tuple[str, bool]]:
        if self.queue.in_flight:
            done = self.queue.acked(self._random.randint(1, self.queue.in_flight))
            self._acked += len(done)
            self.finished |= dict.fromkeys((entry.stanza_id for entry in done), "sent")
            self.store.finish(self._session, done, self._acked % MODULUS)
            yield "finish", False

    def _note_handled(self) -> Iterator[tuple[str, bool]]:
        assert self._session is not None
        self._handled += self._random.randint(1, 5)
        self.store.note_handled(self._session, self._handled)
        yield "note_handled", False  # its loss costs a repetition by the server, no message

    def _repeat(self) -> Iterator[tuple[str, bool]]:
        self._sent = self._acked
        if again := self.queue.repeat():
            self.store.write(ACCOUNT, [], self._session, again, self._sent + 1)
            self._sent += len(again)
            yield "repeat", True

    def _lose(self) -> Iterator[tuple[str, bool]]:
        assert self._session is not None
        doubted = self.queue.doubt()
        self.store.close_session(self._session)
        self._session = None
        yield "close_session", False
        yield from self._open()
        cut = self._random.randint(0, len(doubted))
        final = self.queue.settle([Fate.ACKED] * cut + [Fate.QUEUED] * (len(doubted) - cut))
        self.finished |= dict.fromkeys((entry.stanza_id for entry in final), "sent")
        self.store.finish(self._session, final)
        yield "settle", False
        if again := doubted[cut:]:
            self.store.change(again)
            yield "change", True

    def _reopen(self) -> Iterator[tuple[str, bool]]:
        self.store.close()
        self.store = Store(self.path, self.store.owner)
        yield "reopen", False

    def _hand_over(self) -> Iterator[tuple[str, bool]]:
        former = self.store.owner
        self.store.close()
        self.store = Store(self.path, f"workload-{self._random.getrandbits(32)}")
        yield "reopen", False
        self.store.claim(former)
        yield "claim", True


if __name__ == "__main__":
    work = Workload(Path(sys.argv[1]), int(sys.argv[2]))
    for number, _ in enumerate(work.steps(int(sys.argv[3]))):
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
