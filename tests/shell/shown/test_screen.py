"""What `--color` and NO_COLOR do to the prompt, and that it stands still while messages come."""

from __future__ import annotations

import asyncio
import os
import select
import termios
from typing import TYPE_CHECKING

import pyte
import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import ColorDepth

from xmppsh.shell.shown.reflow import find_prompt_after_resize, folds
from xmppsh.shell.shown.screen import Drawing, Screen, color_depth

if TYPE_CHECKING:
    from xmppsh.config.schema import Color


@pytest.mark.parametrize(
    ("color", "env", "expected"),
    [
        ("auto", {}, ColorDepth.DEFAULT),
        ("auto", {"NO_COLOR": "1"}, ColorDepth.MONOCHROME),
        ("auto", {"NO_COLOR": ""}, ColorDepth.DEFAULT),  # no-color.org: only when it is not empty
        ("always", {"NO_COLOR": "1"}, ColorDepth.DEFAULT),
        ("never", {}, ColorDepth.MONOCHROME),
    ],
)
def test_the_prompt_has_the_colours_that_were_asked_for(
    color: Color, env: dict[str, str], expected: ColorDepth
) -> None:
    assert color_depth(color, env) is expected


def written(master: int) -> bytes:
    """What has been drawn."""
    pieces = []
    while select.select([master], [], [], 0)[0]:
        pieces.append(os.read(master, 65536))
    return b"".join(pieces)


async def test_the_prompt_stands_below_a_message_as_soon_as_that_is_shown() -> None:
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (10, 40))
    seen = pyte.Screen(40, 10)
    stream = pyte.ByteStream(seen)

    def shown() -> list[str]:
        stream.feed(written(master))
        return [line.rstrip() for line in seen.display if line.strip()]

    screen = Screen(slave)
    messages = 0
    with create_pipe_input() as keys, create_app_session(keys, Drawing(screen.terminal, "xterm")):
        prompt: PromptSession[str] = PromptSession(bottom_toolbar=lambda: f"toolbar {messages}")
        screen.prompt = prompt.app
        drawn = asyncio.Event()
        prompt.app.after_render += lambda _: drawn.set()
        asking = asyncio.ensure_future(prompt.prompt_async("romeo> ", handle_sigint=False))
        for typed in ("", "half", "half a line"):
            keys.send_text(typed.removeprefix("half" if " " in typed else ""))
            while prompt.default_buffer.text != typed or not shown():
                drawn.clear()
                await drawn.wait()
            for _ in range(3):
                messages += 1
                screen.above(f"message {messages}\r\n")
                assert shown()[-3:-1] == [f"message {messages}", f"romeo> {typed}".rstrip()]
                assert seen.cursor.x == len(f"romeo> {typed}")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("columns", [39, 23, 15, 12])
async def test_a_terminal_that_folds_its_rows_keeps_no_copy_of_a_long_line_when_it_gets_narrower(columns: int) -> None:
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (20, 40))
    screen = Screen(slave)
    with create_pipe_input() as keys, create_app_session(keys, Drawing(screen.terminal, "xterm")):
        prompt: PromptSession[str] = PromptSession()
        find_prompt_after_resize(prompt.app)
        typed, drawn = "狗狗" + "abcdefg hi" * 6, asyncio.Event()
        prompt.app.after_render += lambda _: drawn.set()
        asking = asyncio.ensure_future(prompt.prompt_async("romeo> ", handle_sigint=False))
        keys.send_text(typed)
        while prompt.default_buffer.text != typed:
            drawn.clear()
            await drawn.wait()
        written(master)
        line = f"romeo> {typed}"
        folding = pyte.Screen(columns, 20)
        stream = pyte.ByteStream(folding)
        stream.feed(f"above\r\n{line[:38]}\r\n{line[38:]}".encode())  # as it folds what was drawn, 40 columns wide
        termios.tcsetwinsize(slave, (20, columns))
        prompt.app._on_resize()
        stream.feed(written(master))
        assert "".join(row.strip() for row in folding.display).replace(" ", "") == f"above{line}".replace(" ", "")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"TERM": "tmux-256color"}, True),
        ({"TERM": "screen-256color", "TMUX": "/tmp/tmux-0/default,1,0"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True),
        ({"TERM": "screen", "VTE_VERSION": "7600"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600", "XTERM_VERSION": "XTerm(379)"}, False),
        ({"TERM": "xterm-256color"}, False),
        ({}, False),
    ],
)
def test_only_a_terminal_that_is_known_to_fold_its_rows_is_taken_for_one(env: dict[str, str], expected: bool) -> None:
    assert folds(env) is expected
