"""A terminal that is slow, or stands still: nothing waits for it, and nothing is lost on it."""

from __future__ import annotations

import asyncio
import os
import select
import termios
import tty

import pyte
from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input

from xmppsh.shell.shown.screen import Drawing, Screen, ScreenOutput


async def test_what_a_terminal_does_not_take_yet_is_written_in_order_when_it_does() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    screen = Screen(slave, erases=False)
    output = ScreenOutput(slave, screen)
    told, records = ([f"{what} {number}\n" for number in range(10_000)] for what in ("told", "record"))
    screen.above("".join(told))  # more than a terminal holds, and nobody reads

    async def print_records() -> None:
        for record in records:
            await output.write(record)

    printing = asyncio.ensure_future(print_records())
    readable = asyncio.Event()
    asyncio.get_running_loop().add_reader(master, readable.set)
    seen, whole = b"", "".join([*told, *records]).encode()
    async with asyncio.timeout(20):
        while len(seen) < len(whole):
            await readable.wait()
            readable.clear()
            if select.select([master], [], [], 0)[0]:  # what has been read already may have been told twice
                seen += os.read(master, 65536)
        await printing
    assert seen == whole
    os.close(master)
    os.close(slave)


async def test_a_terminal_that_stands_still_is_given_every_message_and_the_line_in_order_later() -> None:
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (10, 40))
    seen = pyte.HistoryScreen(40, 10, history=1000)
    stream = pyte.ByteStream(seen)
    screen = Screen(slave)
    output = ScreenOutput(slave, screen)

    async def print_all() -> None:
        for number in range(500):
            await output.write(f"message {number}\r\n")

    with create_pipe_input() as keys, create_app_session(keys, Drawing(screen.terminal, "xterm")):
        prompt: PromptSession[str] = PromptSession()
        screen.prompt = prompt.app
        drawn = asyncio.Event()
        prompt.app.after_render += lambda _: drawn.set()
        asking = asyncio.ensure_future(prompt.prompt_async("romeo> ", handle_sigint=False))
        await drawn.wait()
        printing = asyncio.ensure_future(print_all())
        while screen.terminal.is_ready:  # noqa: ASYNC110 - the kernel fills its buffers in its own time
            await asyncio.sleep(0)
        keys.send_text("typed meanwhile")
        while prompt.default_buffer.text != "typed meanwhile":
            drawn.clear()
            await drawn.wait()
        assert not printing.done()
        while not printing.done() or select.select([master], [], [], 0)[0]:
            if select.select([master], [], [], 0)[0]:
                stream.feed(os.read(master, 65536))
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    above = ["".join(row[x].data for x in range(40)).rstrip() for row in seen.history.top]
    rows = [row for row in (*above, *(line.rstrip() for line in seen.display)) if row]
    assert rows == [*(f"message {number}" for number in range(500)), "romeo> typed meanwhile"]
    os.close(master)
    os.close(slave)
