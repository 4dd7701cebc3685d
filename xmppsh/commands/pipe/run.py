"""One run of `pipe`: what was sent, what the server has, what came back."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Literal

from xmppsh.commands.collecting import unless_lost
from xmppsh.commands.pipe.proof import Proof
from xmppsh.commands.pipe.sent import Remembered, Sent
from xmppsh.errors import ConnectionLost, DataError, DeadlineExceeded, Partial, XmlError, XmppshError
from xmppsh.output import safe
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.protocol.conditions import stanza_error
from xmppsh.session.outcome import counted_again, tell_of_waiting
from xmppsh.session.requests import answers
from xmppsh.xmlio.build import Xml, verbatim, with_id
from xmppsh.xmlio.ids import Series, new_id
from xmppsh.xmlio.plain import Plain
from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.stanzas import numbered, with_origin_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable

    from xmppsh.model import Element
    from xmppsh.session.session_port import BulkSessionPort, Reader, SessionPort

MAX_SINGLE = 1000  # stanzas that are no batch, each with up to the size limit, unacknowledged in memory


@dataclass(frozen=True, slots=True)
class PipeReply(Record):
    """What answers a stanza of the input, with `pipe --replies`."""

    kind: Literal["reply"] = field(default="reply", init=False)
    """What it is."""
    line: int
    """Where the stanza stands in the input, from 1."""
    id: str
    """The id of the stanza."""
    from_: str | None
    """Who answers."""
    type: Literal["result", "error"]
    """error for a bounce or a refusal."""
    condition: str | None
    """The defined condition of an error (RFC 6120 §8.3.3)."""
    sentence: str | None
    """What an error says."""
    xml: str
    """The answer."""

    def text(self) -> str:
        """One line."""
        return f"line {self.line}: {safe.line(self.sentence or 'answered')}"

    def document(self) -> str:
        """The answer."""
        return self.xml


class Run:
    """window: how many stanzas may be unacknowledged. rate: how many may leave in a second; None: as many as can.

    skip: is told of a bad stanza, and the run goes on; None: it ends there. keep_from: a `from` that is not ours is
    sent. on_reply: is given what came back, and holds the reading up until it is printed; None: nobody prints it.
    source: what a stanza is in the input, where that is to be proved the same in the next run; None: it is not.
    """

    def __init__(self, window: int, rate: float | None, *, keep_from: bool) -> None:
        self.read = self.unconfirmed = self.waiting = self.skipped = 0
        self._acked = self._lost = self._bounced = 0
        self.first_error: XmppshError | None = None
        self.skip: Callable[[XmppshError], None] | None = None
        self.on_reply: Callable[[PipeReply], Awaitable[None]] | None = None
        self.source: Callable[[Element], bytes] | None = None
        self._proof: Proof | None = None
        self._window, self._rate = window, rate
        self._keep_from = keep_from
        self._session: SessionPort | None = None
        self._counted = False
        self._started = time.monotonic()
        self._next_at = -math.inf  # the first one leaves at once
        self._remembered = Remembered()
        self._ids = Series()
        self._open_requests: set[str] = set()
        self._all_answered = asyncio.Event()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    @property
    def failed(self) -> int:
        """How many bounced, were refused or never answered, or were lost with a session."""
        return self._lost + self._bounced

    @property
    def acked(self) -> int:
        """How many the server has acknowledged, without those that failed afterwards."""
        return max(0, self._acked - self._bounced)

    @property
    def sent(self) -> int:
        """How many were written."""
        return self.read - self.waiting

    # ── Out ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def go(self, session: BulkSessionPort, stanzas: AsyncIterable[Element | Plain]) -> None:
        """Send everything that no earlier run has confirmed, then wait for the acks and the answers."""
        self._session, collect = session, partial(self._collect, session)
        readers = (session.bounces(), collect), (session.subscribe("iq", "presence"), collect)
        async with session.beside(*readers) as collecting:
            try:
                await unless_lost(session, self._send_all(session, stanzas))
            except XmlError as error:
                # What came before the fault is sent and acknowledged; its error is told at the end.
                self.first_error = self.first_error or error
            await session.acked(session.sent_count)
            self.count()
            await session.requests.fence(self._remembered.addresses())
            await self._wait_for_answers(session)
            await collecting.finish()  # whoever prints the replies may be slow

    async def _send_all(self, session: BulkSessionPort, stanzas: AsyncIterable[Element | Plain]) -> None:
        position, done = 0, session.restored_position
        self._proof = None if self.source is None else Proof(session.restored_proof, session.prove)
        async for found in stanzas:
            before, count = position, len(found.messages) if isinstance(found, Plain) else 1
            position += count
            self._took(found, min(count, max(0, done - before)))
            if position <= done:
                continue
            if isinstance(found, Plain):
                await self._send_plain(session, found, max(0, done - before), before)
                continue
            await session.wait_for_window(min(self._window, MAX_SINGLE))
            await self._wait_for_turn()
            if self._proof is not None:
                self._proof.note()
            try:
                self._send(session, found, position)
            except XmlError as error:
                self._bad(error)
        if position < done:
            raise XmlError(f"the input has {position} stanzas, and {done} are confirmed: is it the same input?")

    def _bad(self, error: XmlError) -> None:
        """Go on after a bad stanza, or raise it."""
        if self.skip is None:
            raise error
        self.skip(error)

    def _took(self, found: Element | Plain, done: int) -> None:
        """Prove what an earlier run has sent, and one stanza by itself; a batch is proved when it is cut."""
        if self._proof is None or self.source is None:
            return
        if isinstance(found, Plain):
            self._proof.took_batch(found.messages[:done])
        else:
            self._proof.took(self.source(found))

    async def _wait_for_turn(self) -> None:
        """Keep to --rate."""
        if self._rate is not None:
            self._next_at = max(self._next_at + 1 / self._rate, time.monotonic())
            await asyncio.sleep(self._next_at - time.monotonic())

    async def _send_plain(self, session: BulkSessionPort, plain: Plain, at: int, before: int) -> None:
        """Send plain messages from `at` on; before: how many stanzas of the input stand before the first."""
        messages = numbered(plain, self._ids)
        line = plain.place[0] + b"".join(plain.messages[:at]).count(b"\n")
        while at < len(messages):
            room = await session.wait_for_room(self._window, len(messages) - at)
            await self._wait_for_turn()
            batch = messages[at : at + (room if self._rate is None else 1)]
            if self._proof is not None:
                self._proof.took_batch(plain.messages[at : at + len(batch)])
                self._proof.note(is_batch=True)
            self._send_batch(session, batch, before + at + 1, line, plain, at)
            line += b"".join(batch).count(b"\n")
            at += len(batch)
            await asyncio.sleep(0)  # it leaves while the next ones are read

    def _send_batch(
        self, session: BulkSessionPort, batch: list[bytes], position: int, line: int, plain: Plain, at: int
    ) -> None:
        """position: of the first of them; line: where the white space before it begins; at: where it is in `plain`."""
        try:
            session.send_batch(batch, position)
        except DataError as error:  # one that is too big
            if len(batch) == 1:
                where, column = plain.place_of(at)
                self._bad(XmlError(str(error), condition="", line=where, column=column))
                return
            for number, message in enumerate(batch):
                self._send_batch(session, [message], position + number, line, plain, at + number)
                line += message.count(b"\n")
            return
        self.read += len(batch)
        self._remembered.add_batch(line, batch)

    def _send(self, session: SessionPort, stanza: Element, position: int) -> None:
        sender = stanza.attributes.get("from", "")
        if not self._keep_from and sender not in ("", str(session.jid), str(session.jid.bare)):
            raise XmlError(
                f"it is from {sender}, and we are {session.jid.bare}", line=stanza.line, column=stanza.column
            )
        xml, origin = self.prepared(stanza)
        to = stanza.attributes.get("to", "")
        try:
            session.send(xml, kind=stanza.kind, stanza_id=origin, to=to, position=position)
        except DataError as error:
            raise XmlError(str(error), condition="", line=stanza.line, column=stanza.column) from error
        self.read += 1

    def prepared(self, stanza: Element) -> tuple[Xml, str]:
        """The stanza as it is sent, with an id, and a message with an origin-id of our own; and that.

        The input's id is not enough: who pipes the same file again sends it again.
        """
        stanza_id, to = stanza.id or new_id(), stanza.attributes.get("to", "")
        is_request = stanza.kind == "iq" and stanza.attributes.get("type") in ("get", "set")
        self._remembered.add(stanza_id, Sent(stanza.line, to, is_request=is_request))
        if is_request:
            self._open_requests.add(stanza_id)
        xml = verbatim(stanza) if stanza.id else with_id(stanza, stanza_id)
        if stanza.kind != "message":
            return xml, stanza_id
        origin = new_id() if stanza.id else stanza_id
        return with_origin_id(stanza, xml, origin), origin

    # ── What became of it ───────────────────────────────────────────────────────────────────────────────────────

    def count(self) -> None:
        """Take the figures from the session, once: with the acks, before those of its own stanzas mix in, or else when
        it is closed, since the close brings acks as well."""
        session = self._session
        if self._counted or session is None:
            return
        self._counted = True
        self._acked, self._lost = session.acked_count, session.failed_count
        self.waiting, self.unconfirmed = session.waiting_count, session.unproven_count
        if session.failed_count and self.first_error is None:
            self.first_error = ConnectionLost("IQ and presence that were in flight ended with a session that was lost")

    def told(self, error: XmppshError) -> XmppshError:
        """The error that ended the run, with the figures of the summary, and what to do about them."""
        if self._session is None:
            return error
        error = counted_again(error, self._session)
        if self.source is not None and self.unconfirmed + self.waiting:
            error.hint = "the same input with the same --checkpoint again: it goes on where it stopped"
        elif self.waiting:
            tell_of_waiting(error)
        return error

    async def _wait_for_answers(self, session: SessionPort) -> None:
        """Until all have come, or the time is over, or the session."""
        if not self._open_requests:
            return
        timeout_s = session.options.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await unless_lost(session, self._all_answered.wait())
        except TimeoutError:
            count = len(self._open_requests)
            what = "1 IQ was" if count == 1 else f"{count} IQs were"
            self._bounced += count
            self.first_error = self.first_error or DeadlineExceeded(
                f"{what} not answered within {timeout_s:.3g} s", layer="stanza", hint="--timeout S waits longer"
            )
        except XmppshError as error:
            self._bounced += len(self._open_requests)
            self.first_error = self.first_error or error

    async def _collect(self, session: SessionPort, reader: Reader) -> None:
        async for stanza in reader:
            sent = self._remembered.find(stanza.id or "")
            reply = None if sent is None else self._answered(session, stanza, sent)
            if reply is not None and self.on_reply is not None:
                await self.on_reply(reply)

    def _answered(self, session: SessionPort, stanza: Element, sent: Sent) -> PipeReply | None:
        """Count what answers a stanza, each once; None for what does not answer it, or comes from who may not."""
        stanza_id, kind = stanza.id or "", stanza.attributes.get("type")
        if not sent.awaited or not answers(stanza, stanza_id, sent.to or "", session.jid, is_request=sent.is_request):
            return None
        if sent.is_request:
            self._open_requests.discard(stanza_id)
            if not self._open_requests:
                self._all_answered.set()
        sent.awaited -= 1
        error = stanza_error(tree(stanza), stanza.sender or session.jid.domainpart) if kind == "error" else None
        if error is not None:
            self._bounced += 1
            self.first_error = self.first_error or error
        return _reply(stanza, sent, error)

    def verdict(self) -> XmppshError | None:
        """The error that decides the exit code; None when all went well."""
        if self.first_error is None:
            return None
        bad = self.failed + self.skipped
        if not self.skipped and (isinstance(self.first_error, XmlError) or bad >= self.read):
            return self.first_error
        return Partial(f"{self._counted_bad()}; the first: {self.first_error}")

    def _counted_bad(self) -> str:
        """How many of all failed and how many were skipped, by the words of the summary."""
        total = f" of {self.read + self.skipped} stanzas"
        if not self.failed:
            return f"{self.skipped}{total} skipped"
        return f"{self.failed}{total} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def _reply(stanza: Element, sent: Sent, error: XmppshError | None) -> PipeReply:
    return PipeReply(
        line=sent.line,
        id=stanza.id or "",
        from_=stanza.attributes.get("from"),
        type="result" if error is None else "error",
        condition=None if error is None else error.condition,
        sentence=None if error is None else str(error),
        xml=stanza.xml,
    )
