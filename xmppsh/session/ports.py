"""What the rooms of a session ask of each other and of whoever is plugged in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from xmppsh.errors import XmppshError
    from xmppsh.model import Element, Jid
    from xmppsh.protocol.sm import StreamManagement
    from xmppsh.xmlio.build import Xml


class Wire(Protocol):
    """Where the way out ends and the way in begins: the stream in use. A connection is one."""

    sm: StreamManagement | None
    """The counters of the session; None where the server does not count."""

    @property
    def is_up(self) -> bool:
        """Is there a stream to write on?"""

    @property
    def has_acks(self) -> bool:
        """Does the server acknowledge stanzas on it (XEP-0198)?"""

    @property
    def next_number(self) -> int:
        """The number that the next stanza will have in the server's count; 0 where it does not count."""

    @property
    def acked(self) -> int | None:
        """The last h of the server's; None where it does not count."""

    def write(self, stanza: Xml) -> None:
        """Count a stanza and hand its bytes to the link."""

    def write_batch(self, messages: list[bytes]) -> None:
        """The same for many messages, in one write."""

    def request_ack(self) -> None:
        """Write `<r/>`."""

    def mark_handled(self, number: int, count: int = 1) -> None:
        """The program has handled `count` inbound stanzas from this number on: they may be acknowledged."""

    def hold_reading(self, held: bool) -> None:
        """Stop reading from the link, or go on."""

    def note_activity(self) -> None:
        """The server has shown that it lives, or the link is no longer idle: its silence is counted from now on."""

    def abandon(self, error: XmppshError) -> None:
        """End the stream cleanly for a reason of ours; the session ends with it."""


class Sender(Protocol):
    """Who can send an IQ and knows whose answers count."""

    jid: Jid

    @property
    def timeout_s(self) -> float:
        """How long an answer is waited for, in seconds."""

    def send_iq(self, stanza: Xml) -> None:
        """Send it after everything that was handed in before."""

    def send_ahead(self, stanza: Xml) -> None:
        """Send it at once, before what is queued."""


class Interceptor:
    """Sees every inbound stanza before the session does, and hears what happens to its stream.

    A session has an ordered list of them; this one does nothing.
    """

    async def run(self) -> None:
        """Work as long as the session lives."""

    async def before_connecting(self) -> None:
        """The link is cut, and the next one is about to be tried: wait if it has to."""

    def on_live(self) -> None:
        """A stream came to life."""

    def on_store_delivered(self) -> None:
        """After our presence the server has delivered what it had stored."""

    def intercept(self, stanza: Element, handled: Callable[[], None]) -> bool:
        """Deal with an inbound stanza (True), or leave it to the others; call `handled` when it may be acknowledged."""
        return False

    @property
    def wants_messages(self) -> bool:
        """Does `intercept` look at messages? Then none arrive together."""
        return True

    @property
    def comes_before_presence(self) -> bool:
        """Is there something to do on another session before we are available? Then it is announced by us."""
        return False

    def before_ack(self, h: int) -> None:
        """An `<a h>` is written next."""

    def on_lag(self) -> None:
        """The link is not read, since the readers lag; or it is again."""

    def is_expected_end(self, error: XmppshError | None) -> bool:
        """Is this how a stream ends whose session somebody of ours has closed? Then another one may begin."""
        return False

    async def final_count(self, sm_id: str) -> int | None:
        """The server's final count of what a lost session had sent, where somebody of ours knows it.

        Raises XmppshError when the link breaks meanwhile.
        """
        return None
