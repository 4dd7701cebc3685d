"""`send`: one message, to one or many; exit 0 means that the server acknowledged every one and none bounced."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import TYPE_CHECKING

from xmppsh.commands.send.order import Options, Order, order_of
from xmppsh.errors import ConnectError, DataError, DeadlineExceeded, ExitCode, XmppshError
from xmppsh.output.ndjson import dumps
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import argument, command, option
from xmppsh.registry.kinds import ANSWERS
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.stanzas import MESSAGE_TYPES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
    from typing import Any

    from xmppsh.app.app import App
    from xmppsh.commands.send.delivery import Delivery
    from xmppsh.model import Jid
    from xmppsh.session.session_port import Collect, Reader, Reading, SessionPort

WINDOW = 1000  # unacknowledged messages of --lines; past it stdin is not read
MAX_REMEMBERED = 10_000  # recent messages of --lines that may come back


class Queued(XmppshError):
    """Not sent, and stored for later, as --queue asked."""

    exit_code = ExitCode.QUEUED
    layer = "stanza"
    default_hint = "xmppsh outbox flush sends what is stored"


@dataclass(frozen=True, slots=True)
class Sent(Record):
    """A message that was sent, with --format json or -F."""

    id: str
    """The id of the stanza."""
    to: str
    """The recipient."""
    acked: bool
    """Has the server acknowledged it? With --wait sent nobody waits for that."""

    def text(self) -> str:
        """One line."""
        return f"{self.id} to {self.to}"


@dataclass(frozen=True, slots=True)
class SendResult(Record):
    """What became of one message of `send --each`."""

    to: str
    """The recipient."""
    id: str
    """The id of the stanza."""
    ok: bool
    """Was it acknowledged, or delivered where --wait asked for that, and did it not bounce?"""
    error: dict[str, Any] | None
    """Why not: the same object as on stderr."""

    def text(self) -> str:
        """The JSON object: --each prints it in every format."""
        return dumps(self.data())


@dataclass(frozen=True, slots=True)
class QueuedMessage(Record):
    """A message that was not sent, and is stored for `outbox flush`."""

    id: str
    """The id of the stanza."""
    to: str
    """The recipient."""
    queued: bool
    """It is stored: always true."""

    def text(self) -> str:
        """One line."""
        return f"{self.id} to {self.to} is stored"


def _check(arguments: Mapping[str, Any]) -> None:
    if not (arguments["words"] or arguments["more"] or arguments["to_file"]):
        import click  # it has read these words

        raise click.UsageError("Missing argument 'TO'.", click.get_current_context())


def _lacks(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Of what arrives, an awaited reply alone is printed."""
    return {} if arguments["wait"].what == "reply" else {"message": "--wait reply"}


@command("send", check=_check, lacks=_lacks)
@argument("words", metavar="TO [TEXT]…", nargs=-1, shell_complete="JID")
@option("--to", "more", type="JID", multiple=True, metavar="JID", help="One more recipient; repeatable.")
@option("--to-file", type="FILE", help="More recipients, one per line; - is stdin.")
@option("--lines", is_flag=True, help="Send each line of stdin as a message as it comes in.")
@option("--batch", type="SECONDS", metavar="S", help="With --lines: join the lines of S seconds into one message.")
@option("--type", "kind", type=MESSAGE_TYPES, default=None, help="The message's type [chat].")
@option("--subject", metavar="TEXT", help="A subject.")
@option("--thread", metavar="ID", help="The conversation it belongs to.")
@option("--id", "stanza_id", metavar="ID", help="The stanza's id [a random one].")
@option("--lang", metavar="TAG", help="The language of the text, such as en or pt-BR.")
@option("--oob", metavar="URL", multiple=True, help="Attach a URL (XEP-0066); repeatable.")
@option("--attach", type="FILE", multiple=True, help="Upload FILE and send its URL (XEP-0363); repeatable.")
@option("--room", is_flag=True, help="TO is a room: join it, send, leave (XEP-0045).")
@option("--nick", metavar="NICK", help="Your nickname in the room [that of the account].")
@option("--room-password", metavar="PASSWORD", help="The room's password.")
@option("--replace", "replaced", metavar="ID", help="Correct your message with this id (XEP-0308).")
@option("--reply-to", metavar="ID", help="Reply to the message with this id (XEP-0461).")
@option("--quote", metavar="TEXT", help="With --reply-to: its text, for clients without replies.")
@option("--retract", metavar="ID", help="Retract your message with this id (XEP-0424).")
@option("--react", metavar="EMOJI", multiple=True, help="With --reply-to: react to it (XEP-0444); '' takes it back.")
@option("--pre", is_flag=True, help="Preformatted: clients show the text as it is (XEP-0393).")
@option("--empty", is_flag=True, help="Allow an empty text; with --lines, empty lines.")
@option(
    "--control",
    type=("refuse", "strip", "show"),
    help="What to do with characters that XML cannot carry [refuse; with --lines strip].",
)
@option("--queue", is_flag=True, help="If the server is down: store it, exit with 81; `outbox flush` sends it.")
@option(
    "--wait",
    type="WAIT",
    default="acked",
    metavar="WHAT[:S]",
    help="Success is sent, acked, delivered or reply [acked].",
)
@option("--each", is_flag=True, help="Print one JSON result for each message and recipient.")
async def send(app: App, **options: Any) -> AsyncIterator[Record]:
    """Send TEXT to TO; without TEXT, or with -, the body is read from stdin.

    --wait sent: the bytes have left; acked: the server has it; delivered: the recipient's client has confirmed it
    (XEP-0184); reply: the recipient has answered, and the answer is printed. The last two wait S seconds, or --timeout.

    With --to or --to-file, TO may be omitted: the first word is an address only if it contains an @.

    \b
    Example:  xmppsh send romeo@example.net "But soft!"
              uptime | xmppsh send admin@example.net --subject "$(hostname)"
    """
    order = await order_of(app, Options(**options))
    app.goes_on = True  # there may be more lines, and more recipients
    try:
        async with aclosing(_carried_out(app, order)) as records:
            async for record in records:
                yield record
    finally:
        if order.watched is not None:
            order.watched.stop()
    order.judge(app)


# ── On a session ────────────────────────────────────────────────────────────────────────────────────────────────


async def _carried_out(app: App, order: Order) -> AsyncGenerator[Record, None]:
    delivery, options = order.delivery, order.options
    if options.lines and delivery.wait.what not in ANSWERS:
        delivery.most = MAX_REMEMBERED  # `tail -f` may go on for weeks
    try:
        if options.lines and not app.settings.dry_run:
            from xmppsh.app.produced import produced

            async with aclosing(produced(partial(_line_by_line, app, order))) as records:
                async for record in records:
                    yield record
        else:
            async with app.sessions.one_shot(heals=options.lines) as session:
                order.session = session
                async with _collecting(session, delivery):
                    await _send(app, session, order)
    except XmppshError as error:
        if order.session is None:
            if not options.queue or not isinstance(error, (ConnectError, DeadlineExceeded)):
                for recipient, stanza_id in await _unsent(order):
                    yield SendResult(str(recipient), stanza_id, ok=False, error=error.record())
                raise
            stored = await _stored(app, order)
            what = "1 message is" if len(stored) == 1 else f"{len(stored)} messages are"
            queued = Queued(f"{what} stored and not sent: {error}")
            for one in stored:
                yield SendResult(one.to, one.id, ok=False, error=queued.record()) if options.each else one
            raise queued from error
        order.end(order.session, error)
    for reply in delivery.replies:
        yield app.record(reply)
    for key in delivery.untold:
        if (record := _record(app, order, key)) is not None:
            yield record


async def _line_by_line(app: App, order: Order, emit: Callable[[Record], Awaitable[None]]) -> None:
    from xmppsh.commands.send.telling import Telling

    delivery = order.delivery

    async def tell(key: str) -> None:
        if (record := _record(app, order, key)) is not None:
            await emit(record)

    wants_results = order.options.each or app.printer.shows_all
    telling = Telling(delivery, tell if wants_results else None)
    async with app.sessions.one_shot(heals=True) as session:
        order.session = session
        async with _collecting(session, delivery):
            await telling.beside(session, _send(app, session, order, telling.has_room))


def _record(app: App, order: Order, key: str) -> Record | None:
    """What is printed of one message; None where nobody has asked for it."""
    delivery = order.delivery
    recipient, stanza_id, error = delivery.result(key)
    if order.options.each:
        return SendResult(str(recipient), stanza_id, error is None, None if error is None else error.record())
    if app.printer.shows_all and delivery.wait.what != "reply" and recipient not in delivery.shut:
        return Sent(stanza_id, str(recipient), acked=delivery.wait.what != "sent" and key not in delivery.unacked)
    return None


def _collecting(session: SessionPort, delivery: Delivery) -> Reading:
    """Reads what comes back while the messages are sent."""
    work: list[tuple[Reader, Collect]] = [(session.bounces(), partial(delivery.collect_bounces, session))]
    if delivery.wait.what == "delivered":
        work.append((session.receipts(), delivery.collect_receipts))
    if delivery.wait.what == "reply":
        work.append((session.subscribe("message"), partial(delivery.collect_replies, session)))
    return session.beside(*work)


async def _nothing() -> None:
    return None


async def _send(
    app: App, session: SessionPort, order: Order, has_room: Callable[[], Awaitable[None]] = _nothing
) -> None:
    options, delivery = order.options, order.delivery
    if delivery.wait.what == "reply":
        await _ask_for_carbons(session)
    urls: list[str] = []
    if order.files:
        from xmppsh.commands.attachments import uploads

        urls = [url async for url in uploads(app, session, order.files)]
    async with AsyncExitStack() as rooms:
        if options.room:
            await _enter(app, session, order, rooms)
        # Whoever does not want to know the fate is not told of it by the outbox later.
        kind = "" if delivery.wait.what == "sent" else "message"
        number = 0
        async for message in order.messages(urls):
            for stanza_id, origin, recipient in delivery.stanzas(new_id):
                xml = message.xml(str(recipient), stanza_id, origin)
                try:
                    number = session.send(xml, kind=kind, stanza_id=origin, to=str(recipient))
                except DataError as error:
                    raise order.refused(error) from error
                delivery.numbered(stanza_id, recipient, number)
                if app.on_sent is not None:
                    app.on_sent(xml, stanza_id, recipient)
            await session.wait_for_window(WINDOW)
            await has_room()
        if delivery.wait.what == "sent":
            return await session.written()
        await session.through(number, [str(to) for to in delivery.open_recipients])
        if delivery.wait.what in ("delivered", "reply"):
            await delivery.wait_for_answers(session, options.wait.seconds or session.options.timeout_s)
    return None


async def _ask_for_carbons(session: SessionPort) -> None:
    """An answer to our bare JID reaches other clients of ours; the server tells us of it where it can (XEP-0280)."""
    from xmppsh.errors import StanzaError
    from xmppsh.xep.carbons import enabling

    try:
        await session.request("set", None, enabling())
    except StanzaError:
        return  # then only an answer to this very session is seen


async def _enter(app: App, session: SessionPort, order: Order, rooms: AsyncExitStack) -> None:
    """Enter the rooms, which are left at the end; one that lets us not in keeps the message from no other."""
    from xmppsh.xep.muc import inside

    options, waits = order.options, not app.settings.dry_run
    for room in order.recipients:
        entering = inside(session, [room], options.nick, options.room_password, waits=waits)
        try:
            await rooms.enter_async_context(entering)
        except XmppshError as error:
            order.delivery.shut[room] = error
            if session.is_cut or (options.lines and len(order.delivery.shut) == len(order.recipients)):
                raise


async def _unsent(order: Order) -> list[tuple[Jid, str]]:
    """The messages whose results are wanted, though no session came about; lines that nobody has read are none."""
    if not order.options.each or order.options.lines:
        return []
    return [(to, one) async for _ in order.messages() for one, _, to in order.delivery.stanzas(new_id)]


async def _stored(app: App, order: Order) -> list[QueuedMessage]:
    """Keep the messages in the outbox, for `outbox flush`; raises IoError when they cannot be stored."""
    from xmppsh.outbox.queue import Entry

    nick = order.options.nick if order.options.room else None
    entries: list[Entry] = []
    stored: list[QueuedMessage] = []
    async for message in order.messages():
        for stanza_id, origin, recipient in order.delivery.stanzas(new_id):
            xml = message.xml(str(recipient), stanza_id, origin)
            to = recipient if nick is None else recipient.with_resource(nick)  # `outbox flush` joins by it
            entries.append(Entry(len(entries) + 1, xml, "message", origin, str(to)))
            stored.append(QueuedMessage(stanza_id, str(recipient), queued=True))
    journal = app.storage.journal(app.account.jid)
    try:
        journal.write(entries, [], 0)
    finally:
        journal.close()
    return stored
