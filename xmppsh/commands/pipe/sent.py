"""What `pipe` remembers of the stanzas that it sent, to know what answers them: the last ones, by their id."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from xmppsh.xmlio.plain import id_of, recipient_of

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
MAX_REMEMBERED = 10_000  # recent stanzas
MAX_MEAN_BYTES = 800  # of the messages of a batch that is kept as it is


class Sent:
    """A stanza that was sent: what knows its answer.

    awaited: how many answers may still come for its id, which the input may repeat; to: None where the same id went to
    several.
    """

    __slots__ = ("awaited", "is_request", "line", "to")

    def __init__(self, line: int, to: str | None, *, is_request: bool) -> None:
        self.line, self.to, self.is_request, self.awaited = line, to, is_request, 1

    def follows(self, before: Sent) -> None:
        """One of the same id was sent before."""
        self.awaited += before.awaited
        self.to = self.to if self.to == before.to else None


class Remembered:
    """The last MAX_REMEMBERED stanzas. Batches of messages are looked into when the first answer comes."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Sent] = OrderedDict()
        self._addressed: OrderedDict[str, None] = OrderedDict()
        self._batches: deque[tuple[int, list[bytes]]] = deque()  # the line where each begins
        self._in_batches = 0

    def add(self, stanza_id: str, sent: Sent) -> None:
        """A stanza is sent."""
        self._look_into_batches()  # so that the order stays
        self._add(stanza_id, sent)

    def _add(self, stanza_id: str, sent: Sent) -> None:
        to = sent.to
        if (before := self._by_id.get(stanza_id)) is not None:
            sent.follows(before)
        _put(self._by_id, stanza_id, sent)
        if to and not sent.is_request:  # a message, or a directed presence, may bounce
            _put(self._addressed, to, None)

    def add_batch(self, line: int, messages: list[bytes]) -> None:
        """Messages are sent, of which the first begins in this line, with the white space before it."""
        self._batches.append((line, messages))
        self._in_batches += len(messages)
        while self._in_batches - len(self._batches[0][1]) >= MAX_REMEMBERED:
            self._in_batches -= len(self._batches.popleft()[1])
        if sum(map(len, messages)) > MAX_MEAN_BYTES * len(messages):
            self._look_into_batches()

    def _look_into_batches(self) -> None:
        for line, messages in self._batches:
            for message in messages:
                start = line + message.count(b"\n", 0, message.index(b"<"))
                self._add(id_of(message), Sent(start, recipient_of(message), is_request=False))
                line += message.count(b"\n")
        self._batches.clear()
        self._in_batches = 0

    def find(self, stanza_id: str) -> Sent | None:
        """The stanza of this id."""
        self._look_into_batches()
        return self._by_id.get(stanza_id)

    def addresses(self) -> Iterator[str]:
        """Whom messages and presence were sent to, each once, the last one first."""
        batches = (map(recipient_of, reversed(messages)) for _, messages in reversed(self._batches))
        return iter(dict.fromkeys(chain(chain.from_iterable(batches), reversed(self._addressed))))


def _put(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MAX_REMEMBERED:
        kept.popitem(last=False)
