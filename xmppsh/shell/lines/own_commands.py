"""Carries out the commands that exist in the shell alone (builtins.py has their facts)."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap
from contextlib import suppress
from typing import TYPE_CHECKING

from xmppsh.config.paths import expanded
from xmppsh.config.values import positive_seconds
from xmppsh.errors import DeadlineExceeded, IoError, NoInputError, StanzaError, UsageError
from xmppsh.output import safe
from xmppsh.output.streams import OutputStream
from xmppsh.registry.kinds import parse_address
from xmppsh.shell.lines import rooms
from xmppsh.shell.lines.builtins import BUILTINS
from xmppsh.shell.lines.failure import report
from xmppsh.shell.lines.records import ShellPrinter
from xmppsh.shell.lines.who import contacts, occupants
from xmppsh.shell.lines.words import split
from xmppsh.shell.shown.look import LEAST_COLUMNS
from xmppsh.shell.shown.streamview import pretty
from xmppsh.tasks import apart
from xmppsh.texts import os_reason
from xmppsh.xmlio.stanzas import presence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xmppsh.app.app import App
    from xmppsh.model import Jid
    from xmppsh.session.session import Session
    from xmppsh.shell.lines.desk import Desk

LAST = 10  # messages
SHOWS = ("available", "away", "chat", "dnd", "xa")


class Quit(Exception):
    """`/quit`: no error."""


class OwnCommands:
    """target: whom messages go to. carry_out: does what a line says; carry_out_file: what the bytes of a file say, by
    its name.
    """

    def __init__(
        self,
        app: App,
        session: Session,
        desk: Desk,
        carry_out: Callable[[str], Awaitable[None]],
        carry_out_file: Callable[[bytes, str], Awaitable[None]],
    ) -> None:
        self.target: Jid | None = None
        self._app, self._session, self._desk = app, session, desk
        self._carry_out, self._carry_out_file = carry_out, carry_out_file
        self._plain: dict[str, Callable[[list[str]], Awaitable[None]]] = {
            "to": self._to,
            "last": self._last,
            "who": self._who,
            "join": self._join,
            "leave": self._leave,
            "xml": self._xml,
            "timing": self._switch_timing,
            "x": self._switch_expanded,
            "o": self._output,
            "source": self._source,
            "help": self._help,
            "quit": self._quit,
        }

    async def run(self, name: str, tail: str) -> None:
        """Carry out a command by its name; raises XmppshError and Quit."""
        if tail.strip() in ("-h", "--help") and name != "!":
            return await self._help([name])
        match name:
            case "!":
                await self._system(tail)
            case "watch":
                await self._watch(tail)
            case "alias":
                await self._alias(tail)
            case "presence":
                await self._presence(tail)
            case _:
                await self._plain[name](words_of(name, tail))

    def aim(self, target: Jid | None) -> None:
        """Messages go there from now on, and nothing from there is unread."""
        self.target = target
        bare = None if target is None else str(target.bare)
        self._desk.people.current = bare
        if bare is not None:
            self._desk.people.note(bare)
            if self._desk.conversation is not None:
                self._desk.conversation.read(bare)
            if self._desk.answers is not None:
                self._desk.answers.read(bare)

    def left(self, room: str) -> None:
        """We are in this room no longer."""
        if self.target is not None and str(self.target.bare) == room:
            self.aim(None)

    async def _print(self, text: str) -> None:
        await (self._desk.output or self._app.console.stdout).write(text)

    def _address(self, word: str) -> Jid:
        return parse_address(self._desk.people.meant(word))

    # ── Whom, and what was said ─────────────────────────────────────────────────────────────────────────────────

    async def _to(self, words: list[str]) -> None:
        self.aim(self._address(words[0]) if words else None)
        if self.target is not None and self.target.localpart is None and "." not in self.target.domainpart:
            name = safe.line(self.target.domainpart)
            self._app.console.warn(
                f"{name} has no @, so it is taken for a server; a person would be {name}@{self._session.jid.domainpart}"
            )

    async def _last(self, words: list[str]) -> None:
        if self._desk.conversation is None:
            raise UsageError("/last shows a conversation, which exists only on a terminal, and as text")
        if self.target is None:
            raise UsageError("/last: with whom?", hint="/to JID")
        count = words[0] if words else str(LAST)
        if not count.isdecimal():
            raise UsageError(f"/last: {count!r} is not a number", hint="/last 20")
        await self._print(
            self._desk.conversation.last(str(self.target.bare), int(count)) or "(nothing was said here)\n"
        )

    async def _who(self, words: list[str]) -> None:
        people = self._desk.people
        place = str(self._address(words[0]).bare) if words else people.current
        if place is not None and place in people.rooms:
            found = occupants(people, place)
        elif words:
            raise UsageError(f"{words[0]} is not a room you have joined here", hint=f"/join {words[0]}")
        else:
            found = contacts(people)
        output, for_programs = self._desk.output or self._app.console.stdout, self._app.printer.is_for_programs
        printer = self._app.printer if for_programs else ShellPrinter(self._desk)
        for one in found:
            await printer.print(one, output)
        if not found and not for_programs:
            await self._print("(nobody)\n")

    async def _join(self, words: list[str]) -> None:
        words, password = without_option(words, "--room-password")
        words, named = without_option(words, "--nick")
        if unknown := next((word for word in words if word.startswith("--")), None):
            raise UsageError(f"/join: no such option {unknown}", hint="/help join")
        if not words:
            raise UsageError("/join: which room?", hint=BUILTINS["join"].example)
        if len(words) > (2 if named is None else 1):
            raise UsageError("/join takes a room and a nick after it", hint="/help join")
        room = parse_address(words[0])
        if room.localpart is None and "." not in room.domainpart:
            service = next(iter(self._desk.people.services), f"rooms.{self._session.jid.domainpart}")
            raise UsageError(f"/join: {words[0]} has no @", hint=f"/join {words[0]}@{service}")
        own = self._session.jid.localpart or "guest"
        nick = named or (words[1] if len(words) > 1 else room.resourcepart or own)
        await rooms.join(self._session, self._desk.people, room, nick, password)
        self.aim(room.bare)
        if self._desk.conversation is not None:
            others = len(self._desk.people.online.get(str(room.bare), {}).keys() - {nick})
            told = f"in {safe.line(str(room.bare))} as {safe.line(nick)}; others: {others}"
            await self._print(self._desk.palette.kind("dim", f"({told}; /who, /leave)") + "\n")

    async def _leave(self, words: list[str]) -> None:
        room = self._address(words[0]) if words else self.target
        if room is None:
            raise UsageError("/leave: which room?", hint="/leave ROOM")
        rooms.leave(self._session, self._desk.people, room)
        self.left(str(room.bare))

    async def _presence(self, tail: str) -> None:
        show, status = [*tail.split(maxsplit=1), "", ""][:2]
        show, status = show or "available", status.rstrip()
        if show not in SHOWS:
            raise UsageError(f"/presence: {show!r} is not one of {', '.join(SHOWS)}", hint=BUILTINS["presence"].example)
        shown, told = None if show == "available" else show, status or None
        self._session.broadcast_presence(presence(show=shown, status=told))
        for room, nick in self._desk.people.rooms.items():
            self._session.send(presence(to=f"{room}/{nick}", show=shown, status=told), kind="presence", to=room)

    # ── How things are shown ────────────────────────────────────────────────────────────────────────────────────

    async def _xml(self, words: list[str]) -> None:
        stream = self._desk.stream
        if not self._switched("xml", words, stream.show is not None):
            stream.show = None
            return
        palette, write, columns = self._desk.palette, self._app.console.write_error, self._desk.columns

        def show(line: str) -> None:
            arrow, xml = line[0], line[2:].rstrip("\n")
            if xml.strip():
                rows = pretty(xml, palette, columns and columns() - len("> ")).replace("\n", "\n  ")
                write(f"{palette.kind('good' if arrow == '>' else 'mark', arrow)} {rows}\n")

        stream.show = show

    async def _switch_timing(self, words: list[str]) -> None:
        self._desk.timing = self._switched("timing", words, self._desk.timing)

    async def _switch_expanded(self, words: list[str]) -> None:
        self._desk.expanded = self._switched("x", words, self._desk.expanded)

    def _switched(self, name: str, words: list[str], now: bool) -> bool:
        if words and words[0] not in ("on", "off"):
            raise UsageError(f"/{name}: {words[0]!r} is neither on nor off", hint=BUILTINS[name].example)
        return words[0] == "on" if words else not now

    async def _output(self, words: list[str]) -> None:
        if self._desk.output is not None:
            os.close(self._desk.output.fd)
            self._desk.output = None
        if words:
            path = self._app.console.path(str(expanded(words[0], self._app.console.env)))
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                fd = await apart(lambda: os.open(path, flags, 0o600))
            except OSError as error:
                raise IoError(f"{words[0]}: {os_reason(error)}") from error
            self._desk.output = OutputStream(fd, words[0])

    # ── Lines by other lines ────────────────────────────────────────────────────────────────────────────────────

    async def _source(self, words: list[str]) -> None:
        if not words:
            raise UsageError("/source: which file?", hint=BUILTINS["source"].example)
        path = self._app.console.path(str(expanded(words[0], self._app.console.env)))
        try:
            data = await apart(path.read_bytes)
            data.decode("utf-8")  # nothing of it is carried out when it is no text
        except OSError as error:
            raise NoInputError(f"{words[0]}: {os_reason(error)}") from error
        except UnicodeDecodeError:
            raise NoInputError(f"{words[0]}: not UTF-8") from None
        await self._carry_out_file(data, words[0])

    async def _alias(self, tail: str) -> None:
        name, _, line = tail.strip().partition(" ")
        name, line = name.removeprefix("/"), line.strip()
        if not name:
            aliases = self._desk.aliases.items()
            await self._print("".join(f"/{one} = {safe.line(meant)}\n" for one, meant in aliases.items()))
        elif line:
            self._desk.aliases.give(name, line)
        else:
            self._desk.aliases.drop(name)

    async def _watch(self, tail: str) -> None:
        span, _, line = tail.strip().partition(" ")
        if not span or not line.strip():
            raise UsageError("/watch: which command, and how often?", hint=BUILTINS["watch"].example)
        seconds, line = positive_seconds(span), line.strip()
        line = line if line.startswith("/") else f"/{line}"
        while True:
            if not self._app.printer.is_for_programs:
                moment = self._app.console.now().astimezone()
                await self._print(self._desk.palette.kind("dim", f"{moment:%H:%M:%S} {safe.line(line)}") + "\n")
            try:
                await self._carry_out(line)
            except (StanzaError, DeadlineExceeded) as error:  # the next time it may answer: that is what one waits for
                report(self._app, error)
            await asyncio.sleep(seconds)

    async def _system(self, tail: str) -> None:
        if not tail.strip():
            raise UsageError("/!: which command?", hint=BUILTINS["!"].example)
        shell = self._app.console.env.get("SHELL") or "/bin/sh"
        running = asyncio.ensure_future(self._run_program(shell, "-c", tail))
        if self._desk.lend is not None:
            self._desk.lend(running)  # before it starts: its first words may be answered by a Ctrl-C at once
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGQUIT, lambda: None)  # of its Ctrl-\, which the terminal sends to both
        try:
            code = await running
        except asyncio.CancelledError:
            if not running.done() or running.cancelled():
                raise
            code = running.result()  # of the same Ctrl-C it has ended before us
        finally:
            loop.remove_signal_handler(signal.SIGQUIT)
        if code:
            raise UsageError(f"/!: exit code {code}" if code > 0 else f"/!: ended by {signal.Signals(-code).name}")

    async def _run_program(self, *words: str) -> int:
        """Its exit code, or its signal below zero; it ends with the shell."""
        process = await asyncio.create_subprocess_exec(*words, stdin=self._desk.stdin.fd, umask=self._app.console.umask)
        try:
            return await process.wait()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                # terminate() looks first whether it has ended, and takes the exit code from who waits for it.
                os.kill(process.pid, signal.SIGTERM)
            await process.wait()
            raise

    # ── The shell itself ────────────────────────────────────────────────────────────────────────────────────────

    async def _help(self, words: list[str]) -> None:
        from xmppsh.shell.lines.runner import help_text  # which loads click

        text = help_text(words)
        if self._desk.columns is not None:
            columns = max(self._desk.columns(), LEAST_COLUMNS)
            rows = (textwrap.wrap(line, columns, subsequent_indent=" " * 6) or [""] for line in text.splitlines())
            text = "".join(f"{row}\n" for lines in rows for row in lines)
        await self._print(text)

    async def _quit(self, words: list[str]) -> None:
        raise Quit


def without_option(words: list[str], name: str) -> tuple[list[str], str | None]:
    """The words without this option and its value, and the value; raises UsageError where that is missing."""
    for at, word in enumerate(words):
        given, equals, value = word.partition("=")
        if given != name:
            continue
        if equals:
            return [*words[:at], *words[at + 1 :]], value
        if at + 1 == len(words):
            raise UsageError(f"{name} needs a value")
        return [*words[:at], *words[at + 2 :]], words[at + 1]
    return words, None


def words_of(name: str, tail: str) -> list[str]:
    """The words after a command of the shell's own; raises UsageError."""
    try:
        words = split(tail)
    except ValueError as error:
        raise UsageError(f"/{name}: {str(error).lower()}") from None
    if name == "join":  # which counts them after its option
        return words
    most = {"quit": 0, "help": 3}.get(name, 1)
    if len(words) > most:
        what = "nothing" if most == 0 else "one word" if most == 1 else f"{most} words"
        raise UsageError(f"/{name} takes {what} after it", hint=f"/help {name}")
    return words
