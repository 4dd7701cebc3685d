"""The interactive shell: a prompt on the terminal, with what arrives printed above it.

Between two prompts, while a command runs, the terminal is an ordinary one: a command may read it, and its Ctrl-C is
a SIGINT. At the prompt Ctrl-C is a key, so a SIGINT there was sent by somebody with `kill`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings

from xmppsh.errors import XmppshError
from xmppsh.output import safe
from xmppsh.shell import xmlinput
from xmppsh.shell.failure import placed, report
from xmppsh.shell.interpreter import Interpreter, Quit
from xmppsh.shell.line import Command, Xml, classify
from xmppsh.shell.printer import Printer, WholeRecords
from xmppsh.shell.screen import Drawing, Screen, ScreenOutput, color_depth, keyboard
from xmppsh.shell.sent import Place, Sent, bounce
from xmppsh.shell.tasks import running, unless
from xmppsh.shell.xmlinput import XmlInput
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prompt_toolkit.key_binding import KeyPressEvent

    from xmppsh.commands.app import App
    from xmppsh.model import Element
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.session import Session
    from xmppsh.shell.line import Line

LEAVE_S = 5.0  # for the acks of what was typed last
CONTINUATION = "... "


async def run_repl(app: App, session: Session, arrivals: Inbox, fd: int) -> None:
    """Read and carry out lines until Ctrl-D or /quit; raises what ended the session.

    fd: the terminal that gets the prompt.
    """
    screen = Screen(fd)
    drawing = Drawing(screen.terminal, app.console.env.get("TERM"))
    with _on_screen(app, screen), create_app_session(keyboard(), drawing):
        await Repl(app, session, arrivals, screen).run()


@contextmanager
def _on_screen(app: App, screen: Screen) -> Iterator[None]:
    """All that goes to this terminal, records, errors and the log, is printed above the prompt."""
    console = app.console
    stdout, write_error = console.stdout, console.write_error
    console.stdout = ScreenOutput(stdout.fd, screen) if stdout.is_terminal else WholeRecords(stdout.fd)
    if os.isatty(2):
        console.write_error = screen.above
    try:
        yield
    finally:
        console.stdout, console.write_error = stdout, write_error


class Repl:
    """One run of the prompt."""

    def __init__(self, app: App, session: Session, arrivals: Inbox, screen: Screen) -> None:
        self._app, self._session, self._screen = app, session, screen
        self._sent = Sent(session, lambda _, error: report(app, error))
        self._interpreter = Interpreter(app, session, self._sent, app.console.stdin)
        self._printer = Printer(app, session, arrivals, self._tell_bounce)
        self._reads = False
        self._work: asyncio.Task[None] | None = None  # the line that is carried out
        self._confirmations: set[asyncio.Task[None]] = set()
        self._prompt: PromptSession[str] = PromptSession(
            self._message,
            multiline=Condition(self._xml_is_open),
            prompt_continuation=CONTINUATION,
            bottom_toolbar=self._toolbar,
            enable_suspend=True,
            key_bindings=self._keys(),
            color_depth=color_depth(app.settings.color, app.console.env),
        )
        screen.prompt = self._prompt.app

    async def run(self) -> None:
        """Prompt and carry out, until the end."""
        self._session.broadcast_presence(presence())
        self._confirm(None)
        async with running(self._printer.run()) as watch, running(self._sent.collect()):
            self._app.console.shutdown.on_interrupt = self._on_interrupt
            try:
                await self._loop(watch)
            except Quit:
                pass
            finally:
                self._app.console.shutdown.on_interrupt = None
                await self._stop_confirmations()
            await self._session.acked(self._session.sent_count, LEAVE_S)

    async def _loop(self, watch: asyncio.Task[None]) -> None:
        while (text := await unless(watch, asyncio.ensure_future(self._read()))) is not None:
            line = classify(text)
            before = self._session.sent_count
            self._work = asyncio.ensure_future(self._carry_out(line, Place.typed(text)))
            try:
                await unless(watch, self._work)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise  # it is the shell that has to end, not the command alone
                self._screen.above("\n")  # behind the terminal's ^C
            except XmppshError as error:
                if self._session.is_over:
                    await watch  # raises what ended it, once all that came before is printed
                report(self._app, error)
            finally:
                self._work = None
            if self._session.sent_count > before and self._session.unacked_count:
                # A command waits for its acks itself, as far as it wants them.
                self._confirm(None if isinstance(line, Command) else Place.typed(text))

    async def _read(self) -> str | None:
        """A line, or several of XML; None at the end of input."""
        self._reads = True
        try:
            return await self._prompt.prompt_async(handle_sigint=False, set_exception_handler=False)
        except EOFError:
            return None
        except KeyboardInterrupt:  # on a dumb terminal prompt_toolkit's own Ctrl-C comes before ours
            return ""
        finally:
            self._reads = False

    async def _carry_out(self, line: Line, place: Place) -> None:
        if not isinstance(line, Xml):
            return await self._interpreter.carry_out(line, place)
        xml = XmlInput(self._app.limits)
        stanzas = xml.feed(line.text)
        return xml.end() if stanzas is None else await self._interpreter.send(stanzas, place)

    # ── What became of it ───────────────────────────────────────────────────────────────────────────────────────

    def _confirm(self, place: Place | None) -> None:
        """Watch for the ack of what was sent so far, and tell when that of a line does not come."""
        number = self._session.sent_count

        async def wait() -> None:
            try:
                await self._session.acked(number)
            except XmppshError as error:
                if place is not None:
                    report(self._app, placed(error, place.label))
            self._prompt.app.invalidate()  # the toolbar counts acks

        task = asyncio.ensure_future(wait())
        self._confirmations.add(task)
        task.add_done_callback(self._confirmations.discard)

    async def _stop_confirmations(self) -> None:
        tasks = list(self._confirmations)
        if not self._session.is_over:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell_bounce(self, stanza: Element) -> bool:
        if self._sent.place_of(stanza) is None and not self._interpreter.reports_bounces:
            report(self._app, bounce(stanza))
        return True

    # ── Keys and signals ────────────────────────────────────────────────────────────────────────────────────────

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c", filter=has_focus(DEFAULT_BUFFER))
        def _clear(event: KeyPressEvent) -> None:
            event.current_buffer.reset()

        return keys

    def _on_interrupt(self) -> bool:
        """A SIGINT: True when it was meant for the line or for the command."""
        if not self._reads:
            # From the keyboard. With nothing left to stop it came a moment too late, and the shell goes on.
            if self._work is not None:
                self._work.cancel()
            return True
        if not self._prompt.default_buffer.text:
            return False
        self._prompt.default_buffer.reset()
        self._prompt.app.invalidate()
        return True

    # ── What stands on the screen ───────────────────────────────────────────────────────────────────────────────

    def _message(self) -> str:
        target = self._interpreter.target or self._session.jid
        return f"{safe.line(str(target.bare))}> "

    def _xml_is_open(self) -> bool:
        text = self._prompt.default_buffer.text
        return text.startswith("<") and xmlinput.is_open(text, self._app.limits)

    def _toolbar(self) -> str:
        session = self._session
        parts = [
            safe.line(str(session.jid)),
            session.tls_version or "no TLS",
            session.mechanism,
            "reconnecting" if session.is_cut else f"acked {session.acked_count}/{session.sent_count}",
        ]
        if self._interpreter.target is None:
            parts.append("/to JID chooses whom to write to")
        return "  ".join(parts)
