"""Carries out the shell's lines on the open session, typed or from a script. Errors are raised to whoever reads."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from xmppsh.commands import COMMANDS
from xmppsh.commands.iq import IqAnswer
from xmppsh.commands.params import parse_address
from xmppsh.errors import ClosedOutput, UsageError, XmppshError
from xmppsh.model import Jid
from xmppsh.output.failure import bug
from xmppsh.protocol.conditions import stanza_error
from xmppsh.shell import runner
from xmppsh.shell.line import Blank, Command, Text
from xmppsh.xmlio.build import verbatim, with_id
from xmppsh.xmlio.ids import new_id
from xmppsh.xmlio.reader import tree
from xmppsh.xmlio.stanzas import Message, with_origin_id

if TYPE_CHECKING:
    from xmppsh.commands.app import App
    from xmppsh.model import Element
    from xmppsh.output.streams import InputStream
    from xmppsh.session.session import Session
    from xmppsh.shell.sent import Place, Sent


class Quit(Exception):
    """`/quit`: no error."""


class Interpreter:
    """The state between lines is the target. stdin: what commands may read."""

    def __init__(self, app: App, session: Session, sent: Sent, stdin: InputStream) -> None:
        self.target: Jid | None = None
        self.command: str | None = None  # the one that runs
        self._app, self._session, self._sent, self._stdin = app, session, sent, stdin

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

    def _say(self, text: str, place: Place) -> None:
        if self.target is None:
            raise UsageError("the message has no recipient", hint="/to JID")
        stanza_id = new_id()
        to = str(self.target)
        self._session.send(Message(text).xml(to, stanza_id), kind="message", stanza_id=stanza_id, to=to)
        self._sent.remember(stanza_id, self.target, place)

    async def _run(self, name: str, tail: str) -> None:
        match name:
            case "quit":
                _words(name, tail, 0)
                raise Quit
            case "to":
                words = _words(name, tail, 1)
                self.target = parse_address(words[0]) if words else None
            case "help":
                await self._app.console.stdout.write(runner.help_text(_words(name, tail, 3)))
            case _:
                await self._run_registered(name, tail)

    async def _run_registered(self, name: str, tail: str) -> None:
        self.command = name
        try:
            await runner.run(self._app, self._session, self._stdin, name, tail)
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
        await self._app.print(IqAnswer(answer.attributes.get("from"), answer.id, answer.xml))


def _words(name: str, tail: str, most: int) -> list[str]:
    try:
        words = shlex.split(tail)
    except ValueError as error:
        raise UsageError(f"/{name}: {str(error).lower()}") from None
    if len(words) > most:
        raise UsageError(f"/{name} takes {'nothing' if most == 0 else 'one word'} behind it", hint=f"/help {name}")
    return words
