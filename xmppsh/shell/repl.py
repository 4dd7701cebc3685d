"""The interactive shell: a prompt on the terminal, with what arrives printed above it.

Between two prompts, while a command runs, the terminal is an ordinary one: a command may read it, and its Ctrl-C is
a SIGINT. At the prompt Ctrl-C is a key, so a SIGINT there was sent by somebody with `kill`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from prompt_toolkit.application import create_app_session
from prompt_toolkit.shortcuts.prompt import PromptSession

from xmppsh import ns
from xmppsh.errors import XmppshError
from xmppsh.output import safe
from xmppsh.output.records import MessageRecord
from xmppsh.shell.fates import Fates
from xmppsh.shell.lines.failure import report
from xmppsh.shell.lines.interpreter import Interpreter, Quit
from xmppsh.shell.lines.line import Command, Text, Xml, classify, pasted
from xmppsh.shell.lines.names import keeps_text
from xmppsh.shell.lines.sent import Place, Sent, bounce
from xmppsh.shell.lines.xmlinput import XmlInput
from xmppsh.shell.shown.answers import Answers
from xmppsh.shell.shown.conversation import Conversation
from xmppsh.shell.shown.events import is_event
from xmppsh.shell.shown.keyboard import Reading, keyboard, unsuspended
from xmppsh.shell.shown.marks import ASKED, Marks, News
from xmppsh.shell.shown.plain_drawing import PlainDrawing
from xmppsh.shell.shown.printer import Printer, WholeRecords, unwrapped
from xmppsh.shell.shown.reflow import find_prompt_after_resize, folds
from xmppsh.shell.shown.screen import Drawing, Screen, ScreenOutput, color_depth
from xmppsh.shell.standing import Standing
from xmppsh.shell.surroundings import Surroundings
from xmppsh.shell.typing.complete import LineCompleter
from xmppsh.shell.typing.editor import edited
from xmppsh.shell.typing.history import LineHistory, history_file
from xmppsh.shell.typing.prompt import make_prompt
from xmppsh.tasks import running, unless
from xmppsh.xmlio.reader import read_element

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prompt_toolkit.formatted_text import StyleAndTextTuples

    from xmppsh.app.app import App
    from xmppsh.model import Element, Jid
    from xmppsh.session.inbox import Inbox
    from xmppsh.session.session import Session
    from xmppsh.shell.lines.desk import Desk
    from xmppsh.shell.lines.line import Line

LEAVE_S = 5.0  # for the acks of what was typed last
NOBODY = "(nobody)"
SUSPEND = "xmppsh: the session has to stay alive, so the shell is not suspended\n  try: /! COMMAND\n"


async def run_repl(app: App, session: Session, arrivals: Inbox, desk: Desk, fd: int, *, vi: bool = False) -> None:
    """Read and carry out lines until Ctrl-D or /quit; raises what ended the session.

    desk: what lines share; fd: the terminal that gets the prompt; vi: with vi's keys.
    """
    term = app.console.env.get("TERM")
    is_dumb = (term or "dumb") in ("dumb", "unknown")
    screen, typing = Screen(fd, erases=not is_dumb), keyboard()
    drawing = PlainDrawing(screen) if is_dumb else Drawing(screen.terminal, term)
    with _on_screen(app, screen), unsuspended(typing.fileno()), create_app_session(typing, drawing):
        try:
            await Repl(app, session, arrivals, screen, desk, vi=vi, is_dumb=is_dumb).run()
        finally:
            screen.terminal.close()


@contextmanager
def _on_screen(app: App, screen: Screen) -> Iterator[None]:
    """All that goes to this terminal, records, errors and the log, is printed above the prompt."""
    console = app.console
    before = {name: getattr(console, name) for name in ("stdout", "write_error", "write_piece", "asks")}
    stdout, console.asks = console.stdout, screen.reads
    console.stdout = ScreenOutput(stdout.fd, screen) if stdout.is_terminal else WholeRecords(stdout.fd)
    if os.isatty(2):
        console.write_error = screen.above if app.settings.format == "json" else screen.tell
        console.write_piece = screen.piece
    try:
        yield
    finally:
        vars(console).update(before)


class Repl:
    """One run of the prompt."""

    def __init__(
        self, app: App, session: Session, arrivals: Inbox, screen: Screen, desk: Desk, *, vi: bool, is_dumb: bool
    ) -> None:
        self._app, self._session, self._screen, self._desk = app, session, screen, desk
        self.people = desk.people
        self._conversation = Conversation(desk.palette, self.people, self._columns, app.console.now)
        as_conversation = isinstance(app.console.stdout, ScreenOutput) and not app.printer.is_for_programs
        self._sent = Sent(session, lambda _, error: report(app, error))
        desk.stdin = Reading(desk.stdin.fd, screen.reads)
        desk.conversation = self._conversation if as_conversation else None
        desk.lend, desk.columns = screen.lend, self._columns
        self._interpreter = Interpreter(app, session, self._sent, desk, self._said)
        self._surroundings = Surroundings(app, session, desk, self._sent, self._interpreter.own.left)
        show = self._show_message if as_conversation else None
        self._printer = Printer(app, session, arrivals, self._tell_bounce, show)
        self._reads, self._is_dumb = False, is_dumb
        self._prompt = make_prompt(
            self._message,
            self._toolbar,
            app.limits,
            self._history(),
            LineCompleter(self.people, desk.aliases.items),
            lambda name: desk.aliases.line(name) is not None,
            color_depth(app.settings.color, app.console.env),
            vi=vi,
            dumb=is_dumb,
            on_enter=self._on_enter,
            on_suspend=lambda: screen.above(SUSPEND),
            on_edit=lambda text: edited(text, app.console.env, screen.lend),
            on_trouble=lambda error: report(app, error),
        )
        screen.prompt = self._prompt.app
        if folds(app.console.env):
            find_prompt_after_resize(self._prompt.app)
        own = self._conversation if as_conversation and not is_dumb else None
        self._marks = Marks()
        desk.marks = self._marks if own is not None else None
        desk.answers = Answers(session.send, self.people) if as_conversation and desk.tells else None
        session.inbound.responder.also = (ns.RECEIPTS, ns.CHAT_MARKERS) if desk.answers else ()
        self._fates = Fates(app, session, own, self._marks, screen.above, self._prompt.app.invalidate)
        self._standing = Standing(session, self._interpreter, self.people, self._conversation, self._fates, screen.tell)
        self._erases = own is not None

    def _history(self) -> LineHistory:
        app, state = self._app, self._app.storage.state_if_any
        name = app.settings.profile or str(app.account.jid.bare)
        path = None if state is None else history_file(state, name)
        return LineHistory(path, lambda error: app.console.log(1, f"the history is not kept: {error}"))

    async def run(self) -> None:
        """Prompt and carry out, until the end."""
        surroundings = self._surroundings.run()  # before the presence, which brings that of the others
        if self._desk.availability is not None:
            self._session.broadcast_presence(self._desk.availability)
            self._fates.watch(None)
        async with (
            running(self._printer.run()) as (watch,),
            running(
                self._sent.collect(), self._standing.watch(self._prompt.app.invalidate), surroundings, self._get_ready()
            ),
        ):
            self._app.console.shutdown.on_interrupt = self._on_interrupt
            try:
                await self._loop(watch)
            except Quit:
                pass
            except BaseException:  # a signal too: what waits for acks must not outlive the prompt
                await self._fates.stop()
                raise
            finally:
                self._app.console.shutdown.on_interrupt = None
            await self._fates.leave(LEAVE_S)

    async def _get_ready(self) -> None:
        """Load what the first command and the first Tab key need, now that the prompt stands."""
        drawn = asyncio.Event()
        self._prompt.app.after_render += lambda _: drawn.set()
        await drawn.wait()
        for module in ("click", "xmppsh.shell.lines.runner", "xmppsh.shell.typing.arguments"):
            import_module(module)
            await asyncio.sleep(0)  # a key that was pressed meanwhile comes first

    async def _loop(self, watch: asyncio.Task[None]) -> None:
        while (text := await unless(watch, asyncio.ensure_future(self._read()))) is not None:
            line = classify(text)
            lines = pasted(text, isinstance(line, Command) and keeps_text(line.name))
            if len(lines) > 1 and not await unless(watch, asyncio.ensure_future(self._confirmed(lines))):
                continue
            for one in lines:
                await self._run_line(one, watch)

    async def _run_line(self, text: str, watch: asyncio.Task[None]) -> None:
        line = classify(text)
        before = self._session.sent_count
        self._standing.command = asyncio.ensure_future(self._carry_out(line, Place.typed(text)))
        try:
            await unless(watch, self._standing.command)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # it is the shell that has to end, not the command alone
        except XmppshError as error:
            if self._session.is_over:
                await watch  # raises what ended it, once all that came before is printed
            report(self._app, error)
        finally:
            self._standing.command = None
        if self._session.sent_count > before and self._session.unacked_count and not isinstance(line, Text):
            # A command waits for its acks itself, as far as it wants them.
            self._fates.watch(
                None if isinstance(line, Command) else Place.typed(text), self._session.sent_count - before
            )

    def _said(self, xml: str, stanza_id: str, to: Jid, place: Place | None) -> None:
        """A message left: typed, by a line that stands for it, or by `/send`, which tells of a failure itself."""
        said, partner = self._app.record(read_element(xml)), str(to.bare)
        assert isinstance(said, MessageRecord)
        self.people.note(partner)
        self._conversation.read(partner)
        self._marks.sent(stanza_id, to, asks=not ASKED.isdisjoint(said.payloads))
        tell = self._fates.said_in_room if said.room else self._fates.said
        tell(stanza_id, partner, self._conversation.words(said, partner), place)

    async def _read(self) -> str | None:
        """A line, or several of XML; None at the end of input."""
        self._reads = True
        if self._is_dumb:
            self._screen.dumb_line = lambda: self._message() + self._prompt.default_buffer.text
        try:
            return await self._asked(self._prompt)
        except EOFError:
            return None
        except KeyboardInterrupt:  # on a dumb terminal prompt_toolkit's own Ctrl-C comes before ours
            return ""
        finally:
            self._reads, self._screen.dumb_line = False, None

    async def _asked(self, prompt: PromptSession[str], message: str | None = None) -> str:
        """What is typed. The prompt is drawn between two records, never in the middle of one that is being written."""
        stdout = self._app.console.stdout
        assert isinstance(stdout, WholeRecords)
        await stdout.lock.acquire()
        with ExitStack() as keys, ExitStack() as held:
            held.callback(stdout.lock.release)
            if self._is_dumb:  # prompt_toolkit does not call `pre_run` there
                held.close()
            # From here on the terminal shows nothing that we do not draw. prompt_toolkit draws first, and on a dumb
            # terminal takes the keys later: a Ctrl-D between would be lost.
            keys.enter_context(prompt.input.raw_mode())
            self._screen.clear_row()
            return await prompt.prompt_async(
                message, pre_run=held.close, handle_sigint=False, set_exception_handler=False
            )

    async def _confirmed(self, lines: list[str]) -> bool:
        """Ask before what was pasted is carried out line by line."""
        messages = sum(isinstance(classify(line), Text | Xml) for line in lines)
        commands = len(lines) - messages
        question: PromptSession[str] = PromptSession()
        self._screen.prompt = question.app
        self._reads = True
        try:
            sent = f"{messages} message{'s'[: messages != 1]}, {commands} command{'s'[: commands != 1]}"
            answer = await self._asked(question, f"{len(lines)} lines: {sent}. Run all of them? [y/N] ")
        except (EOFError, KeyboardInterrupt):
            return False
        finally:
            self._reads = False
            self._screen.prompt = self._prompt.app
        return answer.strip().lower() in ("y", "yes")

    async def _carry_out(self, line: Line, place: Place) -> None:
        if not isinstance(line, Xml):
            return await self._interpreter.carry_out(line, place)
        xml = XmlInput(self._app.limits)
        stanzas = xml.feed(line.text)
        return xml.end() if stanzas is None else await self._interpreter.send(stanzas, place)

    # ── What arrives ────────────────────────────────────────────────────────────────────────────────────────────

    async def _show_message(self, stanza: Element) -> None:
        self._mark(self._marks.note(stanza))
        self._fates.told(stanza.sender.partition("/")[0], stanza.id or "")
        await self._fates.shown()  # what was said before stands above its answer
        shown = unwrapped(self._app, self._session, stanza)
        assert isinstance(shown, MessageRecord)
        if is_event(shown) and stanza.sender in ("", str(self._session.jid.bare)):
            return  # what we have done ourselves, here or elsewhere
        target = self._interpreter.target
        if shown.type != "groupchat":
            self.people.note((shown.from_ or "").partition("/")[0])
        text = self._conversation.incoming(shown, current=None if target is None else str(target.bare))
        if text:
            await self._app.console.stdout.write(text)
            if self._desk.answers is not None:
                self._desk.answers.shown(stanza, read=stanza.sender.partition("/")[0] == self.people.current)
        else:
            self._prompt.app.invalidate()

    def _mark(self, told: list[News]) -> None:
        for news in told:
            self._conversation.mark(news.partner, news.ids, news.mark)
            for stanza_id in news.ids:
                self._fates.told(news.partner, stanza_id, news.mark)

    def _tell_bounce(self, stanza: Element) -> bool:
        if self._desk.answers is not None and self._desk.answers.is_refused(stanza):
            return True
        self._mark(self._marks.came_back(stanza))
        if self._sent.place_of(stanza) is None and not self._interpreter.reports_bounces:
            report(self._app, bounce(stanza))
        return True

    # ── Keys and signals ────────────────────────────────────────────────────────────────────────────────────────

    def _on_enter(self, text: str) -> None:
        # A message is printed again with its fate; anything else stays as it was typed.
        is_message = isinstance(classify(text), Text) and self._interpreter.target is not None
        self._prompt.app.erase_when_done = is_message and self._erases

    def _on_interrupt(self) -> bool:
        """A SIGINT: True when it was meant for the line or for the command."""
        if not self._screen.free.is_set():
            return True  # for the editor
        if not self._reads:
            # From the keyboard. With nothing left to stop it came a moment too late, and the shell goes on.
            if self._standing.command is not None:
                self._screen.end_row()  # after the terminal's ^C, and before what the command says at its end
                self._standing.command.cancel()
            return True
        if not self._prompt.default_buffer.text:
            return False
        self._prompt.default_buffer.reset()
        self._prompt.app.invalidate()
        return True

    # ── What stands on the screen ───────────────────────────────────────────────────────────────────────────────

    def _columns(self) -> int:
        return self._prompt.output.get_size().columns

    def _message(self) -> str:
        target = self._interpreter.target
        return f"{NOBODY if target is None else safe.line(self.people.short(str(target)))}> "

    def _toolbar(self) -> StyleAndTextTuples:
        return self._standing.toolbar(self._marks, self._columns())
