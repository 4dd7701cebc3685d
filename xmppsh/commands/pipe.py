"""`pipe`: a stream of stanzas, each checked, sent in order and acknowledged; memory does not grow with the input."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from xmppsh.apart import apart
from xmppsh.commands.base import command
from xmppsh.commands.params import FILE
from xmppsh.errors import ConnectionLost, DataError, NoInputError, Partial, XmlError, XmppshError
from xmppsh.model import Jid
from xmppsh.output.record import Record
from xmppsh.output.streams import InputStream
from xmppsh.protocol.conditions import stanza_error
from xmppsh.session.session_port import DryRunEnds
from xmppsh.xmlio.build import Xml, verbatim, with_id
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import StanzaReader, tree
from xmppsh.xmlio.stanzas import with_origin_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xmppsh.commands.app import App
    from xmppsh.commands.console import Console
    from xmppsh.model import Element
    from xmppsh.session.session_port import SessionPort

MAX_REMEMBERED = 10_000  # ids and domains of recent stanzas, to know their bounces
MAX_FENCED_DOMAINS = 16


@dataclass(frozen=True, slots=True)
class PipeSummary(Record):
    """The last line of `pipe`: what became of its input."""

    sent: int
    """Stanzas that were handed in."""
    acked: int
    """How many of them the server has acknowledged."""
    failed: int
    """How many came back with an error, or were never answered."""
    seconds: float
    """How long it took."""

    def text(self) -> str:
        """The line on stderr."""
        rate = self.sent / self.seconds if self.seconds > 0 else 0.0
        return f"sent {self.sent}, acked {self.acked}, failed {self.failed}, {rate:.0f} stanzas/s"


@command("pipe")
@click.argument("file", type=FILE, required=False)
@click.option("--window", type=click.IntRange(min=1), default=1000, metavar="N", help="Unacknowledged at most [1000].")
@click.option("--root", metavar="NAME", help="An element that may enclose the stanzas, beside stream:stream.")
@click.option("--checkpoint", type=FILE, help="Keep how far it is; run again, it goes on there.")
async def pipe(
    app: App, file: str | None, window: int, root: str | None, checkpoint: str | None
) -> AsyncIterator[PipeSummary]:
    """Send the stanzas (message, presence, iq) of FILE or stdin, in order.

    Exit 0: the server acknowledged every one. A bad stanza ends it with 65 and its line; what came before is sent.

    Example:  xmppsh pipe < stanzas.xml
    """
    run, console = _Run(window), app.console
    reader = StanzaReader(app.limits, root=root)
    source = await _open(file, console)
    stop_watching = console.stdout.on_closed(console.shutdown.end_quietly)
    ended: BaseException | None = None
    try:
        async with app.sessions.lasting(None if checkpoint is None else console.path(checkpoint)) as session:
            await run.go(session, _stanzas(source, reader), session.restored_position)
        if run.first_error is not None:
            raise run.verdict()
    except DryRunEnds:
        if run.first_error is not None:
            raise run.first_error from None  # of the input
        raise
    except (XmppshError, asyncio.CancelledError) as error:
        ended = error
    finally:
        stop_watching()
    if isinstance(ended, XmppshError):
        console.report(ended)  # the summary is the last line
    summary = run.summary()
    if app.settings.format == "json" and not console.shutdown.output_closed:
        yield summary
    elif not app.settings.quiet:
        console.write_error(summary.text() + "\n")
    if ended is not None:
        raise ended


async def _open(path: str | None, console: Console) -> InputStream:
    if path in (None, "-"):
        return console.stdin
    try:
        fd = await apart(
            partial(os.open, console.path(str(path)), os.O_RDONLY | os.O_CLOEXEC)
        )  # of a pipe: when somebody writes
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise NoInputError(f"{path}: is a directory")
        return InputStream(fd)
    except OSError as error:
        raise NoInputError(f"{path}: {(error.strerror or str(error)).lower()}") from error


async def _stanzas(source: InputStream, reader: StanzaReader) -> AsyncIterator[Element]:
    """The input's stanzas; those before a fault come before its XmlError."""
    more = True
    while more:
        chunk = await source.read()
        more = bool(chunk)
        stanzas, error = reader.feed_until_error(chunk, final=not more)
        for stanza in stanzas:
            yield stanza
        if error is not None:
            raise error


class _Run:
    """One run of `pipe`: what was sent, what the server has, what came back."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.sent = self.acked = self.failed = 0
        self.first_error: XmppshError | None = None
        self._counted = False
        self._started = time.monotonic()
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._domains: OrderedDict[str, None] = OrderedDict()
        self._open_requests: set[str] = set()
        self._all_answered = asyncio.Event()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def prepared(self, stanza: Element) -> tuple[Xml, str]:
        """The stanza as it is sent, with an id, and a message with an origin-id of our own; and that.

        The input's id is not enough: who pipes the same file again sends it again.
        """
        stanza_id = stanza.id or new_id()
        self._remember(self._recent, stanza_id)
        if stanza.kind == "iq" and stanza.attributes.get("type") in ("get", "set"):
            self._open_requests.add(stanza_id)
        elif stanza.kind == "message" and (to := stanza.attributes.get("to")):
            self._remember(self._domains, to)
        xml = verbatim(stanza) if stanza.id else with_id(stanza, stanza_id)
        if stanza.kind != "message":
            return xml, stanza_id
        origin = new_id() if stanza.id else stanza_id
        return with_origin_id(stanza, xml, origin), origin

    @staticmethod
    def _remember(memory: OrderedDict[str, None], entry: str) -> None:
        memory[entry] = None
        memory.move_to_end(entry)
        if len(memory) > MAX_REMEMBERED:
            memory.popitem(last=False)

    async def go(self, session: SessionPort, stanzas: AsyncIterator[Element], done: int) -> None:
        """Send everything behind the first `done`, then wait for the acks and the answers."""
        answers = asyncio.ensure_future(self._collect(session))
        position = 0
        try:
            try:
                async for stanza in stanzas:
                    position += 1
                    if position <= done:
                        continue
                    await session.wait_for_window(self.window)
                    xml, origin = self.prepared(stanza)
                    to = stanza.attributes.get("to", "")
                    try:
                        session.send(xml, kind=stanza.kind, stanza_id=origin, to=to, position=position)
                    except DataError as error:
                        raise XmlError(str(error), condition="", line=stanza.line, column=stanza.column) from error
                if position < done:
                    raise XmlError(f"the input has {position} stanzas, and {done} are confirmed: is it the same input?")
            except XmlError as error:
                # What came before the fault is sent and acknowledged; its error is told at the end.
                self.first_error = error
            await session.acked(session.sent_count)
            self._count(session)
            await session.requests.fence(self._fenced_domains())
            await self._wait_for_answers(session.options.timeout_s)
        finally:
            self._count(session)
            answers.cancel()

    def _count(self, session: SessionPort) -> None:
        if not self._counted:
            self._counted = True
            self.sent, self.acked = session.sent_count, session.acked_count
            self.failed += session.failed_count
            if session.failed_count and self.first_error is None:
                lost = "IQ and presence that were in flight ended with a session that was lost"
                self.first_error = ConnectionLost(lost)

    def _fenced_domains(self) -> set[str]:
        domains: set[str] = set()
        for to in reversed(self._domains):
            try:
                domains.add(Jid.parse(to).domainpart)
            except XmppshError:
                continue  # the server bounces it at once
            if len(domains) == MAX_FENCED_DOMAINS:
                break
        return domains

    async def _wait_for_answers(self, timeout_s: float) -> None:
        if self._open_requests:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._all_answered.wait()
            except TimeoutError:
                self.failed += len(self._open_requests)

    async def _collect(self, session: SessionPort) -> None:
        async for stanza in session.subscribe("message", "iq", "presence"):
            stanza_id, kind = stanza.id or "", stanza.attributes.get("type")
            if kind == "error" and stanza_id in self._recent:
                self.failed += 1
                self.first_error = self.first_error or stanza_error(tree(stanza), stanza.sender)
            if stanza.kind == "iq" and kind in ("result", "error"):
                self._open_requests.discard(stanza_id)
                if not self._open_requests:
                    self._all_answered.set()

    def summary(self) -> PipeSummary:
        """What it did."""
        return PipeSummary(self.sent, self.acked, self.failed, round(self.seconds, 3))

    def verdict(self) -> XmppshError:
        """The error that decides the exit code."""
        assert self.first_error is not None
        if isinstance(self.first_error, XmlError) or self.failed >= self.sent:
            return self.first_error
        return Partial(f"{self.failed} of {self.sent} stanzas failed; the first: {self.first_error}")
