"""The session: what commands talk to. It counts what the server has acknowledged, survives cuts, and closes.

Numbers, not futures: `send` gives the stanza's number in this session, `acked(number)` waits until the server has
handled it. A session with `resumable_s` survives its link (connection/lasting.py): what was unacknowledged goes out
again, in order, before anything new.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.connection.driver import CLOSE_WAIT_S
from xmppsh.errors import ConnectionLost, StanzaError, XmppshError
from xmppsh.protocol.binding import is_no_resource
from xmppsh.session.collecting import Collecting
from xmppsh.session.inbound import is_bounce
from xmppsh.session.outbound import MAX_BATCH_BYTES, MAX_WINDOW
from xmppsh.session.outcome import broken_after, no_ack, no_word, unsettled
from xmppsh.session.phase import CAN_SEND, Turn
from xmppsh.session.streams import Streams
from xmppsh.tasks import first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from xmppsh.errors import IoError
    from xmppsh.model import Element, Jid
    from xmppsh.outbox.queue import Entry, Fate
    from xmppsh.session.bus import Subscription
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.inbox_file import InboxFile
    from xmppsh.session.repeats import Repeats
    from xmppsh.session.session_port import Collect, Reader
    from xmppsh.xmlio.build import Xml


class Session(Streams):
    """A bound session of one account; whoever opens it closes it.

    told_up_to: on a session that outlives its commands, what was lost up to this number is told by somebody else.
    rooms: those that it stays in, by bare address, each with our nick; no command leaves them. own_presence: what the
    account's resources have said last, by full JID, where somebody keeps that; it is told to those that are available.
    """

    told_up_to = 0
    rooms: Mapping[str, str] = MappingProxyType({})
    own_presence: Mapping[str, Element] = MappingProxyType({})
    _repeats: Repeats | None = None  # what its inbox has read

    # ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Connect, log in, bind; raises what made it impossible, within the connect timeout."""
        try:
            await super().open()
        except StanzaError as error:
            if is_no_resource(error):
                self.outbound.never_bound()
            raise

    @property
    def mechanism(self) -> str:
        """The SASL mechanism of the last login."""
        return self.connection.mechanism

    @property
    def tls_version(self) -> str | None:
        """The TLS version of the last stream; None without TLS."""
        return self.connection.tls_version

    @property
    def cause(self) -> XmppshError:
        """Why the link is cut, or the session over."""
        return self.error or self.connection.last_error or ConnectionLost("the session is over")

    @property
    def sent_count(self) -> int:
        """How many stanzas were handed in."""
        return self.outbound.queue.last_number

    @property
    def unacked_count(self) -> int:
        """How many of them have no final fate yet."""
        return self.outbound.queue.open_count

    @property
    def acked_count(self) -> int:
        """How many of them the server has acknowledged."""
        return self.outbound.queue.acked_count

    @property
    def waiting_count(self) -> int:
        """How many of them were never written."""
        return self.outbound.queue.waiting_count

    @property
    def unproven_count(self) -> int:
        """How many of the user's were written, and nobody knows whether they arrived."""
        return self.outbound.queue.unproven_count

    @property
    def failed_count(self) -> int:
        """How many IQ and presence ended with a session that was lost."""
        return self.outbound.queue.failed_count

    @property
    def open_fates(self) -> dict[int, Fate]:
        """The fate of each that is not acknowledged."""
        return self.outbound.queue.open_fates

    async def close(
        self, *, drain_s: float = 0.0, hurry: asyncio.Event | None = None, wait_s: float = CLOSE_WAIT_S
    ) -> None:
        """The one clean close: acks for at most `drain_s`, the last `<a/>`, `</stream:stream>`, close_notify, TCP.

        wait_s: for the server's `</stream:stream>`, and before that for a cut link to come back, since only a resumed
        session can be closed. hurry: set by a second signal; then nothing is waited for.
        """
        if self._phase in CAN_SEND and drain_s > 0:
            await self._drain(drain_s, hurry)
        if hurry is not None and hurry.is_set():
            wait_s = 0.0
        if self.is_cut:
            await self.connection.healed(wait_s)
        if not self.is_over:
            self._turn(Turn.CLOSE)
        ended = await self.connection.close(wait_s, hurry)
        self.on_over(None)
        self.is_closed_at_server = self.outbound.close(ended=ended)

    async def _drain(self, drain_s: float, hurry: asyncio.Event | None) -> None:
        if not self.unacked_count:
            return
        hurried = [] if hurry is None else [hurry.wait()]
        await first(self.acked(self.sent_count, drain_s), *hurried, timeout_s=drain_s)

    # ── Out ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(
        self, stanza: Xml, *, kind: str = "", stanza_id: str = "", to: str = "", position: int | None = None
    ) -> int:
        """Hand one stanza in (Streams.send); one of the user's ends our idle time (XEP-0012)."""
        if kind:
            self.inbound.responder.touch()
        return super().send(stanza, kind=kind, stanza_id=stanza_id, to=to, position=position)

    def resend(self, entries: Sequence[Entry]) -> None:
        """Send stanzas that are stored already."""
        self.outbound.resend(entries)

    def send_batch(self, messages: list[bytes], position: int | None = None) -> None:
        """Hand messages in that leave together, each with its own origin-id (xmlio/stanzas.py: numbered); the same.

        position: of the first in the input of `pipe --checkpoint`.
        """
        self._check(max(map(len, messages)))
        self.outbound.add_batch(messages, position)

    @property
    def restored_position(self) -> int:
        """How far a dead process had the input confirmed."""
        return 0 if self._left is None else self._left.position

    @property
    def restored_proof(self) -> tuple[int, bytes] | None:
        """What the input was as far as it proved it: so many stanzas, and their digest."""
        return None if self._left is None else self._left.proof

    def prove(self, position: int, digest: bytes) -> None:
        """Keep what the input of `pipe --checkpoint` is as far as `position`, for the next run."""
        if self.outbound.journal is not None:
            self.outbound.journal.prove(position, digest)

    async def acked(
        self,
        number: int,
        timeout_s: float | None = None,
        unproven: Callable[[], int] | None = None,
        since: int | None = None,
    ) -> None:
        """Wait until the server has handled everything up to stanza `number`.

        Raises Unconfirmed when bytes have left and no ack will come, otherwise what ended the session.
        timeout_s: without any progress; the default is `--timeout`. unproven: how many of the caller's own stanzas have
        no proof of their fate, where others send on the session, too. since: what was lost up to this number is told
        elsewhere; the default is `told_up_to`.
        """
        since = self.told_up_to if since is None else since
        count = unproven or (lambda: self.unproven_count)
        queue, progress = self.outbound.queue, self.outbound.progress
        timeout_s = self.options.timeout_s if timeout_s is None else timeout_s
        loop, outbound = asyncio.get_running_loop(), self.outbound
        begun_at = loop.time()

        def due_at() -> float:
            return max(begun_at, outbound.left_at, outbound.progress_at) + timeout_s

        while queue.settled_up_to < number:
            if self.is_over:
                raise unsettled(count(), self.error)
            progress.clear()
            try:
                async with asyncio.timeout_at(due_at()):
                    await progress.wait()
            except TimeoutError:
                await outbound.stored()  # our own disk's time is not the server's
                await self.connection.healed(self.options.give_up_s or 0.0)  # a cut has a time of its own
                if not progress.is_set() and due_at() <= loop.time():
                    raise unsettled(count(), self.connection.last_error or no_ack(timeout_s)) from None
        if any(since < entry.number <= number for entry in queue.lost) and (open_count := count()):
            raise unsettled(open_count, None)

    async def through(self, number: int, addresses: Iterable[str]) -> None:
        """Wait for `acked`, and until every bounce from these addresses that comes at once has come."""
        await asyncio.gather(self.acked(number), self.requests.fence(addresses))

    async def written(self) -> None:
        """Wait until everything has been handed to the network; raises Unconfirmed when the session ends after that."""
        while self.outbound.queue.waiting_count and not self.is_over:
            self.outbound.wrote.clear()
            await self.outbound.wrote.wait()
        if not self.is_over:
            await self.connection.drained()
            await self._confirmed()
        if self.is_over:
            raise broken_after(self.outbound.queue.left_count, self.cause)

    async def _confirmed(self) -> None:
        timeout_s = self.options.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self.connection.confirmed()
        except TimeoutError:
            raise broken_after(self.outbound.queue.left_count, no_word(timeout_s)) from None

    async def wait_for_window(self, window: int) -> None:
        """Wait until fewer than `window` stanzas are unacknowledged and the link takes more."""
        while self.unacked_count >= window:
            await self.acked(self.outbound.queue.settled_up_to + 1)
        await self.connection.drained()

    async def wait_for_room(self, window: int, wanted: int) -> int:
        """Wait until of `window` stanzas so many are free that it is worth a write; how many may be handed in, at most
        `wanted`."""
        await self.connection.drained()
        while True:
            now = min(window, self.outbound.pace.window(MAX_WINDOW))
            room, is_small = now - self.unacked_count, self.outbound.queue.batch_bytes < MAX_BATCH_BYTES
            if is_small and room >= min(wanted, max(1, now // 2)):
                return min(room, wanted)
            await self.acked(self.outbound.queue.settled_up_to + 1)

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result (Requests.request)."""
        return await self.requests.request(iq_type, to, payload, timeout_s)

    # ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def subscribe(self, *kinds: str) -> Subscription:
        """Read stanzas of these kinds (`message`, `presence`, `iq`) that arrive from now on."""
        return self.inbound.bus.subscribe(lambda stanza: stanza.kind in kinds)

    @property
    def gets_messages(self) -> bool:
        """Does what is sent to the bare address reach this session?"""
        return self._availability.gets_messages

    @property
    def may_repeat(self) -> bool:
        """May the server, after a clean close, give the next session what was handled on this one?

        Its store may have what a killed run had been given, or its archive has given us; and an acknowledgement covers
        nothing after a stanza that nobody has handled.
        """
        sm = self.connection.sm
        has_unacked = sm is not None and sm.has_unacked
        has_repeats = self._repeats is not None and bool(self._repeats.ids)
        return has_unacked or (has_repeats and not self._availability.has_delivered)

    def announce_again(self) -> None:
        """Announce on a new session what was announced on the one before: for who came before that."""
        self._availability.again()

    def inbox(self, file: InboxFile, *kinds: str) -> Inbox:
        """The same for a reader that may be slower than the server: what waits for it is stored (session/inbox.py).

        Raises IoError where the file is there and cannot be read.
        """
        from xmppsh.session.inbox import Inbox
        from xmppsh.session.repeats import Repeats

        def tell(error: IoError) -> None:
            self.log(0, f"what arrives is not stored any more, and waits at the server: {error}")

        bus, repeats = self.inbound.bus, Repeats(str(self.options.jid.bare))
        self._repeats = repeats
        return bus.add(Inbox(bus, kinds, file, repeats, tell))

    def beside(self, *work: tuple[Reader, Collect]) -> Collecting:
        """Hand each reader to its function for as long as a block runs."""
        return Collecting(*work)

    def bounces(self) -> Subscription:
        """Read the messages that came back with an error (RFC 6120 §8.3)."""
        return self.inbound.bus.subscribe(is_bounce)

    def receipts(self) -> Subscription:
        """Read delivery receipts (XEP-0184)."""
        return self.inbound.bus.subscribe(lambda stanza: stanza.kind == "message" and ns.RECEIPTS in stanza.xml)
