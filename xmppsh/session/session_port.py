"""What a command, or a protocol of `xep/`, asks of its session: a real one, the shell's, or that of `--dry-run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from xmppsh.connection.options import SessionOptions
    from xmppsh.errors import XmppshError
    from xmppsh.model import Element, Jid
    from xmppsh.outbox.inbox_store import Arrival
    from xmppsh.outbox.queue import Fate
    from xmppsh.session.bus import WaitingRun
    from xmppsh.xmlio.build import Xml

    Collect = Callable[["Reader"], Awaitable[None]]


class RequestsPort(Protocol):
    """IQ requests (session/requests.py)."""

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result; raises StanzaError, DeadlineExceeded, ConnectionLost."""

    async def fence(self, addresses: Iterable[str]) -> bool:
        """Wait until every bounce from these addresses that comes at once has come; False where the session is lost."""


class Reader(Protocol):
    """An async iterator of stanzas. One is taken, and acknowledged, when its reader asks for the next."""

    def __aiter__(self) -> AsyncIterator[Element]:
        """Itself."""

    def cancel(self) -> None:
        """What was read last is dealt with. Read no more: the iteration ends, what is left stays with the server."""

    def stop(self) -> None:
        """Read no more; what was read last is dealt with when the next one is asked for, and not before."""

    def stored(self, most: int) -> list[Arrival]:
        """What was read last is dealt with; what is next, at most so many, where it is stored. It stays where it is
        until `took_stored` tells how many of them are dealt with, before anything else is waited for."""

    def took_stored(self, count: int) -> None:
        """So many of these are dealt with, from the first on."""

    def together(self) -> WaitingRun | None:
        """What was read last is dealt with; messages that came together and are next, if there are any. They stay
        where they are until `took` tells how many of them are dealt with, before anything else is waited for."""

    def took(self, run: WaitingRun, count: int, *, keeps_up: bool) -> None:
        """So many of these messages are dealt with. keeps_up: nothing had to be waited for."""

    def keep(self) -> Arrival | None:
        """Store what was read last while more is read (Inbox.keep); None where it cannot be stored."""

    def forget(self, arrival: Arrival) -> None:
        """What was kept is dealt with."""

    def finish(self) -> None:
        """Read what waits, and then no more."""


class Reading(Protocol):
    """A block during which readers are read."""

    async def __aenter__(self) -> Self:
        """Begin."""

    async def __aexit__(self, *_error: object) -> None:
        """Let the readers go."""

    async def finish(self) -> None:
        """See all that has come by now."""


class SessionPort(Protocol):
    """A bound session, as handlers see it (session/session.py)."""

    @property
    def jid(self) -> Jid:
        """Our full JID."""

    @property
    def options(self) -> SessionOptions:
        """What it was opened with."""

    @property
    def rooms(self) -> Mapping[str, str]:
        """The rooms that it stays in, by bare address, each with our nick: no command leaves them."""

    @property
    def requests(self) -> RequestsPort:
        """The IQ requests."""

    @property
    def sent_count(self) -> int:
        """How many stanzas were handed in."""

    @property
    def acked_count(self) -> int:
        """How many of them the server has acknowledged."""

    @property
    def waiting_count(self) -> int:
        """How many of them were never written."""

    @property
    def unproven_count(self) -> int:
        """How many were written, and nobody knows whether they arrived."""

    @property
    def failed_count(self) -> int:
        """How many IQ and presence ended with a session that was lost."""

    @property
    def open_fates(self) -> dict[int, Fate]:
        """The fate of each stanza, by its number, that is not acknowledged."""

    @property
    def restored_position(self) -> int:
        """How many stanzas of the input an earlier run with the same checkpoint has confirmed."""

    @property
    def is_cut(self) -> bool:
        """Is there no link at the moment?"""

    @property
    def cause(self) -> XmppshError:
        """Why the link is cut, or the session over."""

    def send(
        self, stanza: Xml, *, kind: str = "", stanza_id: str = "", to: str = "", position: int | None = None
    ) -> int:
        """Hand one stanza in; returns its number (Streams.send)."""

    def broadcast_presence(self, availability: Xml) -> int:
        """Tell our presence to all who may see it."""

    async def acked(self, number: int, timeout_s: float | None = None) -> None:
        """Wait until the server has handled everything up to stanza `number`."""

    async def through(self, number: int, addresses: Iterable[str]) -> None:
        """Wait for `acked`, and until every bounce from these addresses that comes at once has come."""

    async def written(self) -> None:
        """Wait until everything has been handed to the network."""

    async def wait_for_window(self, window: int) -> None:
        """Wait until fewer than `window` stanzas are unacknowledged."""

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result."""

    def collecting(self, query_id: str) -> AbstractContextManager[list[Element]]:
        """The archive's results for an open query (XEP-0313 §4.2)."""

    def subscribe(self, *kinds: str) -> Reader:
        """Read stanzas of these kinds that arrive from now on."""

    def beside(self, *work: tuple[Reader, Collect]) -> Reading:
        """Hand each reader to its function for as long as a block runs."""

    def bounces(self) -> Reader:
        """Read the messages that came back with an error."""

    def receipts(self) -> Reader:
        """Read delivery receipts (XEP-0184)."""


class BulkSessionPort(SessionPort, Protocol):
    """A session that takes many messages at once, for `pipe`."""

    @property
    def restored_proof(self) -> tuple[int, bytes] | None:
        """What the input was as far as an earlier run proved it: so many stanzas, and their digest."""

    def prove(self, position: int, digest: bytes) -> None:
        """Keep what the input is as far as `position` (Session.prove)."""

    def send_batch(self, messages: list[bytes], position: int | None = None) -> None:
        """Hand messages in that leave together (Session.send_batch)."""

    async def wait_for_room(self, window: int, wanted: int) -> int:
        """Wait until of `window` stanzas enough are free; how many may be handed in, at most `wanted`."""
