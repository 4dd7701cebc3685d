"""`listen`: what arrives, one record each, until it is enough."""

from __future__ import annotations

import asyncio
import math
import shutil
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from xmppsh.app.ports import MIB
from xmppsh.commands.appearing import WITHOUT_MESSAGES, answer_to, appearing, availability
from xmppsh.commands.listen.ending import drained, open_fd, tell_ready, telling_of_silence, until
from xmppsh.commands.listen.filters import Filter, pattern, types_of_stanzas
from xmppsh.commands.listen.together import Together
from xmppsh.commands.room_options import check_rooms
from xmppsh.errors import NoInputError, UsageError
from xmppsh.output.records import MessageRecord
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import FILE, JID, KINDS, SECONDS
from xmppsh.session.responder import bounce_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    from xmppsh.app.app import App
    from xmppsh.commands.listen.jobs import Jobs
    from xmppsh.model import Element, Jid
    from xmppsh.output.records import StanzaRecord
    from xmppsh.session.ports import Interceptor
    from xmppsh.session.session import Session
    from xmppsh.session.session_port import Reader, SessionPort
    from xmppsh.xep.greeting import Rooms
    from xmppsh.xep.receipts import Receipts
    from xmppsh.xep.room_gaps import RoomGaps

MAX_INBOX_MIB = 1024 * 1024
# RFC 6121 §4.7.2.3: no message to the account comes to a resource of negative priority; presence does.


def _check(arguments: Mapping[str, Any]) -> None:
    if arguments["command"] is None and (arguments["jobs"] != 1 or arguments["reply"]):
        raise UsageError("--jobs and --reply are for --exec", hint="--exec CMD")
    check_rooms(arguments["rooms"], arguments["nick"], arguments["room_password"])
    ours = ("show", "status", "priority", "accepted")
    if arguments["no_presence"] and any(arguments[name] is not None for name in ours):
        # RFC 6121 §3.1.3: who asks to see our presence is told to those of us who have sent it.
        raise UsageError("--no-presence is for none of --show, --status, --priority and --accept-subscriptions")


@command("listen", check=_check)
@click.option(
    "--only", "kinds", type=KINDS, metavar="KINDS", default="message", help="Any of message,presence,iq [message]."
)
@click.option(
    "--from",
    "senders",
    type=JID,
    multiple=True,
    metavar="JID",
    help="Only from JID, such as *@example.org; repeatable.",
)
@click.option("--to", "recipients", type=JID, multiple=True, metavar="JID", help="Only to JID; repeatable.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only of this type, such as chat; repeatable.")
@click.option("--body", metavar="REGEX", help="Only messages whose body matches.")
@click.option("--xpath", metavar="EXPR", help="Only stanzas in which EXPR finds something.")
@click.option("--all", "everything", is_flag=True, help="Include chat states, receipts and markers.")
@click.option("--no-carbons", is_flag=True, help="Without what the account's other clients send and receive.")
@click.option("--receipts", is_flag=True, help="Tell contacts who ask that what they wrote has arrived (XEP-0184).")
@click.option("--inactive", is_flag=True, help="Nobody is looking: the server may hold back what can wait (XEP-0352).")
@click.option("--room", "rooms", type=JID, multiple=True, metavar="JID", help="Join this room; repeatable.")
@click.option("--nick", metavar="NICK", help="Your nickname in the rooms [that of the account].")
@click.option("--room-password", metavar="PASSWORD", help="The password of the rooms.")
@click.option("-C", "--count", type=click.IntRange(min=1), metavar="N", help="End after N records.")
@click.option("-W", "--wait", "wait_s", type=SECONDS, metavar="S", help="End after S seconds.")
@click.option("--drain", is_flag=True, help="End once everything waiting on the server has arrived.")
@click.option("--exec", "command", metavar="CMD", help="Run CMD for each record, with its JSON on stdin.")
@click.option(
    "--jobs", type=click.IntRange(min=1, max=1000), default=1, metavar="N", help="Run up to N of them at a time [1]."
)
@click.option("--reply", is_flag=True, help="Send the output of CMD back to the sender.")
@appearing
@click.option("--ready-file", type=FILE, help="Create FILE once the session is up.")
@click.option(
    "--ready",
    "ready_fd",
    type=click.IntRange(min=0),
    metavar="FD",
    callback=open_fd,
    help="Write a line to FD once the session is up.",
)
@click.option(
    "--inbox-max",
    type=click.IntRange(min=0, max=MAX_INBOX_MIB),
    metavar="MIB",
    default=64,
    help="How much may wait on disk for a slow reader [64].",
)
async def listen(app: App, **options: Any) -> AsyncIterator[StanzaRecord]:
    """Print each message that arrives; with --format json, one object per line.

    If --only excludes messages, they go to other clients: the session announces priority -1, and a message to its full
    JID is returned to the sender. What a filter excludes counts as handled and is acknowledged.

    If the reader of stdout is slower than the server, up to --inbox-max MiB are stored and acknowledged; beyond that
    nothing more is taken from the server. After kill -9 the next listen with the same address prints them first.

    --exec runs CMD without a shell, with XMPPSH_FROM, _TO, _TYPE, _BODY and _ID in its environment. If it exits with
    75, the record stays in the inbox and is tried again; any other exit code but 0 is reported, and the record counts
    as handled.

    Exit code 0 after N records or after S seconds; 75 if fewer than N arrived in time, or if CMD has not taken a
    record by then.

    \b
    Example:  xmppsh listen -C 1 --format json
              xmppsh listen --room team@rooms.example.org --exec ./bot --reply
    """
    if options["command"] is None:
        app.console.stdout.check()
    listener = _Listener(app, _Options(**options))
    stop_watching = app.console.stdout.on_closed(app.console.shutdown.end_quietly)
    try:
        async with aclosing(listener.run()) as records:
            async for record in records:
                yield record
    finally:
        stop_watching()


@dataclass(frozen=True, slots=True)
class _Options:
    """The command line, as click gives it."""

    kinds: tuple[str, ...]
    senders: tuple[Jid, ...]
    recipients: tuple[Jid, ...]
    types: tuple[str, ...]
    body: str | None
    xpath: str | None
    everything: bool
    no_carbons: bool
    receipts: bool
    inactive: bool
    rooms: tuple[Jid, ...]
    nick: str | None
    room_password: str | None
    count: int | None
    wait_s: float | None
    drain: bool
    command: str | None
    jobs: int
    reply: bool
    show: str | None
    status: str | None
    priority: int | None
    no_presence: bool
    accepted: str | None
    ready_file: str | None
    ready_fd: int | None
    inbox_max: int


class _Listener:
    """One run of `listen`."""

    def __init__(self, app: App, options: _Options) -> None:
        self._app, self._options = app, options
        self._filter = self._make_filter()
        self._rooms: Rooms | None = None
        self._receipts: Receipts | None = None
        self._arrived = 0
        self._together = Together(app, self._filter)

    def _make_filter(self) -> Filter:
        options, xpath = self._options, None
        if options.xpath is not None:
            from xmppsh.xmlio.xpath import compiled

            xpath = compiled(options.xpath)
        senders, recipients, types = options.senders, options.recipients, types_of_stanzas(options.types)
        return Filter(senders, recipients, types, pattern(options.body), xpath, options.everything)

    @property
    def _kinds(self) -> tuple[str, ...]:
        """What is read; more than is shown."""
        presence = ("presence",) if self._options.accepted is not None else ()
        return ("message", *self._options.kinds, *presence)

    async def run(self) -> AsyncGenerator[StanzaRecord, None]:
        """The records; with --exec none, since the program has them."""
        options, console = self._options, self._app.console
        jobs = self._jobs()
        reading = self._app.sessions.reading(
            "listen", *self._kinds, inbox_bytes=options.inbox_max * MIB, plug=self._plug
        )
        async with reading as (session, arrivals):
            if jobs is not None and options.reply:
                jobs.reply = lambda record, text: _answer(session, record, text)
            shown = 0
            try:
                beginning = telling_of_silence(console, session, self._begin(session, arrivals), lambda: self._arrived)
                async with until(options.wait_s, beginning, arrivals) as ending:
                    async for stanza in arrivals:
                        self._arrived += 1
                        before, record = shown, self._record(session, stanza)
                        if record is not None and jobs is None:
                            yield record
                            shown += 1
                        elif record is not None and jobs is not None and not self._is_own(record):
                            await _start(jobs, record, arrivals)  # one of our own would be answered by ourselves
                            shown += 1
                        if self._receipts is not None:
                            self._receipts.confirm(stanza, shown=shown > before)
                        elif jobs is None and "message" in options.kinds and shown != options.count:
                            shown += await self._print_together(arrivals, options.count and options.count - shown)
                        if shown == options.count:
                            break
                    else:
                        await ending.judge(session, shown, options.count)
                    if jobs is not None:
                        await jobs.join()
            finally:
                if jobs is not None:
                    await jobs.end()
            arrivals.cancel()
            if jobs is not None:
                jobs.judge()

    # ── The beginning ───────────────────────────────────────────────────────────────────────────────────────────

    def _jobs(self) -> Jobs | None:
        if self._options.command is None:
            return None
        from xmppsh.commands.listen.jobs import Jobs, words_of

        words = words_of(self._options.command)
        if shutil.which(words[0], path=self._app.console.env.get("PATH")) is None:
            raise NoInputError(f"--exec: {words[0]}: no such program", hint="give its path, or correct PATH")
        return Jobs(self._app.console, words, self._options.jobs)

    def _plug(self, session: Session, gaps: RoomGaps) -> Sequence[Interceptor]:
        from xmppsh.xep.greeting import Carbons, Inactive, Rooms

        options = self._options
        nick = options.nick or session.options.jid.localpart or "xmppsh"
        self._rooms = Rooms(session, options.rooms, nick, options.room_password, gaps.returns_to)
        wants_carbons = "message" in options.kinds and not options.no_carbons
        wanted = ((Carbons, wants_carbons), (Inactive, options.inactive))
        plugged: list[Interceptor] = [self._rooms, *(kind(session) for kind, is_wanted in wanted if is_wanted)]
        if options.receipts:
            from xmppsh.xep.receipts import Receipts

            self._receipts = Receipts(session)
            plugged.append(self._receipts)
        if "message" in options.kinds and not options.no_presence:
            from xmppsh.xep.stored_first import StoredFirst

            plugged.append(StoredFirst(session))
        return plugged

    async def _begin(self, session: SessionPort, arrivals: Reader) -> None:
        options, console = self._options, self._app.console
        if self._receipts is not None:
            await self._receipts.known.wait()
        if not options.no_presence:
            ours = availability(options.show, options.status, options.priority)
            announced = ours if "message" in options.kinds else WITHOUT_MESSAGES
            # However long it takes: the program may be stopped meanwhile, and a dead link heals.
            await session.acked(session.broadcast_presence(announced), math.inf)
        if self._rooms is not None:
            from xmppsh.xep.muc import truly_refused

            await truly_refused(session, self._rooms.joined)
        await tell_ready(console, options.ready_file, options.ready_fd)
        console.log(1, f"listening as {session.jid}")
        if options.drain:
            await drained(session, lambda: self._arrived)
            arrivals.finish()

    async def _print_together(self, arrivals: Reader, most: int | None) -> int:
        """Messages that came together; returns how many are shown, at most `most`."""
        arrived, shown = await self._together.print(arrivals, most)
        self._arrived += arrived
        return shown

    # ── A stanza ────────────────────────────────────────────────────────────────────────────────────────────────

    def _record(self, session: SessionPort, stanza: Element) -> StanzaRecord | None:
        """What is shown of it; None for nothing."""
        if (answer := answer_to(stanza, self._options.accepted)) is not None:
            session.send(answer)
        if stanza.kind not in self._options.kinds:
            # Left unread, it would hold back the acknowledgement of all that follows.
            if (bounce := bounce_of(stanza)) is not None:
                session.send(bounce)
            return None
        record = self._unwrapped(session, stanza)
        return record if record is not None and self._filter.lets_pass(record) else None

    def _is_own(self, record: StanzaRecord) -> bool:
        """Did we say it ourselves, from another client or in a room?"""
        is_sent = isinstance(record, MessageRecord) and record.carbon == "sent"
        return is_sent or (self._rooms is not None and self._rooms.is_own(record.from_))

    def _unwrapped(self, session: SessionPort, stanza: Element) -> StanzaRecord | None:
        from xmppsh.xep.carbons import copied

        carbon = copied(stanza, session.jid)
        if carbon is None:
            return self._app.record(stanza)
        if self._options.no_carbons:
            return None
        record = self._app.record(carbon.message)
        return replace(record, carbon=carbon.direction) if isinstance(record, MessageRecord) else record


async def _start(jobs: Jobs, record: StanzaRecord, arrivals: Reader) -> None:
    """Hand a record to a program. Stored, it may be read on meanwhile; else it is waited for."""
    kept = arrivals.keep()
    task = await jobs.start(record, lambda: None if kept is None else arrivals.forget(kept))
    if kept is None:
        await asyncio.wait({task})


async def _answer(session: SessionPort, record: StanzaRecord, text: str) -> None:
    """Send a text back to who wrote: into the room, or to the very client."""
    from xmppsh.xmlio.ids import new_id
    from xmppsh.xmlio.stanzas import Message

    to, kind = record.from_ or "", record.type if record.type in ("chat", "normal", "groupchat") else "chat"
    if kind == "groupchat":
        to = to.partition("/")[0]
    stanza_id = new_id()
    session.send(Message(text, str(kind)).xml(to, stanza_id), kind="message", stanza_id=stanza_id, to=to)
