"""A question on a real terminal: asked until the answer fits, given up by Ctrl-D, unseen where it is secret."""

import sys
from pathlib import Path

import pytest
from support.program import Program
from support.servers import Server
from support.terminal import CTRL_D, Terminal

from xmppsh.app.asking import yes_or_no
from xmppsh.errors import UsageError

pytestmark = pytest.mark.either_server
ASKS = """
import asyncio, sys, termios
from xmppsh.app.asking import asked, yes_or_no
def write(text):
    if text == "Word: " and termios.tcgetattr(0)[3] & termios.ECHO:
        print("the answer would be shown")
    print(text, end="", flush=True)
async def main():
    print("gives", await asked("Sure? ", yes_or_no, write), await asked("Word: ", str, write, hidden=True))
asyncio.run(main())
"""


@pytest.mark.parametrize(("typed", "meant"), [("y", True), (" YES ", True), ("", False), ("n", False), ("No", False)])
def test_nothing_is_no(typed: str, meant: bool) -> None:
    assert yes_or_no(typed) is meant


@pytest.mark.parametrize("typed", ["ye", "maybe", "1"])
def test_what_is_neither_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        yes_or_no(typed)


async def test_it_is_asked_until_the_answer_fits_and_a_secret_is_not_shown(prosody: Server, tmp_path: Path) -> None:
    program = Program(tmp_path, prosody, prosody.account())
    async with Terminal(program, "-c", ASKS, command=(sys.executable,)) as terminal:
        await terminal.until(lambda: terminal.line == "Sure?", "the question")
        terminal.type("perhaps\r")
        await terminal.shows("Error: y or n")
        await terminal.until(lambda: terminal.line == "Sure?", "the question again")
        terminal.type("yes\r")
        await terminal.until(lambda: terminal.line == "Word:", "the next one")
        terminal.type("hush\r")
        await terminal.shows("gives True hush")
        assert await terminal.exit_code() == 0
        assert not any("Word: h" in line or "would be shown" in line for line in terminal.lines)


async def test_ctrl_d_gives_it_up(prosody: Server, tmp_path: Path) -> None:
    program = Program(tmp_path, prosody, prosody.account())
    async with Terminal(program, "-c", ASKS, command=(sys.executable,)) as terminal:
        await terminal.until(lambda: terminal.line == "Sure?", "the question")
        terminal.type(CTRL_D)
        await terminal.until(lambda: terminal.line == "Word:", "the next one")
        terminal.type("half" + CTRL_D * 2)
        await terminal.shows("gives None half")
        assert await terminal.exit_code() == 0
