"""The stanzas of the shell's own lines: which id belongs to which line, and what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xmppsh.errors import XmppshError
from xmppsh.model import Jid
from xmppsh.plain import dataclass
from xmppsh.protocol.conditions import stanza_error
from xmppsh.shell.lines.failure import placed
from xmppsh.xmlio.reader import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.errors import StanzaError
    from xmppsh.model import Element
    from xmppsh.session.session import Session

MAX_REMEMBERED = 10_000  # messages; a bounce later than that is shown without its line
PREVIEW_CHARACTERS = 30


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line was written: `line 7` of a script, or a typed message by its first words (number 0)."""

    label: str
    number: int = 0

    @classmethod
    def line(cls, number: int) -> Place:
        """A line of a script, from 1."""
        return cls(f"line {number}", number)

    @classmethod
    def typed(cls, text: str) -> Place:
        """A line of the prompt."""
        first = text.strip().split("\n")[0]
        more = len(first) > PREVIEW_CHARACTERS or first != text.strip()
        return cls(f"“{first[:PREVIEW_CHARACTERS]}{'…' if more else ''}”")


class Sent:
    """Remembers messages and presence, and reports their bounces (RFC 6120 §8.3) by `on_bounce(place, error)`."""

    def __init__(self, session: Session, on_bounce: Callable[[Place, XmppshError], None]) -> None:
        self._session, self._on_bounce = session, on_bounce
        self._places: dict[tuple[str, Jid], Place] = {}
        self._bounces = session.bounces()

    def remember(self, stanza_id: str, to: Jid | None, place: Place) -> None:
        """A message left; to: None is our own account."""
        address = to if to is not None else self._session.jid
        self._places[stanza_id, address.bare] = place
        if len(self._places) > MAX_REMEMBERED:
            del self._places[next(iter(self._places))]

    @property
    def addresses(self) -> set[str]:
        """Where bounces may come from."""
        return {str(to) for _, to in self._places}

    def place_of(self, stanza: Element) -> Place | None:
        """The line whose message this error answers."""
        try:
            sender = Jid.parse(stanza.sender) if stanza.sender else self._session.jid
        except XmppshError:
            return None
        return self._places.get((stanza.id or "", sender.bare))

    def tell(self, stanza: Element) -> bool:
        """Report an error that answers one of the lines; False where it answers none."""
        place = self.place_of(stanza)
        if place is not None:
            self._on_bounce(place, placed(bounce(stanza), place.label))
        return place is not None

    async def collect(self) -> None:
        """Report bounces as they come. It waits for nothing else, so after `Session.fence` all are reported."""
        async for stanza in self._bounces:
            self.tell(stanza)


def bounce(stanza: Element) -> StanzaError:
    """The error that a message or a presence came back with."""
    return stanza_error(tree(stanza), stanza.sender or "the server")
