"""What `send` was asked to send to whom: every fault of its command line is found here, before anything is dialled."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from xmppsh import ns
from xmppsh.commands.room_options import check_rooms
from xmppsh.commands.send.bodies import (
    Cleaner,
    Lines,
    check_text_options,
    from_words,
    preformatted,
    refuse_nothing,
    whole,
)
from xmppsh.commands.send.delivery import Delivery
from xmppsh.errors import DataError, Partial, UsageError
from xmppsh.model import Jid
from xmppsh.plain import dataclass
from xmppsh.registry.kinds import ANSWERS, parse_address, parse_uri
from xmppsh.session.outcome import counted_again, tell_of_waiting
from xmppsh.xmlio import payloads
from xmppsh.xmlio.stanzas import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from typing import Any

    from xmppsh.app.app import App
    from xmppsh.app.while_read import WhileRead
    from xmppsh.errors import XmppshError
    from xmppsh.output.streams import InputStream
    from xmppsh.registry.kinds import Wait
    from xmppsh.session.session_port import SessionPort
    from xmppsh.xmlio.build import Xml


_LANGUAGE = "[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*"  # RFC 5646 §2.1, as far as its form goes


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, as click gives it."""

    words: tuple[str, ...]
    more: tuple[Jid, ...]
    to_file: str | None
    lines: bool
    batch: float | None
    kind: str | None
    subject: str | None
    thread: str | None
    stanza_id: str | None
    lang: str | None
    oob: tuple[str, ...]
    attach: tuple[str, ...]
    room: bool
    nick: str | None
    room_password: str | None
    replaced: str | None
    reply_to: str | None
    quote: str | None
    retract: str | None
    react: tuple[str, ...]
    pre: bool
    empty: bool
    control: Any
    queue: bool
    wait: Wait
    each: bool


class Order:
    """What is to be sent to whom. messages: each is made when its turn comes. session: the one that it went to, if
    any; ended: what was wrong with that in the end."""

    def __init__(self, options: Options, recipients: list[Jid], words: tuple[str, ...], message: Message) -> None:
        self.options, self.words, self.message = options, words, message
        self.cleaner = Cleaner(options.control or ("strip" if options.lines else "refuse"))
        self.delivery = Delivery(recipients, options.wait, message.type, options.stanza_id)
        self.lines: Lines | None = None
        self.watched: WhileRead | None = None
        self.body: str | None = None
        self.files: list[Any] = []
        self.session: SessionPort | None = None
        self.ended: XmppshError | None = None

    @property
    def recipients(self) -> list[Jid]:
        """Whom each message goes to."""
        return self.delivery.recipients

    async def messages(self, urls: Iterable[str] = ()) -> AsyncIterator[Message]:
        """The messages in order; a file that was uploaded is one of its own, since clients show it only so."""
        if self.lines is not None:
            async for text in self.lines:
                yield replace(self.message, body=self._dressed(text))
            return
        if self.body is not None or self.message.payloads or not self.files:
            yield replace(self.message, body=self.body)
        for url in urls:
            yield Message(url, self.message.type, lang=self.message.lang, oob=(url,), receipt=self.message.receipt)

    def _dressed(self, text: str) -> str:
        quoted = payloads.quoted(self.options.quote) if self.options.quote is not None else ""
        return quoted + (preformatted(text) if self.options.pre else text)

    async def read_body(self, app: App) -> None:
        """Find the text, on the command line or on stdin; raises DataError for an empty one."""
        options, stdin, is_stdin = self.options, app.console.stdin, False
        if self.words and self.words != ("-",):
            text = from_words(self.words, self.cleaner)
        elif self.words or not (self.message.body is not None or self._needs_no_body or self._is_optional(app)):
            if options.to_file == "-":
                raise UsageError("the recipients come from stdin, so the text cannot", hint="give TEXT after TO")
            if stdin.is_terminal:
                app.console.log(0, "type the message; Ctrl-D on a line of its own sends it, Ctrl-C does not")
            text, is_stdin = await whole(stdin, self.cleaner), True
        else:
            text = self.message.body or ""
            if not text and not options.empty:
                return
        refuse_nothing(text, empty=options.empty or self._has_more, is_stdin=is_stdin)
        self.body = self._dressed(text) if text or options.empty else None

    @property
    def _has_more(self) -> bool:
        return bool(self.options.oob or self.options.subject or self.options.attach)

    @property
    def _needs_no_body(self) -> bool:
        """A retraction or reaction has none of the user's; --empty alone asks for an empty one."""
        return bool(self.options.retract or self.options.react)

    def _is_optional(self, app: App) -> bool:
        """Is there something else to send, and nobody who pipes a text in?"""
        return bool(self.options.attach) or (self._has_more and app.console.stdin.is_terminal)

    def refused(self, error: DataError) -> DataError:
        """The error of a message that is too large, with its line, or with what to try."""
        if self.lines is None:
            error.hint = error.hint or "--attach FILE sends a file of any size"
        elif self.options.batch is None:
            error.args = (f"line {self.lines.count} of stdin: {error}",)
        return error

    def end(self, session: SessionPort, error: XmppshError) -> None:
        """The session has ended before all was done."""
        self.ended = counted_again(error, session) if self.lines is not None else error
        if self.delivery.lose(session, self.ended):
            tell_of_waiting(self.ended)

    def judge(self, app: App) -> None:
        """Raise what decides the exit code."""
        self.delivery.judge(app.console, each=self.options.each, ended=self.ended)
        if self.lines is not None and self.lines.fault is not None:
            raise self.lines.fault
        if self.cleaner.stripped:
            count = self.cleaner.stripped
            counted = "1 character" if count == 1 else f"{count} characters"
            what = f"{counted} that XML cannot carry {'was' if count == 1 else 'were'} left out"
            if self.lines is not None and self.options.control is None:
                raise Partial(what, hint="--control show keeps them visible, --control strip accepts it")
            app.console.log(1, what)


async def order_of(app: App, options: Options) -> Order:
    """Everything that can be wrong with the command line is found here, before anything is dialled."""
    recipients, words, said = await _recipients(app, options)
    if not recipients:
        raise DataError(f"{'stdin' if options.to_file == '-' else options.to_file} holds no address")
    check_text_options(words, lines=options.lines, batch_s=options.batch)
    _check(options, recipients)
    order = Order(options, recipients, words, _message(options, recipients, said))
    if options.lines:
        stdin: InputStream = app.console.stdin
        if options.each or app.printer.shows_all:
            from xmppsh.app.while_read import WhileRead

            stdin = order.watched = WhileRead(stdin, app.console.stdout)
        order.lines = Lines(stdin, order.cleaner, options.batch, empty=options.empty)
    else:
        if options.attach:
            from xmppsh.commands.attachments import checked_file

            order.files = [await checked_file(app, name) for name in options.attach]
        await order.read_body(app)
        for recipient in recipients:
            replace(order.message, body=order.body).xml(str(recipient), "check")  # bad text is found now
    return order


async def _recipients(app: App, options: Options) -> tuple[list[Jid], tuple[str, ...], dict[str, str]]:
    """The recipients, the words of the text, and what an `xmpp:` URI says of the message."""
    words, first = options.words, list[Jid]()
    said: dict[str, str] = {}
    others = options.more or options.to_file is not None
    if words and (not others or "@" in words[0] or words[0].lower().startswith("xmpp:")):
        jid, said = parse_uri(words[0])
        first, words = [jid], words[1:]
    return list(dict.fromkeys([*first, *options.more, *await _from_file(app, options.to_file)])), words, said


async def _from_file(app: App, path: str | None) -> list[Jid]:
    if path is None:
        return []
    from xmppsh.app.sources import contents  # most have no file of recipients

    text = await contents(app.console, path)
    return [parse_address(line.strip()) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _check(options: Options, recipients: list[Jid]) -> None:
    """Raise UsageError for what contradicts itself, and for an empty id: a variable that a script forgot to set."""
    ids = {"id": options.stanza_id, "replace": options.replaced, "reply-to": options.reply_to}
    for name, value in [*ids.items(), ("retract", options.retract), *(("oob", url) for url in options.oob)]:
        if value == "":
            raise UsageError(f"--{name} is empty")
    if options.lines and (options.stanza_id or options.attach):
        raise UsageError("--lines takes the text from stdin, and makes the ids: --id and --attach are not for it")
    if options.lines and options.to_file == "-":
        raise UsageError("the recipients and the lines cannot both come from stdin", hint="--to-file FILE")
    if options.retract and (options.replaced or options.react):
        raise UsageError("--retract takes a message back: --replace and --react are not for it")
    if options.replaced and options.react:
        raise UsageError("--replace gives a message another text: --react is not for it")
    if options.queue and (options.attach or options.room_password):
        raise UsageError("--queue is for texts: a file or a password cannot be stored for later")
    if options.room and (options.kind not in (None, "groupchat") or options.wait.what in ANSWERS):
        raise UsageError("--room is for --type groupchat, and --wait sent or acked: a room answers nobody")
    check_rooms(recipients if options.room else [], options.nick, options.room_password)


def _message(options: Options, recipients: list[Jid], said: dict[str, str]) -> Message:
    if options.react and options.reply_to is None:
        raise UsageError("--react says which message it is for by --reply-to ID", hint="--reply-to ID")
    if options.quote is not None and options.reply_to is None:
        raise UsageError("--quote is for --reply-to", hint="--reply-to ID")
    if options.lang is not None and re.fullmatch(_LANGUAGE, options.lang) is None:
        raise UsageError(f"--lang: {options.lang!r} is not a language tag", hint="--lang en, or --lang pt-BR")
    body = said.get("body")
    return Message(
        None if body is None else body.replace("\r\n", "\n"),  # so are line ends written in a URI (RFC 5122 §2.7)
        options.kind or ("groupchat" if options.room else "chat"),
        options.subject if options.subject is not None else said.get("subject"),
        options.thread if options.thread is not None else said.get("thread"),
        options.lang,
        options.oob,
        receipt=options.wait.what == "delivered",
        payloads=tuple(_payloads(options, recipients)),
    )


def _payloads(options: Options, recipients: list[Jid]) -> Iterable[Xml]:
    if options.replaced is not None:
        yield payloads.correction(options.replaced)
    if options.react:
        assert options.reply_to is not None
        yield payloads.reactions(options.reply_to, options.react)
        yield payloads.store_hint()
    elif options.reply_to is not None:
        author = str(recipients[0]) if len(recipients) == 1 and not options.room else None
        yield payloads.reply(options.reply_to, author)
        if options.quote is not None:
            yield payloads.fallback(ns.REPLY, len(payloads.quoted(options.quote)))
    if options.retract is not None:
        yield payloads.retraction(options.retract)
        yield payloads.store_hint()
