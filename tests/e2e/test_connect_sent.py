"""What was sent stands in its conversation, by whichever line it was sent."""

from pathlib import Path

import pytest
from support.servers import Server
from support.terminal import Terminal, at_prompt

pytestmark = pytest.mark.either_server


def rows(shell: Terminal, text: str) -> list[str]:
    """The rows of the conversation that say this."""
    return [line[6:] for line in shell.history if line.endswith(f" {text}") and line[2:3] == ":"]


async def test_what_send_sends_stands_in_the_conversation_once_and_in_last(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/send {stage.friend} by a command")
        await stage.shell.until(lambda: rows(stage.shell, "by a command") == ["you ✓    by a command"], "its row")
        assert any(line.startswith(f"── {stage.friend} ──") for line in stage.shell.lines)
        await stage.target()
        await stage.shell.enter("by a line")
        await stage.shell.until(lambda: len(rows(stage.shell, "by a line")) == 1, "the row of what was typed")
        await stage.shell.enter("/last")
        await stage.shell.until(lambda: len(rows(stage.shell, "by a line")) == 2, "both again")
        assert rows(stage.shell, "by a command") == ["you ✓    by a command"] * 2


async def test_what_send_says_of_an_earlier_message_names_that(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/send --id m1 {stage.friend} wrong window")
        await stage.shell.shows("you ✓    wrong window")
        await stage.shell.enter(f"/send --retract m1 {stage.friend}")
        await stage.shell.shows("* you ✓  retracted “wrong window”")
        await stage.shell.enter(f"/send --subject Tea {stage.friend} at four")
        await stage.shell.shows("you ✓    [Tea] at four")


async def test_what_send_sent_and_came_back_is_told_once_and_marked(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        nobody = f"nobody@{server.domain}"
        await stage.shell.enter(f"/send {nobody} are you there?")
        await stage.shell.shows("service-unavailable")
        await stage.shell.enter(f"/to {nobody}")
        await stage.shell.prompt(nobody)
        await stage.shell.enter("/last")
        await stage.shell.shows("you ✗    are you there?")
        assert sum("service-unavailable" in line for line in stage.shell.history) == 1


async def test_what_send_would_send_is_not_said(server: Server, tmp_path: Path) -> None:
    async with at_prompt(server, tmp_path) as stage:
        await stage.shell.enter(f"/send --dry-run {stage.friend} not yet")
        await stage.shell.shows("<body>not yet</body>")
        await stage.target()
        await stage.shell.enter("/last")
        await stage.shell.shows("(nothing was said here)")
