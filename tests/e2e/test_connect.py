"""The shell as people use it: the real program on a pty, and in script mode, against real servers."""

import asyncio
import fcntl
import json
import os
import select
import signal
import sys
import termios
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte
import pytest
from support.contact import Contact
from support.program import COMMAND, Program, finish
from support.servers import Account, Server

DEADLINE_S = 15.0
GONE_WITHIN_S = 1.0
COLUMNS, ROWS = 150, 30
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """xmppsh on a pty, and what its screen shows."""

    def __init__(self, program: Program, *arguments: str, ignore_sighup: bool = False) -> None:
        self._arguments, self._ignore_sighup = arguments, ignore_sighup
        self._env = {**program.env, "TERM": "xterm-256color"}
        self._screen = pyte.HistoryScreen(COLUMNS, ROWS, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        self._written = b""

    async def __aenter__(self) -> Self:
        self._master, self._slave = os.openpty()
        termios.tcsetwinsize(self._slave, (ROWS, COLUMNS))
        self._modes = self._line_modes()
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *self._arguments,
            env=self._env,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=self._in_child,
        )
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self._waiter = asyncio.ensure_future(self._process.wait())
        self._waiter.add_done_callback(lambda _: self._changed.set())
        return self

    def _in_child(self) -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal's Ctrl-C and hang-up are ours
        if self._ignore_sighup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._waiter.done():
            self._process.kill()
        await self._waiter
        self.hang_up()
        os.close(self._slave)

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    @property
    def lines(self) -> list[str]:
        """The screen's lines that are not empty."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def history(self) -> list[str]:
        """Every line that is or was on the screen."""
        above = ["".join(row[x].data for x in range(COLUMNS)).rstrip() for row in self._screen.history.top]
        return above + self.lines

    @property
    def line(self) -> str:
        """The line with the cursor."""
        return str(self._screen.display[self._screen.cursor.y]).rstrip()

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    async def enter(self, text: str) -> None:
        """Type a line when the prompt is there."""
        self.type(text)
        await self.until(lambda: self.line.endswith(text[-10:].rstrip()), f"the line {text!r}")
        self.type("\r")

    async def prompt(self, jid: str) -> None:
        """Wait for an empty prompt with this target."""
        await self.until(lambda: self.line == f"{jid}>", f"the prompt {jid}>")

    async def shows(self, text: str) -> str:
        """Wait for a line that holds this text."""
        await self.until(lambda: any(text in line for line in self.lines), repr(text))
        return next(line for line in self.lines if text in line)

    async def until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait until the screen is as wanted."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not happened():
                    assert not self._waiter.done(), f"the program ended before {what}:\n" + "\n".join(self.lines)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"the screen never had {what}:\n" + "\n".join(self.lines)) from None

    async def exit_code(self) -> int:
        """Wait for the end; no traceback may ever show, and the terminal is as it was."""
        async with asyncio.timeout(DEADLINE_S):
            code = await asyncio.shield(self._waiter)
        while select.select([self._master], [], [], 0)[0]:
            self._read()
        assert b"Traceback" not in self._written
        assert self._line_modes() == self._modes
        return code

    async def ended(self) -> int:
        """Wait for the end of a program that has no terminal any more."""
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.shield(self._waiter)

    def stop_reading(self) -> None:
        """Look at the screen no more: the terminal fills up."""
        asyncio.get_running_loop().remove_reader(self._master)

    def hang_up(self) -> None:
        """Take the terminal away."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1

    def _line_modes(self) -> int:
        flags: int = termios.tcgetattr(self._slave)[3]
        return flags & (termios.ECHO | termios.ICANON | termios.ISIG)

    def _read(self) -> None:
        data = os.read(self._master, 65536)
        self._written += data
        self._stream.feed(data)
        self._changed.set()


class Stage:
    """A shell at its prompt, and a contact of its account that watches."""

    def __init__(self, shell: Terminal, contact: Contact, account: Account, friend: Account) -> None:
        self.shell, self.contact, self.jid, self.friend = shell, contact, account.jid, friend.jid

    async def target(self) -> None:
        """Choose the contact as whom to write to."""
        await self.shell.enter(f"/to {self.friend}")
        await self.shell.prompt(self.friend)

    async def is_alive(self) -> None:
        """The shell answers."""
        await self.shell.enter("/ping")
        await self.shell.shows("pong from")

    async def gone_since(self, moment: float) -> None:
        """The contact sees `unavailable` within a second of `moment` (monotonic)."""
        presence = await self.contact.wait_for_presence(self.jid, "unavailable", 10, since=moment)
        assert presence.at - moment < GONE_WITHIN_S


@asynccontextmanager
async def people(server: Server, tmp_path: Path) -> AsyncIterator[tuple[Program, Contact, Account, Account]]:
    account, friend = server.account(), server.account()
    server.befriend(account, friend)
    async with Contact(server, friend) as contact:
        yield Program(tmp_path, server, account), contact, account, friend


@asynccontextmanager
async def at_prompt(server: Server, tmp_path: Path, *, ignore_sighup: bool = False) -> AsyncIterator[Stage]:
    async with (
        people(server, tmp_path) as (program, contact, account, friend),
        Terminal(program, "connect", ignore_sighup=ignore_sighup) as shell,
    ):
        await shell.prompt(account.jid)
        await contact.wait_for_presence(account.jid, "available")
        yield Stage(shell, contact, account, friend)


# ── At a terminal ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text", ['it\'s "quoted" \\ & <b> 😀 é', "  spaces around  ", "# no comment here"], ids=["signs", "spaces", "hash"]
)
async def test_a_typed_message_arrives_exactly_as_it_was_typed(server: Server, tmp_path: Path, text: str) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter(text)
        message = await stage.contact.wait_for_message(lambda message: True)
        assert (message.body, message.type) == (text, "chat")
        await stage.shell.prompt(stage.friend)


async def test_two_slashes_send_one(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter("//quit is a command")
        assert (await stage.contact.wait_for_message(lambda message: True)).body == "/quit is a command"


async def test_the_text_of_send_is_taken_as_it_stands(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f'/send {stage.friend} it\'s "so" --subject no')
        assert (await stage.contact.wait_for_message(lambda message: True)).body == 'it\'s "so" --subject no'


async def test_an_incoming_message_appears_above_the_half_typed_line(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        stage.shell.type("half a line")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the half-typed line")
        await stage.contact.send(stage.jid, "knock \x1b[2Jknock".replace("\x1b", "\u202e"))
        shown = await stage.shell.shows("knock")
        assert shown.endswith(f"{stage.contact.jid}: knock \\u202e[2Jknock")
        await stage.shell.until(lambda: stage.shell.line == f"{stage.friend}> half a line", "the line as it was")
        assert stage.shell.lines.index(shown) == stage.shell.lines.index(stage.shell.line) - 1
        assert sum("half a line" in line for line in stage.shell.lines) == 1
        await stage.shell.enter(" and the rest")
        assert (await stage.contact.wait_for_message(lambda message: True)).body == "half a line and the rest"


async def test_a_flood_of_messages_takes_nothing_from_what_is_typed(server: Server, tmp_path: Path) -> None:
    text = "typed key by key while messages come in"
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()

        async def flood() -> None:
            for number in range(100):
                await stage.contact.send(stage.jid, f"message {number} of 100")

        async with asyncio.TaskGroup() as group:
            group.create_task(flood())
            for key in text:
                stage.shell.type(key)
                await stage.shell.until(lambda key=key: stage.shell.line.endswith(key.strip()), f"the key {key}")
        await stage.shell.shows("message 99 of 100")
        stage.shell.type("\r")
        assert (await stage.contact.wait_for_message(lambda message: True)).body == text
        numbers = [line.split()[-3] for line in stage.shell.history if line.endswith("of 100")]
        assert numbers == [str(number) for number in range(100)]


async def test_a_message_that_is_never_acknowledged_is_named(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server("prosody")
    account = server.account()
    program = Program(tmp_path, server, account)
    program.env["XMPPSH_TIMEOUT"] = "1"
    async with Terminal(program, "connect") as shell:
        await shell.prompt(account.jid)
        await shell.shows("acked 1/1")
        await shell.enter(f"/to {account.jid}")
        await shell.prompt(account.jid)
        server.suspend()
        await shell.enter("into the void")
        await shell.shows(
            "xmppsh: “into the void”: 1 stanza was written and never acknowledged: no acknowledgement within 1 s"
        )
        await shell.prompt(account.jid)
        shell.type(CTRL_D)
        assert await shell.exit_code() == 79


async def test_xml_is_sent_once_its_element_is_closed(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"<message to='{stage.friend}' type='headline' id='mine'>")
        await stage.shell.enter("<body>one")
        await stage.shell.enter("/two</body>")
        await stage.shell.until(lambda: stage.shell.line == "...", "a line that goes on")
        assert not stage.contact.messages
        await stage.shell.enter("</message>")
        message = await stage.contact.wait_for_message(lambda message: True)
        assert (message.body, message.type, message.id) == ("one\n/two", "headline", "mine")
        await stage.shell.prompt(stage.jid)


async def test_an_iq_that_is_typed_shows_its_answer(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"<iq type='get' to='{server.domain}' id='v1'><ping xmlns='urn:xmpp:ping'/></iq>")
        answer = await stage.shell.shows("type='result'")
        assert "v1" in answer


async def test_ping_prints_its_round_trip(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter("/ping")
        assert (await stage.shell.shows("pong")).startswith(f"pong from {server.domain}: ")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/nope", "xmppsh: /nope is not a command"),
        ("/listen", "xmppsh: /listen does not run in the shell"),
        ("/ping 'a", "xmppsh: /ping: no closing quotation"),
        ("/ping --host x", "xmppsh: /ping: --host belongs to the session"),
        ("<a><b></a>", "xmppsh: line 1, column 9: mismatched tag"),
        ("<query/>", "xmppsh: line 1, column 1: <query> is not a stanza"),
        ("to nobody", "xmppsh: the message has no recipient"),
        ("/to @", "xmppsh: '@' is not an XMPP address"),
    ],
)
async def test_a_wrong_line_is_an_error_and_the_shell_goes_on(
    prosody: Server, tmp_path: Path, line: str, sentence: str
) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter(line)
        await stage.shell.shows(sentence)
        await stage.shell.prompt(stage.jid)
        await stage.is_alive()


async def test_a_message_that_bounces_is_named(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/to nobody@{server.domain}")
        await stage.shell.prompt(f"nobody@{server.domain}")
        await stage.shell.enter("are you there?")
        assert "service-unavailable" in await stage.shell.shows("xmppsh: “are you there?”: nobody@")
        await stage.is_alive()


async def test_help_lists_the_commands_and_explains_one(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/help")
        await stage.shell.shows("  /send ")
        await stage.shell.prompt(stage.jid)
        await stage.shell.enter("/help ping")
        await stage.shell.shows("Usage: /ping [OPTIONS] [TO]")


async def test_the_toolbar_tells_who_we_are_how_and_what_is_acked(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter("hello")
        toolbar = await stage.shell.shows("acked 2/2")
        assert toolbar.startswith(f"{stage.jid}/")
        assert "  TLSv1.3  SCRAM-SHA-" in toolbar


async def test_the_shell_opens_for_an_address_alone(server: Server, tmp_path: Path) -> None:
    account = server.account()
    program = Program(tmp_path, server, account)
    del program.env["XMPPSH_JID"]
    async with Terminal(program, account.jid) as shell:
        await shell.prompt(account.jid)
        shell.type(CTRL_D)
        assert await shell.exit_code() == 0


# ── Keys, signals, ends ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_ctrl_c_clears_the_line(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        stage.shell.type("never sent")
        await stage.shell.until(lambda: stage.shell.line.endswith("never sent"), "the line")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt(stage.jid)
        stage.shell.type(CTRL_C)  # on an empty line it changes nothing
        await stage.is_alive()


async def test_ctrl_c_gives_up_an_open_element(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("<message>")
        await stage.shell.until(lambda: stage.shell.line == "...", "a line that goes on")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt(stage.jid)
        await stage.is_alive()


async def test_ctrl_c_stops_the_running_command(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter("/ping -c 1000000")
        await stage.shell.shows("pong")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt(stage.jid)
        await stage.shell.enter("/nope")
        await stage.shell.shows("/nope is not a command")


@pytest.mark.parametrize("last", [CTRL_D, "/quit\r"], ids=["Ctrl-D", "/quit"])
async def test_leaving_closes_the_stream_and_exits_with_0(server: Server, tmp_path: Path, last: str) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.target()
        await stage.shell.enter("the last words")
        await stage.shell.prompt(stage.friend)
        moment = time.monotonic()
        stage.shell.type(last)
        await stage.gone_since(moment)
        assert await stage.shell.exit_code() == 0
        assert [message.body for message in stage.contact.messages] == ["the last words"]


@pytest.mark.parametrize(
    ("number", "half_typed", "code"),
    [
        (signal.SIGTERM, "", 143),
        (signal.SIGTERM, "half a line", 143),
        (signal.SIGHUP, "", 129),
        (signal.SIGINT, "", 130),
    ],
)
async def test_a_signal_at_the_prompt_closes_the_stream(
    server: Server, tmp_path: Path, number: signal.Signals, half_typed: str, code: int
) -> None:
    async with at_prompt(server, tmp_path) as stage:
        stage.shell.type(half_typed)
        await stage.shell.until(lambda: stage.shell.line == f"{stage.jid}> {half_typed}".rstrip(), "the line")
        moment = time.monotonic()
        os.kill(stage.shell.pid, number)
        await stage.gone_since(moment)
        assert await stage.shell.exit_code() == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
async def test_a_signal_ends_the_shell_while_a_command_runs(
    prosody: Server, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/ping -c 1000000")
        await stage.shell.shows("pong")
        moment = time.monotonic()
        os.kill(stage.shell.pid, number)
        await stage.gone_since(moment)
        assert await stage.shell.exit_code() == code


async def test_sigint_clears_a_half_typed_line_and_the_shell_goes_on(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        stage.shell.type("half a line")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the line")
        os.kill(stage.shell.pid, signal.SIGINT)
        await stage.shell.prompt(stage.jid)
        await stage.is_alive()


@pytest.mark.parametrize("ignore_sighup", [False, True], ids=["SIGHUP", "nohup"])
async def test_a_terminal_that_goes_away_closes_the_stream(server: Server, tmp_path: Path, ignore_sighup: bool) -> None:
    async with at_prompt(server, tmp_path, ignore_sighup=ignore_sighup) as stage:
        stage.shell.type("half a line")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the line")
        moment = time.monotonic()
        stage.shell.hang_up()
        await stage.gone_since(moment)
        assert await stage.shell.ended() == (0 if ignore_sighup else 129)


@pytest.mark.parametrize("line", ["", "/ping -c 1000000\r"], ids=["at the prompt", "while a command runs"])
async def test_a_terminal_that_stands_still_does_not_keep_the_shell_from_ending(
    server: Server, tmp_path: Path, line: str
) -> None:
    async with at_prompt(server, tmp_path) as stage:
        stage.shell.stop_reading()
        stage.shell.type(line)
        for number in range(100):
            await stage.contact.send(stage.jid, f"{number} {'x' * 2000}")
        await stage.contact.settle()
        os.kill(stage.shell.pid, signal.SIGTERM)
        await stage.contact.wait_for_presence(stage.jid, "unavailable")
        assert await stage.shell.ended() == 143


async def test_a_session_that_ends_for_good_ends_the_shell_with_its_error(ejabberd: Server, tmp_path: Path) -> None:
    async with at_prompt(ejabberd, tmp_path) as stage:
        stage.shell.type("half a line")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the line")
        ejabberd.kick(stage.jid)  # <policy-violation/>: no reconnecting against the server's policy
        assert await stage.shell.exit_code() == 75
        assert any(line.startswith("xmppsh: the server closed the stream") for line in stage.shell.lines)


async def test_a_session_that_ends_while_a_command_runs_is_reported_once(ejabberd: Server, tmp_path: Path) -> None:
    async with at_prompt(ejabberd, tmp_path) as stage:
        await stage.shell.enter("/ping -c 1000000")
        await stage.shell.shows("pong")
        ejabberd.kick(stage.jid)
        assert await stage.shell.exit_code() == 75
        assert sum(line.startswith("xmppsh: ") for line in stage.shell.lines) == 1


async def test_a_cut_heals_and_keeps_the_half_typed_line(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        stage.shell.type("half a line")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the line")
        prosody.kick(stage.jid)  # Prosody closes the stream without a word
        await stage.shell.shows("xmppsh: connected again")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the line, still there")
        stage.shell.type(CTRL_C)
        await stage.shell.enter("/ping")
        await stage.shell.shows("pong from")


# ── A script ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_script_sends_messages_xml_and_commands_in_order(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, _, friend):
        script = (
            f'# a comment, and an empty line\n\n/to {friend.jid}\none "and" 😀\r\n'
            f"<message to='{friend.jid}' type='chat'>\n<body># two\n\n</body>\n</message>\n"
            f"/send --subject 'for you' {friend.jid} it's three\n//four\n/ping\n/to\nfive"
        )
        outcome = await program.run("connect", stdin=script.encode())
        assert outcome.stdout.startswith(f"pong from {server.domain}: ")
        assert outcome.stderr == (
            "xmppsh: line 14: the message has no recipient\n  try: /to JID\n"
            "xmppsh: 1 line has failed, the last is line 14\n"
        )
        assert outcome.code == 64
        bodies = [message.body for message in await contact.wait_for_messages(4)]
        assert bodies == ['one "and" 😀', "# two\n\n", "it's three", "/four"]


async def test_a_script_that_goes_well_is_silent_and_exits_with_0(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, account, friend):
        outcome = await program.run("connect", stdin=f"/to {friend.jid}\nhello\n/quit\nnever\n".encode())
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
        presence = await contact.wait_for_presence(account.jid, "unavailable")
        assert presence
        assert [message.body for message in contact.messages] == ["hello"]


async def test_errors_name_their_line_and_the_last_one_decides(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, _, friend):
        script = f"/nope\n<message>\n</body>\n/send {friend.jid} goes on\n/ping nobody@{server.domain}/x\n"
        outcome = await program.run("connect", stdin=script.encode())
        errors = [line for line in outcome.stderr.splitlines() if not line.startswith("  try: ")]
        assert errors[0] == "xmppsh: line 1: /nope is not a command"
        assert errors[1] == "xmppsh: line 3, column 3: mismatched tag"
        assert errors[2].startswith(f"xmppsh: line 5: nobody@{server.domain}/x: service-unavailable")
        assert errors[3] == "xmppsh: 3 lines have failed, the last is line 5"
        assert outcome.code == 67
        assert (await contact.wait_for_message(lambda message: True)).body == "goes on"


async def test_with_e_a_script_stops_at_its_first_error(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, _, friend):
        script = f"/to {friend.jid}\nsent\n<oops></message>\nnever\n"
        outcome = await program.run("connect", "-e", stdin=script.encode())
        assert outcome.stderr == "xmppsh: line 3, column 9: mismatched tag\n"
        assert outcome.code == 65
        await contact.settle()
        assert [message.body for message in contact.messages] == ["sent"]


async def test_a_bounce_is_an_error_of_its_line(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, *_):
        outcome = await program.run("connect", "--format", "json", stdin=f"/to nobody@{server.domain}\nhi\n".encode())
        first = json.loads(outcome.stderr.splitlines()[0])["error"]
        assert (first["name"], first["condition"]) == ("NOUSER", "service-unavailable")
        assert first["text"].startswith("line 2: nobody@")
        assert outcome.code == 67
        assert outcome.stdout == ""


async def test_with_e_a_bounce_stops_a_script_that_waits_for_its_next_line(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, *_):
        process = await program.start("connect", "-e")
        assert process.stdin is not None
        process.stdin.write(f"/to nobody@{server.domain}\nhi\n".encode())
        await process.stdin.drain()
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()
        outcome = await finish(process)
        assert outcome.code == 67
        assert outcome.stderr.startswith("xmppsh: line 2: nobody@")


async def test_an_element_that_is_never_closed_is_an_error(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, *_):
        outcome = await program.run("connect", stdin=b"/ping\n<message>\n<body>\n")
        assert "the input ends inside an element" in outcome.stderr
        assert outcome.stderr.startswith("xmppsh: line 3, column ")
        assert outcome.code == 65


async def test_messages_that_arrive_during_a_script_are_records(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, account, friend):
        process = await program.start("connect", "--format", "json")
        assert process.stdin is not None
        assert process.stdout is not None
        await contact.wait_for_presence(account.jid, "available")
        await contact.send(account.jid, "for the script 😀")
        async with asyncio.timeout(DEADLINE_S):
            record = json.loads(await process.stdout.readline())
        assert (record["kind"], record["body"], record["from"]) == ("message", "for the script 😀", contact.jid)
        outcome = await finish(process, f"/to {friend.jid}\nanswer\n".encode())
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
        assert (await contact.wait_for_message(lambda message: message.body == "answer")).type == "chat"


async def test_a_command_of_a_script_does_not_read_the_script(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, *_):
        outcome = await program.run("connect", stdin=f"/send nobody@{prosody.domain} -\n/ping\n".encode())
        assert "line 1: there is nothing to send" in outcome.stderr
        assert outcome.stdout.startswith("pong from ")


async def test_a_closed_stdout_ends_a_script_quietly(server: Server, tmp_path: Path) -> None:
    async with people(server, tmp_path) as (program, contact, account, friend):
        reading, writing = os.pipe()
        process = await program.start("connect", stdout=writing)
        os.close(writing)
        assert process.stdin is not None
        process.stdin.write(f"/to {friend.jid}\nbefore\n".encode())
        await contact.wait_for_message(lambda message: message.body == "before")
        moment = time.monotonic()
        os.close(reading)
        presence = await contact.wait_for_presence(account.jid, "unavailable", since=moment)
        assert presence.at - moment < GONE_WITHIN_S
        async with asyncio.timeout(DEADLINE_S):
            assert await process.wait() == 0
        assert process.stderr is not None
        assert await process.stderr.read() == b""


async def test_a_script_does_without_prompt_toolkit(prosody: Server, tmp_path: Path) -> None:
    async with people(prosody, tmp_path) as (program, *_):
        code = (
            "import sys\nfrom xmppsh.cli.__main__ import main\nsys.argv[1:] = ['connect']\n"
            "try: main()\nfinally: sys.stderr.write(str('prompt_toolkit' in sys.modules))"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env=program.env, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        _, stderr = await process.communicate(b"")
        assert stderr == b"False"
