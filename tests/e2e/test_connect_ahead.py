"""The terminal of the shell between two prompts: what is typed ahead, what a command reads, how far it is."""

import json
from pathlib import Path

import pytest
from support.servers import Server
from support.terminal import CTRL_C, CTRL_D, at_prompt

pytestmark = pytest.mark.either_server


async def test_a_line_typed_while_a_command_runs_stands_at_the_next_prompt_and_nowhere_else(
    prosody: Server, tmp_path: Path
) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/ping -c 3 -i 0.3")
        await stage.shell.shows("pong")
        for word in ("tea ", "for ", "two"):
            stage.shell.type(word)
            await stage.shell.changed()
        await stage.shell.until(lambda: stage.shell.line == "(nobody)> tea for two", "what was typed ahead")
        assert [line for line in stage.shell.history if "tea" in line] == ["(nobody)> tea for two"]
        assert sum(line.startswith("pong from") for line in stage.shell.history) == 3


async def test_what_a_command_reads_stays_on_the_screen(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter(f"/send {stage.friend}")
        await stage.shell.shows("type the message")
        stage.shell.type("how are\ryou")
        await stage.shell.until(lambda: stage.shell.line == "you", "the half of a line")
        await stage.contact.send(stage.jid, "knock")
        await stage.shell.shows("knock")
        stage.shell.type(CTRL_D * 2)
        assert (await stage.contact.wait_for_message(lambda message: bool(message.body))).body == "how are\nyou"
        await stage.shell.prompt()
        assert {"how are", "you"} <= set(stage.shell.lines)


async def test_how_far_a_command_is_stands_in_one_row(prosody: Server, tmp_path: Path) -> None:
    contacts = [{"type": "contact", "jid": f"friend-{number}@friends.example"} for number in range(50)]
    (tmp_path / "roster").write_text("".join(f"{json.dumps(contact)}\n" for contact in contacts))
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter(f"/roster import {tmp_path / 'roster'}")
        stage.shell.type("/ping")
        await stage.shell.until(lambda: stage.shell.line == "(nobody)> /ping", "what was typed ahead")
        shown = [line for line in stage.shell.history if "contacts" in line]
        assert len(shown) == 1
        assert shown[0].endswith("100%")
        stage.shell.type("\r")
        await stage.shell.shows("pong from")


async def test_a_command_that_is_stopped_says_so_where_it_was_stopped(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/ping -c 2 -i 1000")
        await stage.shell.shows("pong")
        stage.shell.type(CTRL_C)
        await stage.shell.prompt()
        assert "^C" in stage.shell.lines


async def test_a_question_that_is_given_up_takes_nothing_of_what_is_typed_next(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        for given_up in (CTRL_C, CTRL_D):
            await stage.shell.enter(f"/pubsub delete {stage.jid} news")
            await stage.shell.until(lambda: stage.shell.line.endswith("[y/N]:"), "the question")
            stage.shell.type(given_up)
            await stage.shell.prompt()
            await stage.is_alive()
            await stage.shell.prompt()


async def test_a_message_that_comes_during_a_question_stands_below_it(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter(f"/pubsub delete {stage.jid} news")
        await stage.shell.until(lambda: stage.shell.line.endswith("[y/N]:"), "the question")
        await stage.contact.send(stage.jid, "knock")
        await stage.shell.shows("knock")
        question = f"Delete news of {stage.jid}? [y/N]:"
        await stage.shell.until(lambda: stage.shell.line == question, "the question again")
        assert stage.shell.lines.count(question) == 2
        stage.shell.type("perhaps\r")
        await stage.shell.shows("Error: y or n")
        stage.shell.type("n\r")
        await stage.shell.prompt()


async def test_ctrl_backslash_ends_the_command_of_the_system_and_not_the_shell(prosody: Server, tmp_path: Path) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        await stage.shell.enter("/! ulimit -c 0; echo began; sleep 600")
        await stage.shell.until(lambda: "began" in stage.shell.lines, "the command")
        stage.shell.type("\x1c")
        await stage.shell.shows("ended by SIGQUIT")
        await stage.is_alive()
