"""Carries out the shell's lines on the open session, typed or from a script. Errors are raised to whoever reads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from xmppsh.commands.iq import IqAnswer
from xmppsh.errors import ClosedOutput, UsageError, XmppshError
from xmppsh.model import Jid
from xmppsh.output.failure import bug
from xmppsh.protocol.conditions import stanza_error
from xmppsh.registry import COMMANDS
from xmppsh.shell import runner
from xmppsh.shell.desk import MAX_DEPTH
from xmppsh.shell.failure import placed
from xmppsh.shell.line import Blank, Command, Text, Xml, classify
from xmppsh.shell.marks import ASKING
from xmppsh.shell.own_commands import OwnCommands, Quit
from xmppsh.shell.records import ShellPrinter
from xmppsh.shell.sent import Place
from xmppsh.shell.xmlinput import XmlInput
from xmppsh.xmlio.build import verbatim, with_id
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.stanzas import Message, with_origin_id

__all__ = ["Interpreter", "Quit"]

if TYPE_CHECKING:
    from xmppsh.app.app import App
    from xmppsh.model import Element
    from xmppsh.session.session import Session
    from xmppsh.shell.desk import Desk
    from xmppsh.shell.sent import Sent


class Interpreter:
    """Carries out lines. The state between them is on the desk."""

    def __init__(self, app: App, session: Session, sent: Sent, desk: Desk) -> None:
        self.command: str | None = None  # the one that runs
        self.own = OwnCommands(app, session, desk, self._carry_out_text)
        self._app, self._session, self._sent, self._desk = app, session, sent, desk
        self._depth = 0

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
        match line:
            case Blank():
                pass
            case Text(text):
                self._say(text, place)
            case Command(name, tail):
                await self._run(name, tail)

    async def _carry_out_text(self, text: str) -> None:
        """Lines from a file, or that another line stands for; the first that fails ends it."""
        if self._depth >= MAX_DEPTH:
            raise UsageError(f"lines stand for lines more than {MAX_DEPTH} deep")
        self._depth += 1
        try:
            xml: XmlInput | None = None
            for number, one in enumerate(text.split("\n"), start=1):
                try:
                    xml = await self._carry_out_one(one, xml, Place.line(number))
                except XmppshError as error:
                    if "\n" not in text.rstrip("\n"):
                        raise
                    raise placed(error, f"line {number}") from error
            if xml is not None:
                xml.end()
        finally:
            self._depth -= 1

    async def _carry_out_one(self, text: str, xml: XmlInput | None, place: Place) -> XmlInput | None:
        """One line of a file; returns the XML that is still open after it."""
        line = classify(text)
        if xml is None and not isinstance(line, Xml):
            if not text.startswith("#"):
                await self.carry_out(line, place)
            return None
        xml = xml or XmlInput(self._app.limits)
        if (stanzas := xml.feed(text)) is None:
            return xml
        await self.send(stanzas, place)
        return None

    def _say(self, text: str, place: Place) -> None:
        target = self.target
        if target is None:
            raise UsageError("the message has no recipient", hint="/to JID")
        stanza_id, to = new_id(), str(target)
        kind = "groupchat" if target.resourcepart is None and to in self._desk.people.rooms else "chat"
        marks = self._desk.marks if kind == "chat" else None
        xml = Message(text, type=kind, payloads=ASKING if marks else ()).xml(to, stanza_id)
        if marks is not None:
            marks.asked(stanza_id, target)
        self._session.send(xml, kind="message", stanza_id=stanza_id, to=to)
        self._sent.remember(stanza_id, target, place)

    async def _run(self, name: str, tail: str) -> None:
        began = time.perf_counter()
        try:
            if name.startswith("!"):
                await self.own.run("!", f"{name[1:]} {tail}")
            elif (line := self._desk.aliases.line(name)) is not None:
                await self._carry_out_text(f"{line} {tail}".rstrip())
            elif runner.is_own(name, tail):
                await self.own.run(name, tail)
            else:
                await self._run_registered(name, tail)
        finally:
            if self._desk.timing:
                took = f"({(time.perf_counter() - began) * 1000:.0f} ms)"
                await self._app.console.stdout.write(self._desk.palette.kind("dim", took) + "\n")

    async def _run_registered(self, name: str, tail: str) -> None:
        self.command = name
        try:
            await runner.run(self._app, self._session, self._desk, name, tail)
        except (XmppshError, ClosedOutput):
            raise
        except Exception as error:  # a bug in one command must not take the shell and its session along
            raise bug(error, self._app.settings.verbose, self._app.console.write_error) from error
        finally:
            self.command = None

    # ── XML ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, stanzas: list[Element], place: Place) -> None:
        """Send stanzas as they were written; an IQ request waits for its answer and prints it."""
        for stanza in stanzas:
            # RFC 6120 §8.1.3: an IQ must have an id; a message needs one for its bounce to be told from others.
            stanza_id = stanza.id or new_id()
            xml = verbatim(stanza) if stanza.id else with_id(stanza, stanza_id)
            kind = stanza.attributes.get("type")
            to = Jid.parse(stanza.attributes["to"]) if stanza.attributes.get("to") else None
            if stanza.kind == "iq" and kind in ("get", "set"):
                await self._show(await self._session.requests.exchange_stanza(xml, stanza_id, to))
                continue
            origin = new_id() if stanza.id else stanza_id
            xml = with_origin_id(stanza, xml, origin) if stanza.kind == "message" else xml
            self._session.send(xml, kind=stanza.kind, stanza_id=origin, to=stanza.attributes.get("to", ""))
            if stanza.kind == "message" and kind != "error":
                self._sent.remember(stanza_id, to, place)

    async def _show(self, answer: Element) -> None:
        if answer.attributes.get("type") == "error":
            raise stanza_error(tree(answer), answer.sender or self._session.jid.domainpart)
        record = IqAnswer(answer.attributes.get("from"), answer.id, answer.xml)
        printer = self._app.printer if self._app.printer.is_for_programs else ShellPrinter(self._desk)
        await printer.print(record, self._desk.output or self._app.console.stdout)
