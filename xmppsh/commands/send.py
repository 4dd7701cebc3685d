"""`send`: one message, to one or many; exit 0 means that the server acknowledged every one and none bounced."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from xmppsh.apart import apart
from xmppsh.commands.base import command
from xmppsh.commands.params import FILE, JID, WAIT, Wait, parse_address
from xmppsh.errors import DataError, DeadlineExceeded, NoInputError, Partial, UsageError, XmppshError
from xmppsh.model import Jid
from xmppsh.output.ndjson import dumps
from xmppsh.output.record import Record
from xmppsh.protocol.conditions import stanza_error
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.stanzas import MESSAGE_TYPES, RECEIPTS, Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from xmppsh.commands.app import App
    from xmppsh.session.session_port import SessionPort

MAX_BODY_BYTES = 1024 * 1024  # of stdin; the stanza's own limit is smaller


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


@command("send")
@click.argument("to", type=JID)
@click.argument("text", nargs=-1)
@click.option("--to", "more", type=JID, multiple=True, metavar="JID", help="One more recipient; repeatable.")
@click.option("--to-file", type=FILE, help="More recipients, one a line.")
@click.option("--lines", is_flag=True, help="Each line of stdin is a message, sent as it comes.")
@click.option("--type", "kind", type=click.Choice(MESSAGE_TYPES), default="chat", help="The message's type [chat].")
@click.option("--subject", metavar="TEXT", help="A subject.")
@click.option("--thread", metavar="ID", help="The conversation it belongs to.")
@click.option("--id", "stanza_id", metavar="ID", help="The stanza's id; made when not given.")
@click.option("--lang", metavar="TAG", help="The language of the text, such as en or pt-BR.")
@click.option("--oob", metavar="URL", multiple=True, help="Attach a URL (XEP-0066); repeatable.")
@click.option(
    "--wait", type=WAIT, default="acked", metavar="sent|acked|delivered[:S]", help="What success means [acked]."
)
@click.option("--each", is_flag=True, help="Print one JSON result for each message and recipient.")
async def send(
    app: App,
    to: Jid,
    text: tuple[str, ...],
    more: tuple[Jid, ...],
    to_file: str | None,
    lines: bool,
    kind: str,
    subject: str | None,
    thread: str | None,
    stanza_id: str | None,
    lang: str | None,
    oob: tuple[str, ...],
    wait: Wait,
    each: bool,
) -> AsyncIterator[SendResult]:
    """Send TEXT to TO; without TEXT, or with -, the body is read from stdin.

    --wait sent: the bytes have left; acked: the server has it; delivered: the recipient's client has confirmed it
    (XEP-0184), within S seconds or --timeout.

    \b
    Example:  xmppsh send romeo@example.net "But soft!"
              uptime | xmppsh send admin@example.net --subject "$(hostname)"
    """
    recipients = list(dict.fromkeys([to, *more, *await _from_file(app, to_file)]))
    message = Message(None, kind, subject, thread, lang, oob, receipt=wait.what == "delivered")
    if lines:
        if text or stanza_id is not None:
            raise UsageError("--lines takes the text from stdin, and makes the ids")
        messages = _by_lines(app, message)
    else:
        body = await _body(app, text, required=not (oob or subject))
        messages = _one(replace(message, body=body))
    delivery = _Delivery(recipients, each, wait, stanza_id)
    await _deliver(app, delivery, messages)
    for recipient, id_of_it, error in delivery.results():
        if each:
            yield SendResult(str(recipient), id_of_it, error is None, None if error is None else error.record())
        elif error is not None and delivery.count > 1:
            app.console.warn(str(error))
    verdict = delivery.verdict()
    if verdict is not None:
        raise verdict


async def _from_file(app: App, path: str | None) -> list[Jid]:
    if path is None:
        return []
    try:
        lines = (await apart(partial(app.console.path(path).read_text, "utf-8"))).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NoInputError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    return [parse_address(line.strip()) for line in lines if line.strip() and not line.startswith("#")]


async def _body(app: App, text: tuple[str, ...], *, required: bool) -> str | None:
    if text and text != ("-",):
        return _checked(" ".join(text))
    if not text and not required and app.console.stdin.is_terminal:
        return None
    body = _decoded(await app.console.stdin.read_all(MAX_BODY_BYTES)).removesuffix("\n")
    if not body and required:
        raise DataError("there is nothing to send: the body is empty", hint="give TEXT, or pipe it into stdin")
    return body or None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"stdin is not UTF-8 (byte {error.start + 1})") from error


def _checked(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError("the text on the command line is not UTF-8") from error
    return text


async def _one(message: Message) -> AsyncIterator[Message]:
    yield message


async def _by_lines(app: App, message: Message) -> AsyncIterator[Message]:
    rest = b""
    while chunk := await app.console.stdin.read():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield replace(message, body=_decoded(line.removesuffix(b"\r")))
        if len(rest) > MAX_BODY_BYTES:
            raise DataError(f"a line of stdin is longer than {MAX_BODY_BYTES} bytes")
    if rest.strip():
        yield replace(message, body=_decoded(rest))


class _Delivery:
    """The messages of one `send`: their numbers, their ids, and what came back."""

    def __init__(self, recipients: list[Jid], each: bool, wait: Wait, stanza_id: str | None = None) -> None:
        self.recipients, self.each, self.wait = recipients, each, wait
        self.received = asyncio.Event()  # every receipt has come, or a bounce instead
        self._confirmed: set[str] = set()
        self.count = 0
        self.failed: dict[str, XmppshError] = {}  # by the key of _key
        self._stanza_id = stanza_id
        self._to: dict[str, Jid] = {}

    def stanzas(self, new_id: Callable[[], str]) -> list[tuple[str, str, Jid]]:
        """The id, the origin-id and the recipient of each stanza of one message; the id is the user's, if he gave one.

        The origin-id is always a fresh one: the archive tells by it whether this very stanza has arrived.
        """
        made = []
        for recipient in self.recipients:
            origin = new_id()
            made.append((self._stanza_id or origin, origin, recipient))
        self.count += len(made)
        self._to |= {_key(stanza_id, recipient): recipient for stanza_id, _, recipient in made}
        return made

    def bounced(self, stanza_id: str, sender: str, own: Jid, error: XmppshError) -> None:
        """An error came back; it counts when it answers one of our messages, from who may say so.

        That is the recipient, or a server on the way: theirs, or our own (RFC 6120 §8.3.1), which may leave out `from`.
        """
        for key, recipient in self._to.items():
            domains = ("", recipient.domainpart, own.domainpart, str(own.bare))
            if key == _key(stanza_id, recipient) and sender.partition("/")[0] in (str(recipient.bare), *domains):
                self.failed.setdefault(key, error)
                self.check_receipts()
                return

    def confirmed(self, stanza_id: str, sender: str) -> None:
        """A receipt came (XEP-0184 §5); it counts from the recipient alone."""
        with suppress(XmppshError):
            self._confirmed |= {_key(stanza_id, Jid.parse(sender))} & self._to.keys()
        self.check_receipts()

    def check_receipts(self) -> None:
        """Are all receipts there?"""
        if self._to.keys() <= self._confirmed | self.failed.keys():
            self.received.set()

    def miss(self, seconds: float) -> None:
        """The time for receipts is over."""
        for key in self._to.keys() - self._confirmed - self.failed.keys():
            self.failed[key] = DeadlineExceeded(
                f"{self._to[key]} did not confirm the message within {seconds:.3g} s (the server has it)",
                layer="stanza",
                hint="not every client sends receipts (XEP-0184)",
            )

    def results(self) -> list[tuple[Jid, str, XmppshError | None]]:
        """Each recipient with the message's id and its error, in order of sending."""
        return [(to, key.partition(" ")[0], self.failed.get(key)) for key, to in self._to.items()]

    def verdict(self) -> XmppshError | None:
        """The error that decides the exit code, None when all went well."""
        errors = list(self.failed.values())
        if not errors:
            return None
        if len(errors) == self.count:
            return errors[0]
        return Partial(f"{len(errors)} of {self.count} messages bounced; the first: {errors[0]}", hint=errors[0].hint)


def _key(stanza_id: str, recipient: Jid) -> str:
    return f"{stanza_id} {recipient.bare}"


async def _deliver(app: App, delivery: _Delivery, messages: AsyncIterator[Message]) -> None:
    first = await anext(aiter(messages), None) if delivery.recipients else None
    if first is None:
        return
    for recipient in delivery.recipients:
        first.xml(str(recipient), "check")  # bad text is found before anything is dialled
    async with app.sessions.one_shot() as session:
        tasks = [asyncio.ensure_future(_collect_bounces(session, delivery))]
        if delivery.wait.what == "delivered":
            tasks.append(asyncio.ensure_future(_collect_receipts(session, delivery)))
        try:
            await _send_all(session, delivery, first, messages)
        finally:
            for task in tasks:
                task.cancel()


async def _send_all(
    session: SessionPort, delivery: _Delivery, first: Message, messages: AsyncIterator[Message]
) -> None:
    async def all_messages() -> AsyncIterator[Message]:
        yield first
        async for message in messages:
            yield message

    # Whoever does not want to know the fate is not told of it by the outbox later.
    kind = "" if delivery.wait.what == "sent" else "message"
    number = 0
    async for message in all_messages():
        for stanza_id, origin, recipient in delivery.stanzas(new_id):
            xml = message.xml(str(recipient), stanza_id, origin)
            number = session.send(xml, kind=kind, stanza_id=origin, to=str(recipient))
    if delivery.wait.what == "sent":
        return await session.written()
    domains = {recipient.domainpart for recipient in delivery.recipients}
    await asyncio.gather(session.acked(number), session.requests.fence(domains))
    if delivery.wait.what == "delivered":
        await _wait_for_receipts(delivery, delivery.wait.seconds or session.options.timeout_s)
    return None


async def _wait_for_receipts(delivery: _Delivery, seconds: float) -> None:
    delivery.check_receipts()
    try:
        async with asyncio.timeout(seconds):
            await delivery.received.wait()
    except TimeoutError:
        delivery.miss(seconds)


async def _collect_receipts(session: SessionPort, delivery: _Delivery) -> None:
    async for stanza in session.receipts():
        for received in tree(stanza).iterfind(f"{{{RECEIPTS}}}received"):
            delivery.confirmed(received.get("id", ""), stanza.sender)


async def _collect_bounces(session: SessionPort, delivery: _Delivery) -> None:
    async for stanza in session.bounces():
        error = stanza_error(tree(stanza), stanza.sender or session.jid.domainpart)
        delivery.bounced(stanza.id or "", stanza.sender, session.jid, error)
