"""Carries out the shell's lines on the open session, typed or from a script. Errors are raised to whoever reads."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xmppsh.commands.iq import IqAnswer
from xmppsh.errors import ClosedOutput, UsageError, XmppshError
from xmppsh.model import Jid
from xmppsh.output.failure import bug
from xmppsh.protocol.conditions import stanza_error
from xmppsh.registry import COMMANDS
from xmppsh.shell.lines import names
from xmppsh.shell.lines.desk import MAX_DEPTH
from xmppsh.shell.lines.line import Blank, Command, Text, Xml, classify
from xmppsh.shell.lines.of_file import Lines, TooDeep
from xmppsh.shell.lines.own_commands import OwnCommands, Quit
from xmppsh.shell.lines.records import ShellPrinter
from xmppsh.shell.lines.sent import Place
from xmppsh.shell.lines.xmlinput import XmlInput
from xmppsh.shell.shown.marks import ASKING
from xmppsh.xmlio.build import verbatim, with_id
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.stanzas import Message, with_origin_id

__all__ = ["Interpreter", "Quit"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xmppsh.app.app import App
    from xmppsh.model import Element
    from xmppsh.session.session import Session
    from xmppsh.shell.lines.desk import Desk
    from xmppsh.shell.lines.sent import Sent


class Interpreter:
    """Carries out lines. The state between them is on the desk.

    on_said: is told of a message that has left, by its stanza, its id, whom it goes to, and the line; None for a
    line that tells of its fate by itself.
    """

    def __init__(
        self,
        app: App,
        session: Session,
        sent: Sent,
        desk: Desk,
        on_said: Callable[[str, str, Jid, Place | None], None] = lambda xml, stanza_id, to, place: None,
    ) -> None:
        self.command: str | None = None  # the one that runs
        self.own = OwnCommands(app, session, desk, self._carry_out_text, self._carry_out_file)
        self._app, self._session, self._sent, self._desk = app, session, sent, desk
        self._depth, self._on_said = 0, on_said
        self._place = Place("")  # of the line that is carried out

    @property
    def target(self) -> Jid | None:
        """Whom messages go to."""
        return self.own.target

    @property
    def reports_bounces(self) -> bool:
        """Does a command run that tells by itself what came back?"""
        spec = COMMANDS.get((self.command or "",))
        return spec is not None and spec.reports_bounces

    async def carry_out(self, line: Blank | Command | Text, place: Place) -> None:
        """Do what a line says; raises XmppshError, Quit, ClosedOutput."""
        self._place = place
        match line:
            case Blank():
                pass
            case Text(text):
                self._say(text, place)
            case Command(name, tail):
                await self._run(name, tail)

    async def _carry_out_text(self, text: str) -> None:
        """The line that another one stands for."""
        with self._deeper() as place:
            match classify(text):
                case Xml():
                    xml = XmlInput(self._app.limits)
                    stanzas = xml.feed(text)
                    await self.send(xml.end() if stanzas is None else stanzas, place)
                case line:
                    await self.carry_out(line, place)

    async def _carry_out_file(self, data: bytes, name: str) -> None:
        """The lines of a file; the first that fails ends it."""
        with self._deeper() as place:
            lines = Lines(self._session, self._app.limits, self.carry_out, self.send, name, place)
            for one in data.split(b"\n"):
                await lines.take(one)
            lines.end()

    @contextmanager
    def _deeper(self) -> Iterator[Place]:
        """Lines that another line stands for; gives its place."""
        if self._depth >= MAX_DEPTH:
            raise TooDeep(f"lines stand for lines more than {MAX_DEPTH} deep")
        place = self._place
        self._depth += 1
        try:
            yield place
        finally:
            self._depth -= 1
            self._place = place

    def _say(self, text: str, place: Place) -> None:
        target = self.target
        if target is None:
            word = text.split()[0]
            hint = f"/{word}, as commands begin with a slash" if names.exists(word) else "/to JID"
            raise UsageError("the message has no recipient", hint=hint)
        stanza_id, to = new_id(), str(target)
        stanza_type = "groupchat" if target.resourcepart is None and to in self._desk.people.rooms else "chat"
        asks = stanza_type == "chat" and self._desk.marks is not None
        xml = Message(text, type=stanza_type, payloads=ASKING if asks else ()).xml(to, stanza_id)
        self._session.send(xml, kind="message", stanza_id=stanza_id, to=to)
        self._sent.remember(stanza_id, target, place)
        self._on_said(xml, stanza_id, target, place)

    async def _run(self, name: str, tail: str) -> None:
        began = time.perf_counter()
        try:
            if name.startswith("!"):
                await self.own.run("!", f"{name[1:]} {tail}")
            elif (line := self._desk.aliases.line(name)) is not None:
                await self._carry_out_text(f"{line} {tail}".rstrip())
            elif names.is_own(name, tail):
                await self.own.run(name, tail)
            else:
                await self._run_registered(name, tail)
        finally:
            if self._desk.timing:
                await self._tell_time(time.perf_counter() - began)

    async def _tell_time(self, took_s: float) -> None:
        text = self._desk.palette.kind("dim", f"({took_s * 1000:.0f} ms)") + "\n"
        if self._app.settings.format == "text":
            return await self._app.console.stdout.write(text)
        self._app.console.write_error(text)  # it is no record

    async def _run_registered(self, name: str, tail: str) -> None:
        from xmppsh.shell.lines import runner  # which loads click

        self.command = name
        self._session.told_up_to = self._session.sent_count  # a command fails for what is its own
        try:
            await runner.run(self._app, self._session, self._desk, name, tail, self._command_said)
        except (XmppshError, ClosedOutput):
            raise
        except Exception as error:  # a bug in one command must not take the shell and its session along
            raise bug(error, self._app.settings.verbose, self._app.console.write_error) from error
        finally:
            self.command = None

    def _command_said(self, xml: str, stanza_id: str, to: Jid) -> None:
        self._on_said(xml, stanza_id, to, None)

    # ── XML ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, stanzas: list[Element], place: Place) -> None:
        """Send stanzas as they were written; an IQ request waits for its answer and prints it."""
        for stanza in stanzas:
            # RFC 6120 §8.1.3: an IQ must have an id; a message needs one for its bounce to be told from others.
            stanza_id = stanza.id or new_id()
            xml = verbatim(stanza) if stanza.id else with_id(stanza, stanza_id)
            stanza_type = stanza.attributes.get("type")
            to = Jid.parse(stanza.attributes["to"]) if stanza.attributes.get("to") else None
            if stanza.kind == "iq" and stanza_type in ("get", "set"):
                self.command = "iq"
                try:
                    await self._show(await self._session.requests.exchange_stanza(xml, stanza_id, to))
                finally:
                    self.command = None
                continue
            origin = new_id() if stanza.id else stanza_id
            xml = with_origin_id(stanza, xml, origin) if stanza.kind == "message" else xml
            self._session.send(xml, kind=stanza.kind, stanza_id=origin, to=stanza.attributes.get("to", ""))
            if stanza.kind in ("message", "presence") and stanza_type != "error":
                self._sent.remember(stanza_id, to, place)

    async def _show(self, answer: Element) -> None:
        if answer.attributes.get("type") == "error":
            raise stanza_error(tree(answer), answer.sender or self._session.jid.domainpart)
        record = IqAnswer(answer.attributes.get("from"), answer.id, answer.xml)
        printer = self._app.printer if self._app.printer.is_for_programs else ShellPrinter(self._desk)
        await printer.print(record, self._desk.output or self._app.console.stdout)
