"""The window: it changes its size, it is narrow, it can only print, it has no colours."""

from pathlib import Path

import pytest
from support.servers import Server
from support.terminal import CTRL_C, CTRL_D, Terminal, at_prompt, people

COLOR = b"\x1b[38;5;"
BACKSPACE, LEFT, UP = "\x7f", "\x1b[D", "\x1b[A"


async def test_a_window_that_changes_its_size_keeps_the_line_and_folds_what_comes(
    prosody: Server, tmp_path: Path
) -> None:
    async with at_prompt(prosody, tmp_path) as stage:
        stage.shell.type("half a line")
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the line")
        stage.shell.resize(50, 20)
        await stage.contact.send(stage.jid, "one two three four five six seven eight nine ten eleven")
        await stage.shell.shows("eleven")
        assert all(len(line) <= 50 for line in stage.shell.lines)
        await stage.shell.until(lambda: stage.shell.line.endswith("half a line"), "the line as it was")
        toolbar = stage.shell.lines[-1]
        assert "/to JID chooses whom to write to" in toolbar
        stage.shell.type(CTRL_C)
        await stage.is_alive()


async def test_a_narrow_window_with_wide_characters_is_right(prosody: Server, tmp_path: Path) -> None:
    async with (
        people(prosody, tmp_path) as (program, contact, account, _),
        Terminal(program, "connect", size=(28, 20)) as shell,
    ):
        await shell.prompt()
        await contact.wait_for_presence(account.jid, "available")
        await contact.send(account.jid, "日本語のテキストを送ります。 👍 ok")
        await shell.shows("ok")
        shell.type("日本語")
        await shell.until(lambda: shell.line.replace(" ", "").endswith("日本語"), "the wide line")
        text = "".join(line.strip() for line in shell.lines).replace(" ", "")
        assert "日本語のテキストを送ります。👍ok" in text


async def test_a_terminal_that_can_only_print_has_lines_of_its_own_for_what_comes(
    prosody: Server, tmp_path: Path
) -> None:
    async with (
        people(prosody, tmp_path) as (program, contact, account, _),
        Terminal(program, "connect", term="dumb") as shell,
    ):
        await shell.until(lambda: shell.line.startswith("(nobody)>"), "the prompt")
        await contact.wait_for_presence(account.jid, "available")
        await contact.send(account.jid, "knock")
        knock = await shell.shows("knock")
        assert not knock.startswith("(nobody)")
        await shell.prompt()
        shell.type("/ping\r")
        await shell.shows("pong from")
        assert b"\x1b" not in shell.written
        await shell.prompt()  # what is typed before belongs to the command
        shell.type(CTRL_D)
        assert await shell.exit_code() == 0


async def test_a_terminal_that_can_only_print_shows_what_is_sent(prosody: Server, tmp_path: Path) -> None:
    async with (
        people(prosody, tmp_path) as (program, contact, account, friend),
        Terminal(program, "connect", term="dumb") as shell,
    ):
        await shell.prompt()
        await contact.wait_for_presence(account.jid, "available")
        await shell.enter(f"/to {friend.jid}")
        await shell.prompt(friend.jid)
        shell.type("hellp" + BACKSPACE + "o 日本" + BACKSPACE + LEFT * 2 + "!")
        await shell.until(lambda: shell.line.endswith("> hello! 日"), "the line as it is")
        await contact.send(account.jid, "knock")
        await shell.shows("knock")
        await shell.until(lambda: shell.line.endswith("> hello! 日"), "the line below what came")
        shell.type("\r")
        await contact.wait_for_message(lambda message: message.body == "hello! 日")
        await shell.prompt(friend.jid)
        shell.type(UP)
        await shell.until(lambda: shell.line.endswith("> hello! 日"), "the line of before")
        shell.type(CTRL_C)
        await shell.prompt(friend.jid)
        shell.type("<message>\r<x/" + BACKSPACE)
        await shell.until(lambda: shell.line == "<x", "the second row of it")
        shell.type(BACKSPACE * 3)
        await shell.until(lambda: shell.line.endswith("> <message>"), "one row of both")


@pytest.mark.parametrize(
    ("arguments", "env", "colored"),
    [((), {}, True), ((), {"NO_COLOR": "1"}, False), (("--color", "never"), {}, False)],
    ids=["auto", "NO_COLOR", "never"],
)
async def test_people_have_colours_where_colours_are_wanted(
    prosody: Server, tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], colored: bool
) -> None:
    async with people(prosody, tmp_path) as (program, contact, account, _):
        program.env |= env
        async with Terminal(program, *arguments, "connect") as shell:
            await shell.prompt()
            await contact.wait_for_presence(account.jid, "available")
            await contact.send(account.jid, "knock")
            await shell.shows("knock")
            assert (COLOR in shell.written) is colored


async def test_the_conversation_is_for_people_and_records_are_for_programs(prosody: Server, tmp_path: Path) -> None:
    async with (
        people(prosody, tmp_path) as (program, contact, account, _),
        Terminal(program, "connect", "--format", "json") as shell,
    ):
        await shell.prompt()
        await contact.wait_for_presence(account.jid, "available")
        await contact.send(account.jid, "knock")
        await shell.shows('"body": "knock"')
        assert any(line.startswith('{"kind": "message"') for line in shell.lines)
