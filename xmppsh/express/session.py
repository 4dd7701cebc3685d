"""A session for one command, on a link that is waited for: the same stream, queue and journal as session/ has.

Its methods are those of SessionPort that a one-shot needs. They are coroutines, as a command's handler wants them, and
none of them ever waits for an event loop: they wait themselves.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.errors import ConnectionLost, IoError, XmppshError
from xmppsh.express.bounces import Bounces
from xmppsh.express.link import tls_context
from xmppsh.express.waits import Stopped
from xmppsh.net.tls import check_pin, why_failed
from xmppsh.outbox.queue import Queue
from xmppsh.plain import dataclass
from xmppsh.protocol import events as ev
from xmppsh.protocol.actions import HashPassword, StartTls, Write
from xmppsh.session.outcome import broken_after, no_ack, no_answer, no_word, refuse_too_big, refused, unsettled
from xmppsh.session.requests import FENCE_TIMEOUT_S, fences, is_answer, request_of
from xmppsh.xmlio.build import element
from xmppsh.xmlio.ids import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from typing import Any

    from xmppsh.connection.options import SessionOptions
    from xmppsh.express.link import Link
    from xmppsh.express.waits import Waits
    from xmppsh.model import Element, Jid
    from xmppsh.outbox.journal import Journal
    from xmppsh.outbox.queue import Entry, Fate
    from xmppsh.protocol.actions import Output
    from xmppsh.protocol.fast import Token
    from xmppsh.protocol.stream import Stream
    from xmppsh.session.session_port import Collect
    from xmppsh.xmlio.build import Xml

LAST_READS = 64  # who floods us does not hold us


@dataclass(frozen=True)
class Listeners:
    """Who is told: on_token(token, or None for one that is of no use any more); on_confirmed once the server itself has
    said that the session is there; on_mistrust where it ends before that."""

    on_token: Callable[[Token | None], None]
    on_confirmed: Callable[[], None]
    on_mistrust: Callable[[], None]


class Session:
    """One bound session.

    journal: makes the journal, where a message is to be stored; stores: is one going to be? deadline: for the way to
    the bound session, in time.monotonic(). was_written: has anything of the command's been handed to the link?
    """

    rooms: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        options: SessionOptions,
        stream: Stream,
        link: Link,
        waits: Waits,
        journal: Callable[[], Journal],
        listeners: Listeners,
        deadline: float,
        *,
        stores: bool,
    ) -> None:
        self.options, self.was_written = options, False
        self.requests = self  # it asks by itself
        self.error: XmppshError | None = None
        self._stream, self._link, self._waits, self._deadline = stream, link, waits, deadline
        self._make_journal, self._stores = journal, stores
        self._journal: Journal | None = None
        self._tls: Any = None  # the context, once it is made
        self._listeners, self._queue, self._bounces = listeners, Queue(), Bounces()
        self._asked: dict[str, Jid | None] = {}
        self._answers: dict[str, Element] = {}
        self._is_live = self._is_confirmed = self._is_over = False
        self._asked_up_to = 0
        self._progress_at = 0.0

    @property
    def jid(self) -> Jid:
        """Our full JID."""
        return self._stream.jid

    @property
    def open_fates(self) -> dict[int, Fate]:
        """The fate of each stanza, by its number, that is not acknowledged."""
        return self._queue.open_fates

    # ── The stream ──────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> bool:
        """Log in; may stanzas be written now? Nothing of the command's has been by then."""
        self._do(self._stream.open())
        meanwhile = [self._open_journal, self._make_tls]  # what takes its time is done while the server answers
        while not self._is_live and not self._is_over:
            self._link.flush(self._deadline)
            if meanwhile:
                meanwhile.pop()()
            self._read(self._deadline)
        return not self._is_over

    def _read(self, deadline: float) -> None:
        """Write what is queued, wait for the server, and do what follows; raises TimeoutError, Stopped."""
        try:
            data = self._link.receive(deadline)
        except OSError as error:  # ssl's are
            if isinstance(error, TimeoutError) and error.errno is None:
                raise  # the deadline's; the kernel's (ETIMEDOUT) is a lost link
            return self._do(self._stream.handle(ev.LinkLost(why_failed(error))))
        self._do(self._stream.receive(data) if data else self._stream.handle(ev.LinkLost()))

    def _do(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Write(data):
                    self._link.write(data)
                case StartTls():
                    self._start_tls()
                case HashPassword(work):
                    self._do(self._stream.handle(ev.PasswordHashed(self._waits.apart(work, self._deadline))))
                case ev.TokenIssued(token):
                    self._listeners.on_token(token)
                case ev.TokenRefused():
                    self._listeners.on_token(None)
                case ev.SessionEstablished():
                    self._is_live = True
                case ev.SessionConfirmed():
                    self._is_confirmed = True
                    self._listeners.on_confirmed()
                case ev.StanzasAcked(count):
                    self._acked(count)
                case ev.StanzaArrived(stanza, number):
                    self._arrived(stanza)
                    self._do(self._stream.taken(number))
                case ev.RunArrived(run, number):
                    for stanza in run.elements():
                        self._arrived(stanza)
                    self._do(self._stream.taken(number, len(run.messages)))
                case ev.StreamEnded(error):
                    self._end(error)

    def _make_tls(self) -> None:
        if self._tls is None:
            self._tls = tls_context(self.options.policy, direct=self._stream.config.tls == "direct")

    def _start_tls(self) -> None:
        policy, domain = self.options.policy, self.options.jid.dial_name
        self._make_tls()
        self._link.start_tls(self._tls, domain, self._deadline)
        check_pin(policy, self._link.certificate, domain)
        self._do(self._stream.handle(ev.TlsEstablished(self._link.certificate)))

    def _end(self, error: XmppshError | None) -> None:
        self._is_over, self.error = True, self.error or error
        if error is not None and self._stream.is_presumed:
            self._listeners.on_mistrust()

    def _acked(self, count: int) -> None:
        entries = self._queue.acked(min(count, self._queue.in_flight))
        self._progress_at = time.monotonic()
        if self._journal is not None:
            try:
                self._journal.finish(entries, None if self._stream.sm is None else self._stream.sm.acked)
            except IoError as error:
                self._do(self._stream.abort(error))

    def _arrived(self, stanza: Element) -> None:
        if stanza.kind == "message" and stanza.attributes.get("type") == "error":
            self._bounces.came.append(stanza)
        elif stanza.kind == "iq" and stanza.attributes.get("type") in ("get", "set"):
            self._respond(stanza)
        elif stanza.kind == "iq":
            stanza_id = stanza.id or ""
            if stanza_id in self._asked and is_answer(stanza, stanza_id, self._asked[stanza_id], self.jid):
                del self._asked[stanza_id]
                self._answers[stanza_id] = stanza

    def _respond(self, request: Element) -> None:
        from xmppsh.session.responder import Facts, answer_at_once, is_sendable  # nobody asks, mostly

        answer = answer_at_once(request, self.jid, Facts())
        if answer is not None and is_sendable(answer) and self._stream.takes_stanzas:
            self._queue.add_own(answer)
            self._do(self._stream.send(answer))

    # ── What commands ask ───────────────────────────────────────────────────────────────────────────────────────

    def send(
        self, stanza: Xml, *, kind: str = "", stanza_id: str = "", to: str = "", position: int | None = None
    ) -> int:
        """Hand one stanza in (session/streams.py); a message is stored before. Returns its number."""
        if self._is_over:
            raise self.error or ConnectionLost("the session is over")
        refuse_too_big(len(stanza.encode()), self._stream.max_stanza_bytes)
        entry = self._queue.add(stanza, kind, stanza_id, to, position)
        if kind == "message":
            self._store(entry)
        self._queue.send([entry])
        self._do(self._stream.send(stanza))
        self.was_written = True
        return entry.number

    def _open_journal(self) -> None:
        if self._stores:
            self._journal = self._make_journal()
            self._journal.open()

    def _store(self, entry: Entry) -> None:
        self._journal = self._journal or self._make_journal()
        sm = self._stream.sm
        self._journal.write([entry], [entry], 0 if sm is None else sm.sent + 1)

    async def wait_for_window(self, _window: int) -> None:
        """A command line has no more recipients than a server takes at once."""

    async def written(self) -> None:
        """Wait until everything has been handed to the network, and the server has said that the session is there.

        Raises Unconfirmed when the session ends after bytes have left.
        """
        self._ask_for_ack()
        timeout_s = self.options.timeout_s
        deadline = time.monotonic() + timeout_s
        try:
            while not self._is_confirmed and not self._is_over:
                self._read(deadline)
            self._link.flush(deadline)
        except TimeoutError:
            raise broken_after(self._queue.left_count, no_word(timeout_s)) from None
        if self._link.failed is not None and not self._is_over:  # what it wrote last said that the session is there
            self._do(self._stream.handle(ev.LinkLost(why_failed(self._link.failed))))
        if self._is_over:
            raise broken_after(self._queue.left_count, self.error)

    async def through(self, number: int, addresses: Iterable[str]) -> None:
        """Wait until the server has handled everything up to stanza `number`, and every bounce from these addresses
        that comes at once has come (session/requests.py: fences)."""
        self._ask_for_ack()  # on its own, as the message's fate does not depend on the pings'
        for to in fences(addresses, self.jid):
            self._ask("get", to, element("ping", {"xmlns": ns.PING}))
        self._ask_for_ack()
        timeout_s = self.options.timeout_s
        now = self._progress_at = time.monotonic()
        fence_ends = now + min(FENCE_TIMEOUT_S, timeout_s)
        while (missing := self._queue.settled_up_to < number) or (self._asked and time.monotonic() < fence_ends):
            if self._is_over and missing:
                raise unsettled(self._queue.unproven_count, self.error)
            if self._is_over:
                return
            try:
                self._read(self._progress_at + timeout_s if missing else fence_ends)
            except TimeoutError:
                if missing:
                    raise unsettled(self._queue.unproven_count, no_ack(timeout_s)) from None

    async def request(
        self, iq_type: str, to: Jid | None, payload: Xml | None, timeout_s: float | None = None
    ) -> Element:
        """Send an IQ and give its result (session/requests.py)."""
        timeout_s = self.options.timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + timeout_s
        stanza_id = self._ask(iq_type, to, payload)
        self._ask_for_ack()
        while (answer := self._answers.pop(stanza_id, None)) is None:
            if self._is_over:
                raise self.error or ConnectionLost("the session was closed")
            try:
                self._read(deadline)
            except TimeoutError:
                raise no_answer(to or self.jid.domainpart, timeout_s) from None
        if (error := refused(answer, self.jid, payload or "")) is not None:
            raise error
        return answer

    def _ask(self, iq_type: str, to: Jid | None, payload: Xml | None) -> str:
        stanza_id = new_id()
        self._asked[stanza_id] = to
        self.send(request_of(iq_type, stanza_id, to, payload))
        return stanza_id

    def _ask_for_ack(self) -> None:
        if self._asked_up_to < self._queue.last_number:
            self._asked_up_to = self._queue.last_number
            self._do(self._stream.request_ack())

    def bounces(self) -> Bounces:
        """Read the messages that came back with an error."""
        return self._bounces

    @asynccontextmanager
    async def beside(self, *work: tuple[Any, Collect]) -> AsyncIterator[None]:
        """Hand each reader to its function, at the end of the block: by then all has come that is waited for.

        A last look takes what came meanwhile. It comes after the file is closed, which takes its time anyway: ejabberd
        tells who has blocked us half a millisecond after the fence (docs/sessions.md).
        """
        yield
        self._close_journal()
        self._look_again()
        for reader, collect in work:
            await collect(reader)

    def _look_again(self) -> None:
        with suppress(TimeoutError):
            for _ in range(LAST_READS):
                if not self._is_over:
                    self._read(time.monotonic())

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def drain(self, wait_s: float) -> None:
        """A signal asks for the end: wait for the acks that are open, unless another one comes."""
        deadline = time.monotonic() + wait_s
        try:
            while self._queue.open_count and not self._is_over:
                self._ask_for_ack()
                self._read(deadline)
        except (TimeoutError, Stopped):
            return

    def close(self) -> None:
        """The last `<a/>`, `</stream:stream>`, close_notify, FIN; the journal keeps what has no fate."""
        try:
            self._do(self._stream.close())
            self._link.close()
        finally:
            self._close_journal()

    def _close_journal(self) -> None:
        if self._journal is not None:
            journal, self._journal = self._journal, None
            journal.close()
