"""The shell at a terminal: keys, signals, and every way in which it ends."""

import os
import signal
import time
from pathlib import Path

import pytest
from support.servers import Server
from support.terminal import (
    CTRL_C,
    CTRL_D,
    at_prompt,
)

pytestmark = pytest.mark.either_server


async def test_ctrl_c_clears_the_line(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        stage.shell.type("never sent")
        await stage.shell.until(lambda: stage.shell.line.endswith("never sent"), "the line")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        stage.shell.type(CTRL_C)  # on an empty line it changes nothing
        await stage.is_alive()


async def test_ctrl_c_gives_up_an_open_element(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("<message>")
        await stage.shell.until(lambda: stage.shell.line.strip() == "...", "a line that goes on")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        await stage.is_alive()


async def test_ctrl_c_stops_the_running_command(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter("/ping -c 1000000")
        await stage.shell.shows("pong")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
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
        await stage.shell.until(lambda: stage.shell.line == f"(nobody)> {half_typed}".rstrip(), "the line")
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
        await stage.shell.prompt()
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


async def test_what_a_stopped_command_says_begins_a_line_of_its_own(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/ping -c 100 -i 30")
        await stage.shell.shows("pong from")
        stage.shell.type(CTRL_C)
        assert (await stage.shell.shows("min/avg/max")).startswith("1 answer")
        await stage.shell.prompt()
